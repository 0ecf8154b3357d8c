import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A process that cannot be mistaken for a later one with the same number. */
export interface Identity {
  pid: number;
  /** When it began, in the system's own words; empty where the system does not tell. */
  born: string;
}

/** The 22nd field of /proc/<pid>/stat is when the process began; the second, its name in brackets, may hold spaces. */
const BORN_FIELD_AFTER_NAME = 22 - 3;

/** Who a process number means now; undefined when nobody has it. @source proc_pid_stat(5) */
export function identify(pid: number): Identity | undefined {
  if (!isAlive(pid)) return undefined;
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A zombie has ended; only its parent has not been told.
      return fields[0] === 'Z' ? undefined : { pid, born: fields[BORN_FIELD_AFTER_NAME] ?? '' };
    }
    if (process.platform === 'win32') return { pid, born: '' };
    return { pid, born: execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() };
  } catch {
    return isAlive(pid) ? { pid, born: '' } : undefined;
  }
}

/** Whether that very process still runs. */
export function stillRuns({ pid, born }: Identity): boolean {
  const now = identify(pid);
  return now !== undefined && (born === '' || now.born === '' || now.born === born);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // somebody else's, but there
  }
}
