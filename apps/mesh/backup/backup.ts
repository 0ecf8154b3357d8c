import { existsSync, readdirSync, statfsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { openClient, type ClusterPlace } from '#postgres';
import { archived, archiveNow, beginArchive, type Database, rows } from './archive.js';
import { copyAll, type CopyOrder, removeFolder, syncFolder, walk } from './copy.js';
import { type Manifest, writeManifest } from './manifest.js';
import { fromOn, segmentsIn } from './wal.js';

/** What a backup is made of, and where it goes. */
export interface BackupOptions {
  place: ClusterPlace;
  /** The mesh's data folder. */
  dataDir: string;
  /** The backup's own folder: one that is not there, or empty. */
  to: string;
  /** The project's version. */
  version: string;
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** What of the data folder belongs to a backup beside the database. */
const BESIDE = ['secrets', 'demo.json'];

// What a copy must not have, or would be made anew anyway.
// @source https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP-DATA
const EMPTY = /^(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\//;
const OMITTED =
  /(^|\/)(postmaster\.(pid|opts)|pg_internal\.init.*|backup_label(\.old)?|tablespace_map(\.old)?|pgsql_tmp.*|.*\.auto\.conf\.tmp|archtemp\..*)$/;
const isLeftOut = (path: string) => EMPTY.test(path) || OMITTED.test(path);

/** Room beside what is copied: the log that is written meanwhile, bytes. */
const SPARE_BYTES = 64 * 1_048_576;

/** How PostgreSQL writes an instant when it is asked for ISO 8601. */
export const INSTANT = `to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/**
 * Copy the running database, with the log that makes the copy whole and the mesh's secrets. Writers are not held up. The
 * folder appears under its name when all of it is on disk.
 *
 * @throws Error saying what is in the way; then nothing is left behind
 */
export async function takeBackup(options: BackupOptions): Promise<Manifest> {
  const to = resolve(options.to);
  if (existsSync(to) && readdirSync(to).length > 0) throw new Error(`${to} is not empty: name a folder that is not there yet`);
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await sweep(to);
  const making = join(dirname(to), `.${basename(to)}.partial-${process.pid}`);
  await mkdir(making, { mode: 0o700 });
  const db = await openClient(options.place.url('postgres'), { name: 'mesh-backup' });
  try {
    const manifest = await fill(db, making, options);
    await removeFolder(to); // an empty one: Windows renames onto none
    await rename(making, to);
    await syncFolder(dirname(to));
    return manifest;
  } catch (error) {
    await removeFolder(making);
    throw full(error, dirname(to));
  } finally {
    await db.end();
  }
}

/** What a backup that was killed left beside this one. */
async function sweep(to: string) {
  for (const name of readdirSync(dirname(to))) {
    const [, pid] = /\.partial-(\d+)$/.exec(name) ?? [];
    if (pid && !isAlive(Number(pid))) await removeFolder(join(dirname(to), name));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const full = (error: unknown, where: string): unknown =>
  (error as NodeJS.ErrnoException).code === 'ENOSPC' ? new Error(`the disk of ${where} is full: nothing was kept`, { cause: error }) : error; // prettier-ignore

async function fill(db: Database, making: string, options: BackupOptions): Promise<Manifest> {
  const { place, dataDir, onProgress } = options;
  await beginArchive(db, place);
  await archiveNow(db, place, 'backup'); // what cannot be archived would be missed only at the end
  const [start] = await rows<{ wal: string; at: string }>(
    db,
    `SELECT pg_walfile_name(pg_backup_start('mesh backup', fast => true)) AS wal, ${INSTANT} AS at`,
  );
  const found = await walk(place.dataDir, isLeftOut);
  const orders = ordersFor(making, dataDir, place.dataDir, found.files, await besides(dataDir));
  const totalBytes = orders.reduce((sum, { bytes }) => sum + bytes, 0);
  roomFor(making, totalBytes);
  let doneBytes = 0;
  const onBytes = (bytes: number) => onProgress?.((doneBytes += bytes), totalBytes);
  for (const folder of found.folders) await mkdir(join(making, 'base', folder), { recursive: true, mode: 0o700 });
  const copied = await copyAll(orders, { onBytes });
  const [stop] = await rows<{ wal: string; at: string; label: string; map: string }>(
    db,
    `SELECT pg_walfile_name(lsn) AS wal, labelfile AS label, spcmapfile AS map, ${INSTANT} AS at FROM pg_backup_stop(wait_for_archive => false)`,
  );
  await archived(db, place, stop!.wal);
  const labels = await writeLabels(making, stop!);
  const wal = fromOn(segmentsIn(place.archiveDir), start!.wal).filter((name) => name <= stop!.wal);
  copied.push(...(await copyAll(wal.map((name) => walOrder(place.archiveDir, making, name)))));
  const all = [...copied, ...labels].map(({ path, bytes, sha256 }) => ({ path: relative(making, path).replaceAll('\\', '/'), bytes, sha256 })); // prettier-ignore
  all.sort((a, b) => (a.path < b.path ? -1 : 1));
  const manifest = {
    ...(await facts(db, options, start!, stop!)),
    bytes: all.reduce((sum, file) => sum + file.bytes, 0),
    files: all,
  };
  for (const folder of (await walk(making)).folders) await syncFolder(join(making, folder));
  await writeManifest(making, manifest);
  await syncFolder(making);
  return manifest;
}

const walOrder = (archiveDir: string, making: string, name: string): CopyOrder => ({ from: join(archiveDir, name), to: join(making, 'wal', name), bytes: 0 }); // prettier-ignore

async function besides(dataDir: string): Promise<{ path: string; bytes: number }[]> {
  const { files } = await walk(dataDir, (path) => !BESIDE.some((name) => path === name || path.startsWith(`${name}/`)));
  return files;
}

/** The control file goes last: a copy that was broken off has none, and does not start. */
function ordersFor(
  making: string,
  dataDir: string,
  from: string,
  files: { path: string; bytes: number }[],
  beside: { path: string; bytes: number }[],
): CopyOrder[] {
  const control = 'global/pg_control';
  const ordered = [...files.filter(({ path }) => path !== control), ...files.filter(({ path }) => path === control)];
  return [
    ...beside.map(({ path, bytes }) => ({ from: join(dataDir, path), to: join(making, 'beside', path), bytes })),
    { from: join(dataDir, 'postgres/password'), to: join(making, 'beside/password'), bytes: 0 },
    ...ordered.map(({ path, bytes }) => ({ from: join(from, path), to: join(making, 'base', path), bytes })),
  ];
}

function roomFor(making: string, bytes: number) {
  const { bavail, bsize } = statfsSync(making);
  const free = bavail * bsize;
  const megabytes = (count: number) => `${Math.ceil(count / 1_048_576)} MB`;
  if (free < bytes + SPARE_BYTES) throw new Error(`the backup needs ${megabytes(bytes + SPARE_BYTES)}, ${dirname(making)} has ${megabytes(free)} left`); // prettier-ignore
}

/** PostgreSQL hands over what the copy's recovery begins with, to be kept in the copy and nowhere else. */
async function writeLabels(making: string, { label, map }: { label: string; map: string }) {
  const files = [['backup_label', label] as const, ...(map ? [['tablespace_map', map] as const] : [])];
  const aside = join(making, '.labels');
  await mkdir(aside);
  for (const [name, text] of files) await writeFile(join(aside, name), text, { mode: 0o600 });
  const copied = await copyAll(
    files.map(([name, text]) => ({ from: join(aside, name), to: join(making, 'base', name), bytes: text.length })),
  );
  await removeFolder(aside);
  return copied;
}

async function facts(
  db: Database,
  { place, version }: BackupOptions,
  start: { wal: string; at: string },
  stop: { wal: string; at: string },
): Promise<Omit<Manifest, 'bytes' | 'files'>> {
  const [server] = await rows<{ id: string; version: string; segment: string }>(
    db,
    `SELECT system_identifier::text AS id, split_part(current_setting('server_version'), ' ', 1) AS version,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment FROM pg_control_system()`,
  );
  return {
    format: 1,
    startedAt: start.at,
    endedAt: stop.at,
    systemId: server!.id,
    server: server!.version,
    machine: `${process.platform}-${process.arch}`,
    version,
    walSegmentBytes: Number(server!.segment),
    startWal: start.wal,
    stopWal: stop.wal,
    archiveDir: place.archiveDir,
  };
}
