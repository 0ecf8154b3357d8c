import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type EmbeddedPostgres, openClient, placeOf, prepareDatabase, removePostgres, startPostgres } from '#postgres';
import { until } from '#testing';
import { beginArchive, pruneArchive } from './archive.js';
import { takeBackup } from './backup.js';
import { keptBackups, thinOut } from './kept.js';
import { type Manifest, readManifest, writeManifest } from './manifest.js';
import { restore } from './restore.js';
import { gapIn, segmentsIn } from './wal.js';

/** A write, and the time in which it was made: it was committed at some moment in between. Ms since the epoch. */
interface Written {
  n: number;
  beganAtMs: number;
  acknowledgedAtMs: number;
}

let home: string;
let server: EmbeddedPostgres;
let first: Manifest;
const dir = () => join(home, 'postgres');
const backups = () => join(home, 'backups');
const writers: Promise<void>[] = [];
const written: Written[] = [];
let isWriting = true;
let last = 0;

const now = () => performance.timeOrigin + performance.now();
const textOf = (n: number) => createHash('sha256').update(`write ${n}`).digest('hex').repeat(4);
const instant = (ms: number) => new Date(ms).toISOString();

async function write(url: string) {
  const db = await openClient(url, { onLost: () => undefined });
  while (isWriting) {
    const n = ++last;
    const beganAtMs = now();
    await db.query('INSERT INTO sale VALUES ($1, $2)', [n, textOf(n)]);
    written.push({ n, beganAtMs, acknowledgedAtMs: now() });
    await pause(2);
  }
  await db.end();
}

/** What a restored copy holds, by number; each row with the content that was written. */
async function salesIn(data: string): Promise<Set<number>> {
  const restored = await startPostgres({ dir: join(data, 'postgres') });
  const db = await openClient(restored.url());
  const { rows } = (await db.query('SELECT n, text FROM sale')) as { rows: { n: number; text: string }[] };
  await db.end();
  await restored.stop();
  for (const { n, text } of rows) expect(text).toBe(textOf(n));
  return new Set(rows.map(({ n }) => n));
}

const acknowledgedBefore = (ms: number) => written.filter(({ acknowledgedAtMs }) => acknowledgedAtMs < ms).map(({ n }) => n);
const begunAfter = (ms: number) => written.filter(({ beganAtMs }) => beganAtMs > ms).map(({ n }) => n);
const backup = (to: string, onProgress?: () => void) =>
  takeBackup({ place: placeOf(dir()), dataDir: home, to, version: '0.0.0', onProgress });
const into = (name: string, more: { to?: string; archiveDir?: string; folder?: string } = {}) =>
  restore({ folder: join(backups(), 'first'), data: join(home, name), ownData: home, ...more });

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'cinemanzana-backup-'));
  chmodSync(home, 0o711);
  server = await startPostgres({ dir: dir() });
  await prepareDatabase(server.url(), { processes: ['sale-command'], secretsDir: join(home, 'secrets') });
  const db = await openClient(server.url());
  await db.query('CREATE TABLE sale (n int PRIMARY KEY, text text NOT NULL)');
  expect(await beginArchive(db, placeOf(dir()))).toBe(true);
  expect(await beginArchive(db, placeOf(dir()))).toBe(false);
  await db.end();
  // A running archiver takes up its module when it is ten seconds old; a new one at once.
  await server.stop();
  server = await startPostgres({ dir: dir() });
  // What fails when the server is killed was not acknowledged.
  writers.push(...[1, 2, 3].map(() => write(server.url()).catch(() => undefined)));
  await until('there are writes before the backup', () => written.length > 50);
  first = await backup(join(backups(), 'first'));
});

afterAll(async () => {
  isWriting = false;
  await Promise.all(writers);
  await server.stop();
  for (const name of readdirSync(home)) {
    for (const cluster of ['.', 'postgres']) {
      const at = join(home, name, cluster);
      if (existsSync(join(at, 'password'))) await removePostgres(at);
    }
  }
  rmSync(home, { recursive: true, force: true });
});

it('copies while writers go on, and what it holds can be read by its owner alone', () => {
  const duringMs = [Date.parse(first.startedAt), Date.parse(first.endedAt)] as const;
  const during = written.filter(({ beganAtMs, acknowledgedAtMs }) => beganAtMs > duringMs[0] && acknowledgedAtMs < duringMs[1]);
  expect(during.length).toBeGreaterThan(20);
  for (const { path } of first.files) expect(statSync(join(backups(), 'first', path)).mode & 0o777).toBe(0o600);
  expect(first.files.map(({ path }) => path)).toEqual(expect.arrayContaining(['base/backup_label', 'beside/secrets/db-sale-command', 'beside/password', `wal/${first.stopWal}`])); // prettier-ignore
});

it('restores to an instant: all that was acknowledged before it, none that was begun after, each as it was written', async () => {
  await pause(300);
  const atMs = now();
  await pause(300);
  await into('then', { to: new Date(Math.ceil(atMs)).toISOString() });
  const found = await salesIn(join(home, 'then'));
  expect(acknowledgedBefore(atMs).length).toBeGreaterThan(200);
  expect(begunAfter(atMs + 1).length).toBeGreaterThan(50);
  expect(acknowledgedBefore(atMs).filter((n) => !found.has(n))).toEqual([]);
  expect(begunAfter(atMs + 1).filter((n) => found.has(n))).toEqual([]);
  expect(readFileSync(join(home, 'then/secrets/db-sale-command'))).toEqual(readFileSync(join(home, 'secrets/db-sale-command')));
});

it('restores to its own end without any archive', async () => {
  const elsewhere = join(home, 'moved');
  cpSync(join(backups(), 'first'), elsewhere, { recursive: true });
  await into('alone', { folder: elsewhere, archiveDir: join(home, 'nowhere') });
  const found = await salesIn(join(home, 'alone'));
  expect(acknowledgedBefore(Date.parse(first.startedAt)).filter((n) => !found.has(n))).toEqual([]);
  expect(begunAfter(Date.parse(first.endedAt) + 1).filter((n) => found.has(n))).toEqual([]);
});

it.each([
  ['a file that has changed', 'base/PG_VERSION', '17\n', /PG_VERSION: its content has changed/],
  ['a file that is cut off', 'base/global/pg_control', '1', /pg_control is missing or cut off/],
  ['a piece of the log that is missing', 'wal', undefined, /wal.* is missing or cut off/],
  ['a manifest that is cut off', 'manifest.json', '{"format":1,', /manifest.json is damaged/],
  ['a manifest that was changed', 'manifest.json', '{"format":1,"files":[]}', /manifest.json is damaged/],
  ['a copy that was never finished', 'manifest.json', undefined, /is no backup: it has no manifest/],
])('refuses %s, says so, and leaves nothing behind', async (_what, path, content, complaint) => {
  const file = join(backups(), 'first', path);
  renameSync(file, `${file}.whole`);
  try {
    if (content !== undefined) writeFileSync(file, content);
    await expect(into('refused')).rejects.toThrow(complaint);
  } finally {
    rmSync(file, { force: true });
    renameSync(`${file}.whole`, file);
  }
  expect(existsSync(join(home, 'refused')) ? readdirSync(join(home, 'refused')) : []).toEqual([]);
});

it('says what is wrong with an instant that it cannot restore to', async () => {
  await expect(into('never', { to: 'yesterday' })).rejects.toThrow('no instant such as');
  await expect(into('never', { to: instant(Date.now() + 60_000) })).rejects.toThrow('lies ahead');
  await expect(into('never', { to: instant(Date.parse(first.startedAt)) })).rejects.toThrow('take an older one');
  await expect(into('never', { to: instant(Date.now()), archiveDir: join(home, 'nowhere') })).rejects.toThrow('name the archive');
  expect(existsSync(join(home, 'never', 'postgres'))).toBe(false);
});

it('finds gaps in the log', () => {
  const names = ['0000000100000000000000FE', '0000000100000000000000FF', '000000010000000100000000'];
  expect(gapIn(names, 16_777_216)).toBeUndefined();
  expect(gapIn([names[0]!, names[2]!], 16_777_216)).toEqual([names[0], names[2]]);
});

it('keeps the youngest, and of the log what those need', async () => {
  const shelf = join(home, 'shelf');
  for (const name of ['a', 'b', 'c']) {
    mkdirSync(join(shelf, 'backups', name, 'base'), { recursive: true });
    await writeManifest(join(shelf, 'backups', name), { ...first, files: [{ path: 'base/PG_VERSION', bytes: 3, sha256: '' }] });
    writeFileSync(join(shelf, 'backups', name, 'base/PG_VERSION'), name === 'b' ? '' : '18\n');
  }
  expect(keptBackups(shelf).map(({ name, fault }) => [name, fault])).toEqual([
    ['a', undefined],
    ['b', 'base/PG_VERSION is missing or cut off'],
    ['c', undefined],
  ]);
  expect(await thinOut(shelf, 1)).toEqual(['a']);
  const log = join(home, 'log');
  mkdirSync(log);
  for (const name of [1, 2, 3].map((n) => `${n}`.padStart(24, '0'))) writeFileSync(join(log, name), '');
  expect(pruneArchive(log, '2'.padStart(24, '0'), 1)).toBe(0);
  expect(pruneArchive(log, '2'.padStart(24, '0'), -1)).toBe(1);
  expect(segmentsIn(log)).toHaveLength(2);
});

it('leaves no half backup that looks whole, neither failed nor killed', async () => {
  const killed = join(backups(), '.old.partial-4194303');
  mkdirSync(killed);
  const broken = backup(join(backups(), 'broken'), () => {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  });
  await expect(broken).rejects.toThrow('is full: nothing was kept');
  expect(readdirSync(backups())).toEqual(['first']);
  await expect(backup(join(backups(), 'first'))).rejects.toThrow('is not empty');
});

// Last, since it ends the server that the others use.
it('replaces the data of a server that was killed, with every write that it acknowledged, and keeps the old', async () => {
  await server.kill();
  isWriting = false;
  await Promise.all(writers);
  await expect(restore({ folder: join(backups(), 'first'), data: home, ownData: home })).rejects.toThrow('holds a mesh');
  const { keptAs } = await restore({ folder: join(backups(), 'first'), to: 'latest', data: home, ownData: home, replace: true });
  const found = await salesIn(home);
  expect(written.filter(({ n }) => !found.has(n))).toEqual([]);
  expect(found.size).toBeLessThanOrEqual(last);
  expect(existsSync(placeOf(join(home, `postgres${keptAs}`)).dataDir)).toBe(true);
  const from = readManifest(join(backups(), 'first'));
  expect(from.archiveDir).not.toBe(placeOf(join(home, `postgres${keptAs}`)).archiveDir);
});
