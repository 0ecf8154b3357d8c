import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, realpathSync, statSync } from 'node:fs';
import os from 'node:os';
import { dirname } from 'node:path';

/** Whose rights PostgreSQL runs with; undefined means our own. It refuses to run as root. */
export interface SystemUser {
  uid: number;
  gid: number;
}

/** The user with the fewest rights: its number is not the same everywhere. */
export function nobody(): SystemUser {
  const id = (which: string) => Number(execFileSync('id', [which, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

export const isRoot = (): boolean => process.getuid?.() === 0;

/** A short name for a path that stays the same as long as the path does. */
export const pathHash = (path: string): string => createHash('sha256').update(path).digest('hex').slice(0, 12);

function mayEnter(dir: string, { uid, gid }: SystemUser): boolean {
  const { mode, uid: owner, gid: group } = statSync(dir);
  const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
  return (mode & bit) !== 0;
}

/** Whether `user` can reach `path`: every folder down to it, and itself if it is one, lets that user through. */
export function reachable(path: string, user: SystemUser): boolean {
  for (let at = realpathSync(path); ; at = dirname(at)) {
    if (statSync(at).isDirectory() && !mayEnter(at, user)) return false;
    if (at === dirname(at)) return true;
  }
}

const TEMPORARY = [os.tmpdir(), '/tmp', '/var/tmp'];

/** Whether what is in `path` may go with the next restart of the machine anyway. */
export const isTemporary = (path: string): boolean => TEMPORARY.some((place) => path.startsWith(`${place}/`));

/**
 * Folders outside the project that `user` can reach and we may write to, best first.
 *
 * @param lasting  the content must outlive a restart of the machine, which empties the temporary folder
 */
export function shelters(user: SystemUser | undefined, lasting: boolean): string[] {
  const places = lasting ? ['/var/lib', ...TEMPORARY.toReversed()] : [...TEMPORARY, '/var/lib'];
  return [...new Set(places)].filter((place) => {
    if (!existsSync(place) || (user && !reachable(place, user))) return false;
    try {
      accessSync(place, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  });
}
