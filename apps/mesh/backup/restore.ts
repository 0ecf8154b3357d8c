import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type ClusterPlace, placeOf, removePostgres, renameCluster } from '#postgres';
import { copyAll, Damaged, listed } from './copy.js';
import { findLog, type Log, type LogWish } from './log.js';
import { cutOff, type Manifest, readManifest } from './manifest.js';
import { own, recover } from './recover.js';

/** What is restored, to when, and where. */
export interface RestoreOptions extends LogWish {
  /** A backup's folder. */
  folder: string;
  /** The data folder to make. */
  data: string;
  /** `data` may hold a mesh's data already, which are then kept beside. */
  replace?: boolean;
  onProgress?: (doing: 'copying' | 'replaying', doneBytes: number, totalBytes: number) => void;
}

/** What was restored. */
export interface Restored {
  data: string;
  /** The last commit it holds, as PostgreSQL's log says; undefined when it replayed none. */
  lastCommitAt?: string;
  /** How many pieces of the log were replayed from. */
  segments: number;
  /** What `data` held before: the ends of the names under which it was kept. */
  keptAs?: string;
}

/**
 * Make a data folder from a backup: the database as it was at that instant, and the secrets it needs.
 *
 * @throws Error when the backup is damaged, the log does not reach that instant, or the folder is in use; then nothing is left behind
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const folder = resolve(options.folder);
  const data = resolve(options.data);
  const manifest = readManifest(folder);
  mayRun(manifest);
  const lost = cutOff(folder, manifest).map((path) => `${join(folder, path)} is missing or cut off`);
  if (lost.length > 0) throw new Damaged(listed(lost));
  const present = join(data, 'postgres');
  if (existsSync(present) && !options.replace) throw new Error(`${data} holds a mesh's data already: name another folder`);
  const log = await findLog(manifest, folder, options);
  const making = join(data, 'postgres.restoring');
  mkdirSync(data, { recursive: true, mode: 0o755 });
  await removePostgres(making);
  try {
    const place = placeOf(making);
    await copyIn(place, manifest, { ...options, folder, data }, log);
    const found = await recover(making, place, manifest, options.to, log);
    const keptAs = setAside(data);
    renameCluster(making, present);
    settleBeside(data, manifest);
    const isOwn = keptAs && resolve(options.ownData) === data;
    if (log.secrets) await addSecrets(isOwn ? `${log.secrets}${keptAs}` : log.secrets, join(data, 'secrets'));
    return { data, lastCommitAt: found.lastCommitAt, segments: log.segments.length, keptAs };
  } finally {
    await removePostgres(making);
    rmSync(join(data, '.restoring'), { recursive: true, force: true });
  }
}

function mayRun({ machine }: Manifest) {
  const here = `${process.platform}-${process.arch}`;
  if (machine !== here) throw new Error(`the backup is of ${machine}, and PostgreSQL's files of one machine cannot be read on another (${here})`); // prettier-ignore
}

async function copyIn(place: ClusterPlace, manifest: Manifest, options: RestoreOptions, log: Log) {
  const { folder, data, onProgress } = options;
  const { user, dataDir } = place;
  mkdirSync(dataDir, { mode: 0o700 });
  const base = manifest.files
    .filter(({ path }) => path.startsWith('base/'))
    .map(({ path, ...file }) => ({ ...file, from: join(folder, path), to: join(dataDir, path.slice('base/'.length)) }));
  const beside = manifest.files
    .filter(({ path }) => path.startsWith('beside/'))
    .map(({ path, ...file }) => ({ ...file, from: join(folder, path), to: join(data, '.restoring', path) }));
  const wal = log.segments.map((order) => ({ ...order, to: join(dataDir, 'pg_wal', order.to) }));
  const total = [...base, ...wal].reduce((sum, { bytes }) => sum + (bytes || manifest.walSegmentBytes), 0);
  let done = 0;
  const onBytes = (bytes: number) => onProgress?.('copying', (done += bytes), total);
  rmSync(join(data, '.restoring'), { recursive: true, force: true });
  await copyAll(beside);
  // PostgreSQL brings all of its files to the disk itself before it recovers.
  await copyAll([...base, ...wal], { user, onBytes, isDurable: false });
  for (const path of emptyFolders(folder)) mkdirSync(join(dataDir, path), { recursive: true, mode: 0o700 });
  own(dataDir, place);
  onProgress?.('replaying', 0, total);
}

/** Folders that PostgreSQL wants, though a backup has nothing in them. */
const emptyFolders = (folder: string, below = ''): string[] =>
  readdirSync(join(folder, 'base', below), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [join(below, name), ...emptyFolders(folder, join(below, name))]);

/** Keep what the folder holds under other names. @returns the end of those names; undefined when it holds nothing */
function setAside(data: string): string | undefined {
  if (!existsSync(join(data, 'postgres'))) return undefined;
  const end = `.before-${new Date().toISOString().replace(/[:.]/g, '-')}`;
  renameCluster(join(data, 'postgres'), join(data, `postgres${end}`));
  if (existsSync(join(data, 'secrets'))) renameSync(join(data, 'secrets'), join(data, `secrets${end}`));
  return end;
}

/** The secrets, the superuser's password, and what is remembered of the demonstration, to where a mesh looks for them. */
function settleBeside(data: string, manifest: Manifest) {
  for (const { path } of manifest.files.filter((file) => file.path.startsWith('beside/'))) {
    const to = join(data, path === 'beside/password' ? 'postgres/password' : path.slice('beside/'.length));
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    renameSync(join(data, '.restoring', path), to);
  }
}

/** Those made after the backup, as of a process that came later: the backup's own win. */
async function addSecrets(from: string, to: string) {
  if (!existsSync(from)) return;
  const missing = readdirSync(from).filter((name) => !existsSync(join(to, name)));
  await copyAll(missing.map((name) => ({ from: join(from, name), to: join(to, name), bytes: 0 })));
}
