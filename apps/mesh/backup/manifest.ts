import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { CopiedFile } from './copy.js';

/** What a backup is and holds; written last, so that a folder without one is no backup. */
export interface Manifest {
  format: 1;
  /** By the server's clock, UTC, to the microsecond. */
  startedAt: string;
  /** The earliest instant it can be restored to. */
  endedAt: string;
  /** The cluster's own number: a log of another cluster does not fit. */
  systemId: string;
  /** PostgreSQL's version: `18.4`. */
  server: string;
  /** Data of one kind of machine cannot be read by another: `linux-x64`. */
  machine: string;
  /** The project's version. */
  version: string;
  walSegmentBytes: number;
  /** The first and the last piece of the log without which it cannot be restored. */
  startWal: string;
  stopWal: string;
  /** Where the log goes on after it. */
  archiveDir: string;
  bytes: number;
  files: CopiedFile[];
}

const FILE = 'manifest.json';
const FORMAT = 1;

const sumOf = (text: string) => createHash('sha256').update(text).digest('hex');

/** Write it into the backup's folder, on disk when this resolves. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const handle = await open(join(folder, FILE), 'wx', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify({ ...manifest, checksum: sumOf(JSON.stringify(manifest)) })}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * What the backup in `folder` says of itself.
 *
 * @throws Error when there is none, or it is not as it was written
 */
export function readManifest(folder: string): Manifest {
  let text: string;
  try {
    text = readFileSync(join(folder, FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error(`${folder} is no backup: it has no ${FILE}, which is written last (npx mesh backup --list shows those there are)`, { cause: error }); // prettier-ignore
  }
  const { checksum, ...manifest } = parse(folder, text);
  if (manifest.format !== FORMAT) throw new Error(`${folder} was written by a later version of the mesh: restore it with that`);
  if (checksum !== sumOf(JSON.stringify(manifest))) throw new Error(`${join(folder, FILE)} is damaged: take another backup`);
  return manifest;
}

function parse(folder: string, text: string): Manifest & { checksum: string } {
  try {
    return JSON.parse(text) as Manifest & { checksum: string };
  } catch (error) {
    throw new Error(`${join(folder, FILE)} is damaged: take another backup`, { cause: error });
  }
}

/** The files that are not there, or have another size than when they were written: what a glance can tell. */
export const cutOff = (folder: string, { files }: Manifest): string[] =>
  files
    .filter(({ path, bytes }) => statSync(join(folder, path), { throwIfNoEntry: false })?.size !== bytes)
    .map(({ path }) => path);
