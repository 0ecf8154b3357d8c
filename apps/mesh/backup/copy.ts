import { createHash, type Hash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SystemUser } from '#postgres';

/** A file of a backup. */
export interface CopiedFile {
  /** Below the backup's folder, with slashes. */
  path: string;
  bytes: number;
  sha256: string;
}

/** A file, and where its copy goes. */
export interface CopyOrder {
  from: string;
  to: string;
  bytes: number;
  /** What its content must be; one that differs is not the file that was written. */
  sha256?: string;
}

/** How copies are made. */
export interface CopyOptions {
  /** Whom they belong to, when not to us. */
  user?: SystemUser;
  /** On disk before `copyAll` resolves; false where whoever uses the copies sees to that. */
  isDurable?: boolean;
  /** Called with the bytes of each piece. */
  onBytes?: (bytes: number) => void;
}

/** A piece that is read and written at a time, bytes. */
const PIECE_BYTES = 1_048_576;
/** Copies at a time: each waits for the disk, and Node has four threads for that. */
const AT_A_TIME = 4;

/** Thrown for a file that is not what it should be. */
export class Damaged extends Error {}

/** One copy. @returns undefined when the file is gone, as a table's that was dropped meanwhile */
async function copyFile(
  order: CopyOrder,
  piece: Buffer,
  { user, onBytes, isDurable = true }: CopyOptions,
): Promise<{ bytes: number; sha256: string } | undefined> {
  let from: FileHandle;
  try {
    from = await open(order.from, constants.O_RDONLY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const to = await open(order.to, 'wx', 0o600);
    try {
      const hash = createHash('sha256');
      const bytes = await pour(from, to, piece, hash, onBytes);
      if (user) await to.chown(user.uid, user.gid);
      if (isDurable) await to.sync();
      return { bytes, sha256: hash.digest('hex') };
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

async function pour(
  from: FileHandle,
  to: FileHandle,
  piece: Buffer,
  hash: Hash,
  onBytes?: (bytes: number) => void,
): Promise<number> {
  for (let total = 0; ;) {
    const { bytesRead } = await from.read(piece, 0, piece.length, total);
    if (bytesRead === 0) return total;
    const read = piece.subarray(0, bytesRead);
    hash.update(read);
    for (let written = 0; written < bytesRead;) written += (await to.write(read, written, bytesRead - written)).bytesWritten;
    total += bytesRead;
    onBytes?.(bytesRead);
  }
}

/**
 * Make these copies.
 *
 * @returns what was copied; a file that has gone meanwhile is left out, unless its content was known
 * @throws Damaged naming the files whose content is not what it must be
 */
export async function copyAll(orders: readonly CopyOrder[], options: CopyOptions = {}): Promise<(CopyOrder & CopiedFile)[]> {
  const waiting = [...orders];
  const done: (CopyOrder & CopiedFile)[] = [];
  const wrong: string[] = [];
  for (const folder of new Set(orders.map(({ to }) => dirname(to)))) await mkdir(folder, { recursive: true, mode: 0o700 });
  const work = async () => {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (let order = waiting.shift(); order; order = waiting.shift()) {
      const copied = await copyFile(order, piece, options);
      if (order.sha256 !== undefined && copied?.sha256 !== order.sha256) wrong.push(`${order.from}: ${complaint(order, copied)}`);
      if (copied) done.push({ ...order, ...copied, path: order.to });
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: AT_A_TIME }, work));
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  if (wrong.length > 0) throw new Damaged(listed(wrong));
  return done;
}

function complaint({ bytes }: CopyOrder, copied: { bytes: number } | undefined): string {
  if (!copied) return 'it is missing';
  return copied.bytes === bytes ? 'its content has changed' : `it has ${copied.bytes} bytes, not ${bytes}`;
}

/** More complaints than this are told as a number. */
const MOST_TOLD = 5;
/** Complaints, one a line. */
export const listed = (wrong: readonly string[]): string =>
  [...wrong.slice(0, MOST_TOLD), ...(wrong.length > MOST_TOLD ? [`… and ${wrong.length - MOST_TOLD} more`] : [])].join('\n');

/** Every file and folder below `root`, as paths with slashes; whatever `leaveOut` says is skipped with all that is in it. */
export async function walk(
  root: string,
  leaveOut: (path: string) => boolean = () => false,
  below = '',
): Promise<{ files: { path: string; bytes: number }[]; folders: string[] }> {
  const files: { path: string; bytes: number }[] = [];
  const folders: string[] = [];
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = below ? `${below}/${entry.name}` : entry.name;
    if (leaveOut(path)) continue;
    if (entry.isDirectory()) {
      const inside = await walk(root, leaveOut, path);
      folders.push(path, ...inside.folders);
      files.push(...inside.files);
    } else if (entry.isFile()) {
      const { size } = await stat(join(root, path)).catch(() => ({ size: 0 })); // gone in this very moment
      files.push({ path, bytes: size });
    }
  }
  return { files, folders };
}

/** Bring the names in a folder to the disk, as `fsync` brings the content of a file. Windows has no such thing. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32' || !existsSync(folder)) return;
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Remove a folder with all that is in it. */
export const removeFolder = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true });
