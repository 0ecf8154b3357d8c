import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Binaries } from './binaries.js';
import { type Cluster, QUIET_ENV } from './cluster.js';
import { isAlive, pause, postmasterOf, settles, stopPostmaster } from './processes.js';

/**
 * PostgreSQL is the child of a tiny shell that does nothing but read from us. However we end, kill -9 included, the
 * system closes that pipe, and the shell stops PostgreSQL. Both are in a session of their own, out of reach of Ctrl-C.
 * The shell lets go of the log first, so that the log's end means that PostgreSQL and all its children are gone.
 */
const GUARD = '"$@" </dev/null >&2 & echo $!; exec >/dev/null 2>&1; while read -r _; do :; done; kill -INT $!; wait';

/** How many of its last lines PostgreSQL's end is explained with. */
const LAST_LINES = 12;

/** Stopping takes as long as a checkpoint; this is far more. ms */
const STOP_PATIENCE_MS = 20_000;
const LAST_LOOKS = 500;

/** A running postmaster and what watches over it. */
export interface Guarded {
  pid: number;
  /** Resolves with the last lines of its log when it is gone, wanted or not. */
  gone: Promise<string>;
  stop(): Promise<void>;
}

function spawnGuarded(cluster: Cluster, programs: Binaries, args: string[]): ChildProcess {
  if (process.platform !== 'win32')
    return spawn('/bin/sh', ['-c', GUARD, 'cinemanzana-postgres', programs.postgres, ...args], {
      ...cluster.user,
      cwd: '/',
      env: QUIET_ENV,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  // Windows has no fork to give away: pg_ctl starts it with restricted rights, and the same shell waits to stop it.
  const quoted = (words: string[]) => words.map((word) => `"${word}"`).join(' ');
  const server = args
    .slice(2)
    .map((word) => `\\"${word}\\"`)
    .join(' ');
  const start = `${quoted([programs.pgCtl, 'start', '-w', '-D', cluster.data, '-o'])} "${server}"`;
  const stop = quoted([programs.pgCtl, 'stop', '-m', 'fast', '-D', cluster.data]);
  return spawn('cmd.exe', ['/d', '/s', '/c', `"${start} 1>&2 & set /p _= & ${stop}"`], {
    windowsHide: true,
    windowsVerbatimArguments: true,
  });
}

const isReady = (line: string) =>
  line.includes('database system is ready to accept connections') || line.startsWith('server started');

/**
 * Start the postmaster and wait until it answers.
 *
 * @throws Error with its last words when it does not come up
 */
export async function startGuarded(
  cluster: Cluster,
  programs: Binaries,
  args: string[],
  onLog: (line: string) => void,
): Promise<Guarded> {
  const guard = spawnGuarded(cluster, programs, args);
  const last: string[] = [];
  const failed = once(guard, 'error').then(([error]) => Promise.reject(error as Error));
  guard.stdin!.on('error', () => undefined); // the guard was killed; what remains is seen on the log
  let ready = () => {};
  const up = new Promise<void>((done) => (ready = done));
  const log = createInterface({ input: guard.stderr! });
  log.on('line', (line) => {
    last.splice(0, Math.max(0, last.length - LAST_LINES + 1));
    last.push(line);
    onLog(line);
    if (isReady(line)) ready();
  });
  const ended = once(log, 'close').then(() => last.join('\n'));
  const outcome = await Promise.race([up.then(() => undefined), ended, failed]);
  failed.catch(() => undefined);
  const pid = postmasterOf(cluster.data);
  if (outcome !== undefined || pid === undefined) {
    guard.stdin!.end();
    throw new Error(outcome ?? last.join('\n'));
  }
  return watched(guard, pid, ended);
}

function watched(guard: ChildProcess, pid: number, ended: Promise<string>): Guarded {
  const gone = ended.then(async (lastWords) => {
    guard.stdin!.end();
    // It closes its log a moment before it ends.
    for (let looks = 0; looks < LAST_LOOKS && isAlive(pid); looks++) await pause(2);
    return lastWords;
  });
  const stop = async () => {
    guard.stdin!.end();
    const isGuarded = guard.exitCode === null && guard.signalCode === null;
    if (!(isGuarded && (await settles(gone, STOP_PATIENCE_MS))) && isAlive(pid)) await stopPostmaster(pid);
    await gone;
  };
  return { pid, gone, stop };
}
