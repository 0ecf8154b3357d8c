import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A piece of PostgreSQL's log: timeline, then its place. @source https://www.postgresql.org/docs/current/wal-internals.html */
const SEGMENT = /^[0-9A-F]{24}$/;
const TIMELINE_DIGITS = 8;
const LOG_DIGITS = 16;
/** A log number stands for this much of the log. */
const LOG_BYTES = 0x1_0000_0000;

/** The pieces of the log in a folder, in order. */
export function segmentsIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => SEGMENT.test(name)).sort() : []; // prettier-ignore
}

/** Those of the same history from `first` on. */
export const fromOn = (segments: readonly string[], first: string): string[] =>
  segments.filter((name) => name.slice(0, TIMELINE_DIGITS) === first.slice(0, TIMELINE_DIGITS) && name >= first);

const placeOf = (name: string, segmentBytes: number): number =>
  Number.parseInt(name.slice(TIMELINE_DIGITS, LOG_DIGITS), 16) * (LOG_BYTES / segmentBytes) +
  Number.parseInt(name.slice(LOG_DIGITS), 16);

/** The first gap in these pieces, as the names on its two sides; undefined when there is none. */
export function gapIn(segments: readonly string[], segmentBytes: number): [string, string] | undefined {
  for (const [i, name] of segments.entries()) {
    const next = segments[i + 1];
    if (next && placeOf(next, segmentBytes) !== placeOf(name, segmentBytes) + 1) return [name, next];
  }
  return undefined;
}

/** Which piece, on its timeline, a place in the log such as `0/3000148` is in, counted from the beginning. */
export function segmentNumberOf(lsn: string, segmentBytes: number): number {
  const [log = '0', offset = '0'] = lsn.split('/');
  return Number.parseInt(log, 16) * (LOG_BYTES / segmentBytes) + Math.floor(Number.parseInt(offset, 16) / segmentBytes);
}

/** The same of a piece's name. */
export const segmentNumber = placeOf;

/** How much an archive holds. */
export interface ArchiveSize {
  segments: number;
  bytes: number;
  /** When the last piece came, ISO 8601; undefined when it is empty. */
  lastAt?: string;
}

/** How much is in the archive. */
export function archiveSize(folder: string): ArchiveSize {
  const found = segmentsIn(folder).map((name) => statSync(join(folder, name)));
  const last = Math.max(...found.map(({ mtimeMs }) => mtimeMs));
  return {
    segments: found.length,
    bytes: found.reduce((sum, { size }) => sum + size, 0),
    ...(found.length > 0 ? { lastAt: new Date(last).toISOString() } : {}),
  };
}

/** The number that initdb gave the cluster: the first eight bytes of its control file. */
export const systemIdOf = (dataDir: string): string =>
  readFileSync(join(dataDir, 'global/pg_control')).readBigUInt64LE(0).toString();
