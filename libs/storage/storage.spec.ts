import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import {
  Column,
  type DataSource,
  Entity,
  type EntityManager,
  type MigrationInterface,
  PrimaryColumn,
  type QueryRunner,
} from 'typeorm';
import { fileSettings, type Flat } from '#config';
import { context, newContext, runWith } from '#context';
import { silentLog as log } from '#log';
import { isUnavailable, openStorage, type OpenOptions, type Storage, StorageConfig } from '#storage';
import { startTestDatabase, type TestDatabase, until } from '#testing';

@Entity('note')
class Note {
  @PrimaryColumn('integer') id: number;
  @Column('text') text: string;
}

class Notes1700000000001 implements MigrationInterface {
  async up(db: QueryRunner) {
    await db.query(`CREATE TABLE "note" ("id" integer PRIMARY KEY, "text" text NOT NULL)`);
    await db.query('SELECT pg_sleep(0.1)');
  }
  async down(db: QueryRunner) {
    await db.query(`DROP TABLE "note"`);
  }
}

let database: TestDatabase;
let storage: Storage;
const opened: Storage[] = [];

async function open(process: string, over: Flat = {}, options: Partial<OpenOptions> = {}): Promise<Storage> {
  const settings = fileSettings({ process, profile: 'test', sections: [StorageConfig], log, over });
  const config = settings.section(StorageConfig);
  settings.close();
  const tables = { entities: [Note], migrations: [Notes1700000000001] };
  const made = await openStorage({ process, url: database.url(process), ...tables, log, config, ...options });
  opened.push(made);
  return made;
}

const notes = async () => (await storage.db.getRepository(Note).find({ order: { id: 'ASC' } })).map(({ text }) => text);
const poolOf = (db: DataSource) => (db.driver as unknown as { master: pg.Pool }).master;

beforeAll(async () => {
  database = await startTestDatabase(['note-command', 'note-query']);
  [storage] = await Promise.all([open('note-command'), open('note-command')]);
});

beforeEach(() => storage.query('TRUNCATE note'));

afterAll(async () => {
  await Promise.all(opened.map((one) => one.close()));
  await database.stop();
});

it('migrates once when two instances open together, in the schema of the process alone', async () => {
  expect(await storage.query('SELECT name FROM migrations')).toEqual([{ name: 'Notes1700000000001' }]);
  expect(await storage.query(`SELECT schemaname FROM pg_tables WHERE tablename = 'note'`)).toEqual([
    { schemaname: 'note_command' },
  ]);
  const names = await storage.query<{ n: string }>(
    'SELECT DISTINCT application_name AS n FROM pg_stat_activity WHERE usename = current_user',
  );
  expect(names).toEqual([{ n: 'note-command' }]);
});

it('does all of a transaction or nothing, and lets what is inside join it', async () => {
  await storage.transaction(async (tx) => {
    await tx.insert(Note, { id: 1, text: 'outer' });
    expect(context()?.tx).toBe(tx);
    await storage.transaction((inner) => inner.insert(Note, { id: 2, text: 'inner' }));
    expect(await storage.query('SELECT count(*)::int AS n FROM note')).toEqual([{ n: 2 }]);
  });
  expect(context()?.tx).toBeUndefined();
  const failing = storage.transaction(async (tx) => {
    await tx.insert(Note, { id: 3, text: 'never' });
    throw new Error('changed my mind');
  });
  await expect(failing).rejects.toThrow('changed my mind');
  expect(await notes()).toEqual(['outer', 'inner']);
});

it('opens its own transaction where that of another process is in the context', async () => {
  const other = await open('note-query');
  await storage.transaction(async (tx) => {
    await tx.insert(Note, { id: 1, text: 'ours' });
    await other.transaction((theirs) => theirs.insert(Note, { id: 1, text: 'theirs' }));
  });
  expect(await other.db.getRepository(Note).countBy({ text: 'theirs' })).toBe(1);
  expect(await notes()).toEqual(['ours']);
});

it('tells of a commit once, after it, and not of a rollback or an inner savepoint', async () => {
  const told: Promise<{ n: number }[]>[] = [];
  const silence = storage.onCommit(() => void told.push(storage.query('SELECT count(*)::int AS n FROM note')));
  await storage.transaction(async (tx) => {
    await tx.transaction((savepoint: EntityManager) => savepoint.insert(Note, { id: 1, text: 'a' }));
    await tx.insert(Note, { id: 2, text: 'b' });
  });
  await expect(storage.transaction(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  silence();
  expect(await Promise.all(told)).toEqual([[{ n: 2 }]]);
});

it('ends a request that takes or waits too long with 503, and gives background work its own limits', async () => {
  const slow = await open('note-command', { 'storage.statementTimeoutMs': 100, 'storage.lockTimeoutMs': 50 });
  const busy = { type: 'storage-slow', status: 503, headers: { 'Retry-After': '1' } };
  await expect(slow.query('SELECT pg_sleep(0.3)')).rejects.toMatchObject(busy);
  await expect(slow.db.getRepository(Note).query('SELECT pg_sleep(0.3)')).rejects.toMatchObject(busy);
  await storage.transaction(async (tx) => {
    await tx.query('LOCK TABLE note');
    await expect(runWith(newContext(), () => slow.query('SELECT * FROM note'))).rejects.toMatchObject(busy);
  });
  const limits = { statementTimeoutMs: 1_000, lockTimeoutMs: 1_000 };
  await expect(slow.background(limits, (tx) => tx.query('SELECT pg_sleep(0.2)'))).resolves.toHaveLength(1);
  await expect(slow.query('SELECT pg_sleep(0.2)')).rejects.toMatchObject(busy);
});

it('lets only so many wait for a connection', async () => {
  const narrow = await open('note-command', { 'storage.poolSize': 1, 'storage.maxWaiting': 2 });
  const asked = Array.from({ length: 6 }, () =>
    narrow.query('SELECT pg_sleep(0.05)').then(
      () => 'answered',
      (error: { type: string }) => error.type,
    ),
  );
  expect((await Promise.all(asked)).sort()).toEqual([
    'answered',
    'answered',
    'answered',
    'storage-slow',
    'storage-slow',
    'storage-slow',
  ]);
});

it('opens sockets outside of the request that happens to need them', async () => {
  const fresh = await open('note-command', { 'storage.poolSize': 1, 'storage.idleMs': 100 });
  await until('the first connection is closed', () => poolOf(fresh.db).totalCount === 0);
  const client = await runWith(newContext(), async () => {
    await fresh.query('SELECT 1');
    return poolOf(fresh.db).connect();
  });
  const { stream } = (client as unknown as { connection: { stream: NodeJS.ReadableStream } }).connection;
  let seen: unknown = 'nothing';
  stream.once('data', () => (seen = context()));
  await client.query('SELECT 1');
  client.release();
  expect(seen).toBeUndefined();
});

it('hears notifications, each listener those of its channel, until it has heard enough', async () => {
  const heard: string[] = [];
  const other = await open('note-query');
  const stop = await storage.listen('news.movie', (said) => void heard.push(said));
  await storage.listen('news.end', (said) => void heard.push(said));
  await other.query(`SELECT pg_notify('news.other', 'x'), pg_notify('news.movie', 'one')`);
  await until('it is heard', () => heard.length > 0);
  await stop();
  await other.query(`SELECT pg_notify('news.movie', 'two'), pg_notify('news.end', 'end')`);
  await until('the end is heard', () => heard.includes('end'));
  expect(heard).toEqual(['one', 'end']);
});

it('answers 503 while PostgreSQL is away, says what it waits for, and works again by itself', async () => {
  const heard: string[] = [];
  await storage.listen('news.again', (said) => void heard.push(said));
  const hanging = storage.query('SELECT pg_sleep(0.4)').catch((error: unknown) => error);
  const inside = storage.transaction(async (tx) => {
    await tx.insert(Note, { id: 1, text: 'lost' });
    await sleep(200);
    await tx.insert(Note, { id: 2, text: 'lost too' });
  });
  const lost = expect(inside).rejects.toMatchObject({ type: 'storage-unavailable' });
  await sleep(100);
  await database.postgres.kill();
  expect(isUnavailable(await hanging)).toBe(true);
  await lost;
  await expect(storage.ping()).rejects.toMatchObject({
    type: 'storage-unavailable',
    status: 503,
    headers: { 'Retry-After': '1' },
  });
  const waits: string[] = [];
  const late = open('note-query', {}, { waiting: (why) => void waits.push(why) });
  await sleep(150);
  await database.restart();
  const late2 = await late;
  expect(waits[0]).toMatch(/^the database at 127\.0\.0\.1:\d+ does not answer$/);
  expect(await notes()).toEqual([]);
  await expect(late2.ping()).resolves.toBeUndefined();
  await until('listeners are told that they may have missed something', () => heard[0] === '');
  await storage.query(`SELECT pg_notify('news.again', 'still here')`);
  await until('notifications arrive again', () => heard.includes('still here'));
});

it('waits for the preparation of a database, and gives up when told to', async () => {
  const waits: string[] = [];
  const stop = new AbortController();
  const opening = open('note-query', {}, { process: 'vote-query', signal: stop.signal, waiting: (why) => void waits.push(why) });
  while (waits.length === 0) await sleep(10);
  expect(waits[0]).toContain('is not prepared for vote-query: run npx mesh db prepare');
  stop.abort();
  await expect(opening).rejects.toThrow(/aborted/);
});
