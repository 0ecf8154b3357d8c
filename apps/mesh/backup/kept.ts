import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { removeFolder } from './copy.js';
import { cutOff, type Manifest, readManifest } from './manifest.js';

/** A backup that is kept, or what looks like one. */
export interface Kept {
  folder: string;
  name: string;
  manifest?: Manifest;
  /** Why it cannot be used. */
  fault?: string;
}

/** Where backups go that are given no folder of their own. */
export const backupsIn = (dataDir: string): string => join(dataDir, 'backups');

/** The backups of a data folder, oldest first. */
export function keptBackups(dataDir: string): Kept[] {
  const root = backupsIn(dataDir);
  const names = existsSync(root) ? readdirSync(root).filter((name) => !name.startsWith('.')) : [];
  return names
    .filter((name) => statSync(join(root, name)).isDirectory())
    .sort()
    .map((name) => ({ folder: join(root, name), name, ...judged(join(root, name)) }));
}

function judged(folder: string): Pick<Kept, 'manifest' | 'fault'> {
  try {
    const manifest = readManifest(folder);
    const [wrong] = cutOff(folder, manifest);
    return wrong ? { manifest, fault: `${wrong} is missing or cut off` } : { manifest };
  } catch (error) {
    return { fault: (error as Error).message };
  }
}

/** Remove all but the youngest `keep` whole backups. @returns the names that went */
export async function thinOut(dataDir: string, keep: number): Promise<string[]> {
  const whole = keptBackups(dataDir).filter(({ fault }) => fault === undefined);
  const old = whole.slice(0, Math.max(0, whole.length - keep));
  for (const { folder } of old) await removeFolder(folder);
  return old.map(({ name }) => name);
}
