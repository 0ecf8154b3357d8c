import { setTimeout as sleep } from 'node:timers/promises';
import { fileSettings } from '#config';
import { silentLog as log } from '#log';
import { isUnavailable, openStorage, type Storage, StorageConfig } from '#storage';
import { startTestDatabase, type TestDatabase, until } from '#testing';

const NAME = 'lane-command';
const SQUARE = 'SELECT $1::int * $1::int AS square, pg_backend_pid() AS pid';
const WAIT = 'SELECT pg_sleep($1::float8 / 1000)';
const DIVIDE = 'SELECT 1 / $1::int AS part';

let database: TestDatabase, storage: Storage;

beforeAll(async () => {
  database = await startTestDatabase([NAME]);
  const over = { 'storage.lanes': 2, 'storage.idleMs': 300, 'storage.statementTimeoutMs': 2000, 'storage.maxWaiting': 50 };
  const settings = fileSettings({ process: NAME, profile: 'test', sections: [StorageConfig], log, over });
  const config = settings.section(StorageConfig);
  settings.close();
  storage = await openStorage({ process: NAME, url: database.url(NAME), entities: [], migrations: [], log, config });
});

afterAll(async () => {
  await storage.close();
  await database.stop();
});

const ask = <T>(sql: string, ...params: unknown[]) => storage.statement<T>(sql, params, () => undefined);
const square = async (n: number) => (await ask<{ square: number; pid: number }>(SQUARE, n))[0]!;
const connections = async () => {
  const [row] = await storage.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()`,
  );
  return row!.n;
};

it('answers each with its own rows, many on few connections', async () => {
  const numbers = Array.from({ length: 80 }, (_, n) => n);
  const answers = await Promise.all(numbers.map(square));
  expect(answers.map(({ square }) => square)).toEqual(numbers.map((n) => n * n));
  expect(new Set(answers.map(({ pid }) => pid)).size).toBe(2);
});

it('lets what is wrong with one spoil none of those behind it', async () => {
  const all = await Promise.allSettled([1, 0, 2, 0, 4].map((by) => ask<{ part: number }>(DIVIDE, by)));
  expect(all.map((each) => (each.status === 'fulfilled' ? each.value[0]!.part : (each.reason as { code: string }).code))).toEqual(
    [1, '22012', 0, '22012', 0],
  );
});

it('tells of commits what was marked in them, and nothing of what failed', async () => {
  const told: unknown[] = [];
  const silence = storage.onCommit(({ queryRunner }) => told.push(queryRunner?.data.made));
  await storage.statement(SQUARE, [1], (tx) => void (tx.queryRunner!.data.made = 'one'));
  await storage.statement(DIVIDE, [0], (tx) => void (tx.queryRunner!.data.made = 'none')).catch(() => undefined);
  silence();
  expect(told).toEqual(['one']);
});

it('says that the database went away to those who wait, and makes its connections anew', async () => {
  await square(1);
  const waiting = Promise.allSettled([ask(WAIT, 1500), ask(WAIT, 1500), ask(WAIT, 1500)]);
  await sleep(50);
  await storage.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()`,
  );
  expect((await waiting).map((each) => each.status === 'rejected' && isUnavailable(each.reason))).toEqual([true, true, true]);
  expect((await square(7)).square).toBe(49);
});

it('is too slow for a statement that takes too long, and for one more than may wait', async () => {
  const storageSlow = { type: 'storage-slow', status: 503 };
  await expect(ask(WAIT, 2500)).rejects.toMatchObject(storageSlow);
  const many = await Promise.allSettled(Array.from({ length: 130 }, () => ask(WAIT, 5)));
  expect(many.filter(({ status }) => status === 'fulfilled')).toHaveLength(100);
  expect(many.at(-1)).toMatchObject({ status: 'rejected', reason: storageSlow });
});

it('prepares a statement anew that its connection has forgotten', async () => {
  await square(2);
  await Promise.all([ask('DEALLOCATE ALL'), ask('DEALLOCATE ALL')]);
  await Promise.allSettled([square(3), square(3)]);
  await until('it knows the statement', async () => (await square(4).catch(() => undefined))?.square === 16, 2000);
});

it('keeps no connection for long that nobody uses', async () => {
  await Promise.all([square(1), square(2)]);
  expect(await connections()).toBe(2);
  await until('they are closed', async () => (await connections()) === 0, 5000);
  expect((await square(3)).square).toBe(9);
});
