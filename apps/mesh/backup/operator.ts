import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { environment, type Environment } from '#config';
import { type ClusterPlace, openClient, placeOf, startPostgres } from '#postgres';
import { runningMesh } from '../machine/runtime.js';
import { answer, columns, print } from '../operate/print.js';
import { endArchive, pruneArchive } from './archive.js';
import { takeBackup } from './backup.js';
import { backupsIn, type Kept, keptBackups, thinOut } from './kept.js';
import type { Manifest } from './manifest.js';
import { restore, type Restored } from './restore.js';
import { archiveSize, segmentsIn } from './wal.js';

/** What `mesh backup` was asked. */
export interface BackupWish {
  list?: boolean;
  keep: number;
  keepDays: number;
  endArchive?: boolean;
  json?: boolean;
}

/** What `mesh restore` was asked. */
export interface RestoreWish {
  to?: string;
  data?: string;
  archive?: string;
  yes?: boolean;
  json?: boolean;
}

const OUTSIDE = `the database is given by DATABASE_URL: back it up with its own tools (pg_basebackup and its archive of the log, or the provider's), and keep the secrets folder with it`; // prettier-ignore
/** An instant as a folder's name, on every system. */
const nameFor = (at: Date) => `${at.toISOString().slice(0, 19).replaceAll(':', '-')}Z`;
const megabytes = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MB`;
const seconds = (sinceMs: number) => (performance.now() - sinceMs) / 1000;

function refuse(why: string, code: number): number {
  process.stderr.write(`mesh: ${why}\n`);
  return code;
}

/** Tells how far it is: JSON lines, or one line that is rewritten in a terminal. */
function progress(json: boolean | undefined): { said: (doing: string, done: number, total: number) => void; end: () => void } {
  const live = process.stdout.isTTY && !json;
  let last = '';
  return {
    said: (doing, done, total) => {
      const percent = Math.min(100, Math.floor((done / Math.max(1, total)) * 100));
      const line = `${doing} ${percent} % of ${megabytes(total)}`;
      if (line === last || !(live || json)) return;
      last = line;
      if (json) print(JSON.stringify({ doing, doneBytes: done, totalBytes: total }));
      else process.stdout.write(`\r\u001b[K${line}`);
    },
    end: () => void (live && process.stdout.write('\r\u001b[K')),
  };
}

/** The cluster of the data folder, started for this when no mesh runs. @throws Error when there is none */
async function withCluster<T>({ dataDir }: Environment, use: (place: ClusterPlace) => Promise<T>): Promise<T> {
  const dir = join(dataDir, 'postgres');
  if (!existsSync(dir)) throw new Error(`there is no database in ${dataDir}: start the mesh once (npm start), or name its folder in MESH_DATA`); // prettier-ignore
  if (placeOf(dir).isRunning) return use(placeOf(dir));
  const server = await startPostgres({ dir });
  try {
    return await use(placeOf(dir));
  } finally {
    await server.stop();
  }
}

/** `mesh backup [folder]`. @returns the exit code: 2 for a database given from outside */
export async function backup(folder: string | undefined, wish: BackupWish): Promise<number> {
  const env = environment();
  if (env.secret('DATABASE_URL')) return refuse(OUTSIDE, 2);
  if (wish.list) return list(env, wish.json);
  const startedMs = performance.now();
  if (wish.endArchive) return withCluster(env, (place) => end(place, wish.json));
  const to = resolve(folder ?? join(backupsIn(env.dataDir), nameFor(new Date())));
  const { said, end: over } = progress(wish.json);
  return withCluster(env, async (place) => {
    const { dataDir, version } = env;
    if (!existsSync(place.archiveDir) && !wish.json)
      print('PostgreSQL begins to keep its log; right after a start that takes it some 15 s, once');
    const options = { place, dataDir, to, version, onProgress: (done: number, total: number) => said('copying', done, total) };
    const manifest = await takeBackup(options).finally(over);
    const gone = folder === undefined ? await thinOut(dataDir, wish.keep) : [];
    const oldest = keptBackups(dataDir).flatMap((kept) => kept.manifest?.startWal ?? []);
    pruneArchive(place.archiveDir, [manifest.startWal, ...oldest].sort()[0]!, wish.keepDays);
    const { endedAt, bytes, files } = manifest;
    const result = {
      folder: to,
      endedAt,
      bytes,
      files: files.length,
      seconds: Number(seconds(startedMs).toFixed(2)),
      removed: gone,
    };
    print(wish.json ? JSON.stringify(result) : backupText(to, manifest, result.seconds, gone));
    return 0;
  });
}

function backupText(to: string, { endedAt, bytes, files }: Manifest, took: number, gone: readonly string[]): string {
  return [
    `${megabytes(bytes)} in ${files.length} files, complete at ${endedAt}, in ${took.toFixed(1)} s: ${to}`,
    'It holds the secrets of the mesh: keep it where nobody else can read it.',
    ...(gone.length > 0 ? [`removed, since enough younger ones are kept: ${gone.join(', ')}`] : []),
    `npx mesh restore ${to}        as it was then; --to <instant> for any time since`,
  ].join('\n');
}

async function end(place: ClusterPlace, json?: boolean): Promise<number> {
  const db = await openClient(place.url('postgres'), { name: 'mesh-backup' });
  await endArchive(db, place).finally(() => db.end());
  answer(json, { archive: null }, () => 'the log is kept no longer; each backup can be restored to its own end');
  return 0;
}

function list({ dataDir }: Environment, json?: boolean): number {
  const all = keptBackups(dataDir);
  const dir = join(dataDir, 'postgres');
  const archiveDir = existsSync(dir) ? placeOf(dir).archiveDir : undefined;
  const archive = archiveDir ? { folder: archiveDir, ...archiveSize(archiveDir) } : undefined;
  const reach = ({ manifest }: Kept) =>
    manifest && manifest.archiveDir === archiveDir && segmentsIn(archiveDir).includes(manifest.stopWal) ? 'now' : undefined;
  const found = all.map((kept) => ({
    name: kept.name,
    folder: kept.folder,
    state: kept.fault ?? 'whole',
    bytes: kept.manifest?.bytes,
    from: kept.manifest?.endedAt,
    until: kept.manifest && (reach(kept) ?? kept.manifest.endedAt),
  }));
  answer(json, { backups: found, archive }, () => {
    if (found.length === 0) return `there is no backup in ${backupsIn(dataDir)}: npx mesh backup takes one`;
    const table = found.map(({ name, state, bytes, from, until }) => [name, bytes && megabytes(bytes), from, until, state]);
    const kept = archive ? `\nlog kept: ${archive.segments} pieces, ${megabytes(archive.bytes)}, in ${archive.folder}` : '';
    return `${columns(['BACKUP', 'SIZE', 'RESTORABLE FROM', 'UNTIL', 'STATE'], table)}${kept}`;
  });
  return 0;
}

/** `mesh restore <backup>`. @returns the exit code: 1 when nothing was restored, 2 for a database given from outside */
export async function bringBack(folder: string, wish: RestoreWish): Promise<number> {
  const { dataDir, secret } = environment();
  if (secret('DATABASE_URL')) return refuse(OUTSIDE, 2);
  const startedMs = performance.now();
  const named = join(backupsIn(dataDir), folder);
  const from = !existsSync(folder) && existsSync(named) ? named : folder;
  const data = resolve(wish.data ?? join(dataDir, 'restored', nameFor(new Date())));
  const running = runningMesh(data);
  if (running) return refuse(`a mesh runs on ${data} (process ${running.pid}): stop it first, or restore to another folder (--data)`, 1); // prettier-ignore
  if (existsSync(join(data, 'postgres'))) {
    if (placeOf(join(data, 'postgres')).isRunning) return refuse(`PostgreSQL runs on ${data}: stop it first`, 1);
    if (!wish.yes) return refuse(`${data} holds a mesh's data: they are replaced, and kept beside, only with --yes`, 1);
  }
  const { said, end: over } = progress(wish.json);
  const options = { folder: from, to: wish.to, data, archiveDir: wish.archive, ownData: dataDir, replace: wish.yes };
  const restored = await restore({ ...options, onProgress: said }).finally(over);
  const took = Number(seconds(startedMs).toFixed(2));
  print(wish.json ? JSON.stringify({ ...restored, seconds: took }) : restoredText(restored, resolve(dataDir) === data, took));
  return 0;
}

function restoredText({ data, lastCommitAt, keptAs }: Restored, isOwn: boolean, took: number): string {
  return [
    `restored in ${took.toFixed(1)} s to ${data}${lastCommitAt ? `; its last commit is of ${lastCommitAt}` : ''}`,
    ...(keptAs ? [`what was there is kept as postgres${keptAs} and secrets${keptAs}; its log for another try: --archive`] : []),
    isOwn ? 'npm start        starts it' : `MESH_DATA=${data} npm start -- --port 9090        starts it beside the other`,
    'No log is kept of it until its own first backup: npx mesh backup',
  ].join('\n');
}
