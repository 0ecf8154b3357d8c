import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Whether `work` is done within `ms`. */
export async function settles(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((done) => (timer = setTimeout(() => done(false), ms)));
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Fields of /proc/<pid>/stat from the third on; the second, the program's name, may hold spaces and brackets. */
function stat(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  } catch {
    return [];
  }
}

/** Whether a process with this id runs, be it ours or not. A dead one that nobody has buried yet, as in a container without an init, does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return process.platform !== 'linux' || !['Z', 'X', undefined].includes(stat(pid)[0]);
}

function ps(pid: number, column: string): string {
  try {
    return execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}

/** The command line of a process; empty when it is gone or the system does not tell. */
function commandLine(pid: number): string {
  if (process.platform === 'win32') return '';
  if (process.platform !== 'linux') return ps(pid, 'command');
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8').replaceAll('\0', ' ') : '';
}

/** When a process started, in the system's own words: ids are used again, pairs of id and start are not. */
function startOf(pid: number): string {
  if (process.platform === 'win32') return '';
  if (process.platform !== 'linux') return ps(pid, 'lstart');
  return stat(pid)[19] ?? '';
}

/** The postmaster that serves `data` now, if one does. A file left by a dead one, or whose id went to a stranger, does not count. */
export function postmasterOf(data: string): number | undefined {
  const file = join(data, 'postmaster.pid');
  if (!existsSync(file)) return undefined;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  if (!pid || !isAlive(pid)) return undefined;
  return process.platform === 'win32' || commandLine(pid).includes(data) ? pid : undefined;
}

/** Forget a postmaster that is gone, lest its id, used again by a stranger, stops the next one. */
export function clearStale(data: string): void {
  if (postmasterOf(data) === undefined) rmSync(join(data, 'postmaster.pid'), { force: true });
}

/** Stop a postmaster whose launcher is gone. Clients are cut off, nothing committed is lost. @throws Error when it stays */
export async function stopPostmaster(pid: number): Promise<void> {
  // Fast first, immediate if a session does not let go: the next start then recovers from its log.
  for (const [signal, patienceMs] of [
    ['SIGINT', 10_000],
    ['SIGQUIT', 5_000],
  ] as const) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
      throw new Error(`PostgreSQL (process ${pid}) belongs to another user: stop it first`, { cause: error });
    }
    for (const end = Date.now() + patienceMs; Date.now() < end; await pause(20)) if (!isAlive(pid)) return;
  }
  throw new Error(`PostgreSQL (process ${pid}) does not stop`);
}

const launcherFile = (dir: string) => join(dir, 'launcher');

/** The process that runs the cluster in `dir`, if it lives. */
export function launcherOf(dir: string): number | undefined {
  if (!existsSync(launcherFile(dir))) return undefined;
  const [pid, start] = readFileSync(launcherFile(dir), 'utf8').split('\n');
  const alive = isAlive(Number(pid)) && startOf(Number(pid)) === start;
  return alive ? Number(pid) : undefined;
}

/** Make this process the one that runs the cluster. @throws Error when another one does */
export function claim(dir: string): void {
  const other = launcherOf(dir);
  if (other !== undefined) throw new Error(`process ${other} already runs PostgreSQL on ${dir}`);
  rmSync(launcherFile(dir), { force: true });
  writeFileSync(launcherFile(dir), `${process.pid}\n${startOf(process.pid)}\n`, { flag: 'wx' });
}

/** Let others run the cluster. */
export const disclaim = (dir: string): void => rmSync(launcherFile(dir), { force: true });
