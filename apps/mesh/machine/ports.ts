import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';

/** Who listens on a port, as far as this user may see. */
export interface Owner {
  pid?: number;
  /** Its command, shortened. */
  command?: string;
  /** The folder it was started in. */
  folder?: string;
}

/** /proc/net/tcp's number for a socket that listens. */
const LISTENS = '0A';
/** Enough of a command line to know it by, characters. */
const COMMAND_LENGTH = 100;

/** Whether a listener could be opened there now. */
export function isFree(port: number, host?: string): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => done(true)));
  });
}

/**
 * The sockets that listen on a port, from the text of /proc/net/tcp or tcp6.
 *
 * @returns inode numbers
 * @source proc_net_tcp(5)
 */
export function listeningInodes(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTENS && fields[1]?.endsWith(`:${hex}`))
    .flatMap((fields) => fields[9] ?? []);
}

/** Who listens on a port of this machine; undefined when nobody does or nobody can be seen. */
export function portOwner(port: number): Owner | undefined {
  try {
    if (process.platform === 'linux') return linuxOwner(port);
    if (process.platform === 'win32') return windowsOwner(port);
    return lsofOwner(port);
  } catch {
    return undefined; // the tool that would tell is missing or forbidden: the message says so much less
  }
}

function linuxOwner(port: number): Owner | undefined {
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readOr(file, ''));
  const sockets = new Set(tables.flatMap((table) => listeningInodes(table, port)).map((inode) => `socket:[${inode}]`));
  if (sockets.size === 0) return undefined;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (holds(pid, sockets))
      return { pid: Number(pid), command: commandOf(pid), folder: linkOr(`/proc/${pid}/cwd`) || undefined };
  }
  return {};
}

function holds(pid: string, sockets: Set<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => sockets.has(linkOr(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return false; // another user's process, or one that has just ended
  }
}

function commandOf(pid: string): string {
  const words = readOr(`/proc/${pid}/cmdline`, '').split('\0').filter(Boolean);
  return shorten(words) || readOr(`/proc/${pid}/comm`, '').trim();
}

function lsofOwner(port: number): Owner | undefined {
  const text = execFileSync('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const pid = /^p(\d+)/m.exec(text)?.[1];
  return pid ? { pid: Number(pid), command: /^c(.*)/m.exec(text)?.[1] } : undefined;
}

function windowsOwner(port: number): Owner | undefined {
  const text = execFileSync('netstat', ['-ano', '-p', 'TCP'], { encoding: 'utf8', windowsHide: true });
  const pid = new RegExp(`:${port}\\s+\\S+\\s+LISTENING\\s+(\\d+)`).exec(text)?.[1];
  if (!pid) return undefined;
  const task = execFileSync('tasklist', ['/FI', `PID eq ${pid}`, '/FO', 'CSV', '/NH'], { encoding: 'utf8', windowsHide: true });
  return { pid: Number(pid), command: /^"([^"]+)"/.exec(task)?.[1] };
}

/**
 * What is wrong when a port cannot be had, and the cure.
 *
 * @param flag  the option that chooses another, such as `--port`
 */
export function portTaken(what: string, port: number, flag: string, owner: Owner | undefined): { what: string; mend: string } {
  const { pid, command, folder } = owner ?? {};
  const details = [command, folder && `in ${folder}`].filter(Boolean).join(', ');
  const who = pid ? `process ${pid}${details ? ` (${details})` : ''}` : 'a process of another user';
  return {
    what: `port ${port}, wanted by ${what}, is taken by ${who}`,
    mend: `Stop it, or choose another: npm start -- ${flag} ${port + 1}`,
  };
}

/** A command line as people say it: `node host.js gateway:8080`, without paths and flags. */
export function shorten(words: readonly string[]): string {
  const said = words.filter((word, i) => i === 0 || !word.startsWith('-')).map((word) => word.replace(/^.*[\\/](?=.)/, ''));
  const text = said.join(' ');
  return text.length > COMMAND_LENGTH ? `${text.slice(0, COMMAND_LENGTH)}…` : text;
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}

function linkOr(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
