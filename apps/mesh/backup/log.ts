import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type ClusterPlace, openClient, placeOf } from '#postgres';
import { archiveNow, rows } from './archive.js';
import type { CopyOrder } from './copy.js';
import type { Manifest } from './manifest.js';
import { fromOn, gapIn, segmentsIn, systemIdOf } from './wal.js';

/** The end of the log: everything there is. */
export const LATEST = 'latest';

const INSTANT = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)$/;

/** How far the log is wanted, and where it may be. */
export interface LogWish {
  /** An instant, ISO 8601 with its zone, or `latest`; the end of the backup by default. */
  to?: string;
  /** Where the log goes on after the backup; where it did when the backup was taken, by default. */
  archiveDir?: string;
  /** The data folder of the mesh that the backup may be of: what is not in the archive yet is found there. */
  ownData: string;
}

/** What a recovery replays. */
export interface Log {
  segments: CopyOrder[];
  /** It goes on to the moment when its cluster was stopped, or to this one: nothing after it is missing. */
  isComplete: boolean;
  /** The last piece that came through the archive, and so must be read to its end. */
  lastWhole?: string;
  /** The folder of the secrets that were made after the backup. */
  secrets?: string;
}

const named = (folder: string, names: readonly string[]): CopyOrder[] => names.map((name) => ({ from: join(folder, name), to: name, bytes: 0 })); // prettier-ignore

/**
 * The pieces of the log that are needed, each from where it is.
 *
 * @throws Error when the instant is none, or the log does not reach it
 */
export async function findLog(manifest: Manifest, folder: string, options: LogWish): Promise<Log> {
  const own = manifest.files
    .filter(({ path }) => path.startsWith('wal/'))
    .map(({ path, bytes, sha256 }) => ({ from: join(folder, path), to: path.slice('wal/'.length), bytes, sha256 }));
  if (options.to === undefined) return { segments: own, isComplete: true };
  const isLatest = options.to === LATEST;
  if (!isLatest) checkInstant(options.to, manifest);
  const archiveDir = resolve(options.archiveDir ?? manifest.archiveDir);
  const source = sourceOf(options.ownData, archiveDir, manifest);
  if (source?.isRunning) await completeLog(source, options.to);
  const archive = fromOn(segmentsIn(archiveDir), manifest.stopWal).filter((name) => name > manifest.stopWal);
  const after = archive.at(-1) ?? manifest.stopWal;
  const tailDir = source && !source.isRunning ? join(source.dataDir, 'pg_wal') : undefined;
  const tail = tailDir ? fromOn(segmentsIn(tailDir), after).filter((name) => name > after) : [];
  const names = [...own.map(({ to }) => to), ...archive];
  const gap = gapIn([...names, ...tail.slice(0, 1)], manifest.walSegmentBytes);
  if (gap) throw new Error(`the log in ${archiveDir} has a gap after ${gap[0]}: restore to the end of the backup (without --to), or a later backup`); // prettier-ignore
  if (!source && archive.length === 0 && !isLatest)
    throw new Error(`there is no log after the backup in ${archiveDir}: name the archive with --archive, or restore to the backup's own end without --to`); // prettier-ignore
  return {
    segments: [...own, ...named(archiveDir, archive), ...(tailDir ? named(tailDir, tail) : [])],
    isComplete: source !== undefined,
    lastWhole: names.at(-1),
    secrets: source ? join(options.ownData, 'secrets') : undefined,
  };
}

/** Since the epoch; `Date` knows thousandths alone. */
const microseconds = (instant: string) =>
  BigInt(Date.parse(instant)) * 1000n + BigInt((/\.(\d+)/.exec(instant)?.[1] ?? '').padEnd(6, '0').slice(3, 6));

/** @throws Error for an instant that is none, or lies before the backup's end or ahead */
function checkInstant(to: string, { endedAt }: Manifest) {
  if (!INSTANT.test(to)) throw new Error(`'${to}' is no instant such as 2026-01-31T18:30:00Z or 2026-01-31T18:30:00.25-03:00, nor '${LATEST}'`); // prettier-ignore
  if (Number.isNaN(Date.parse(to))) throw new Error(`'${to}' is no instant: there is no such day or hour`);
  if (Date.parse(to) > Date.now()) throw new Error(`${to} lies ahead; now it is ${new Date().toISOString()}`);
  if (microseconds(to) < microseconds(endedAt)) throw new Error(`the backup was complete at ${endedAt} and cannot be restored to ${to}: take an older one (npx mesh backup --list)`); // prettier-ignore
}

/** The cluster the backup is of, when it is this mesh's own and still there. */
function sourceOf(ownData: string, archiveDir: string, { systemId }: Manifest): ClusterPlace | undefined {
  const dir = join(ownData, 'postgres');
  if (!existsSync(dir)) return undefined;
  const place = placeOf(dir);
  const control = join(place.dataDir, 'global/pg_control');
  return place.archiveDir === archiveDir && existsSync(control) && systemIdOf(place.dataDir) === systemId ? place : undefined;
}

/** A commit after the instant tells PostgreSQL that it has seen all before it. */
async function completeLog(source: ClusterPlace, to: string) {
  const db = await openClient(source.url('postgres'), { name: 'mesh-restore' });
  try {
    const [ahead] =
      to === LATEST ? [] : await rows<{ is: boolean }>(db, 'SELECT $1::timestamptz > clock_timestamp() AS is', [to]);
    if (ahead?.is) throw new Error(`${to} lies ahead by the database's clock`);
    await db.query('SELECT pg_current_xact_id()');
    await archiveNow(db, source, 'restore');
  } finally {
    await db.end();
  }
}
