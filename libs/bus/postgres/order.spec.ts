import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Client } from 'pg';
import { BusConfig, type BusContext, type BusEvent, BusServer } from '#bus';
import { fileSettings } from '#config';
import { silentLog as log } from '#log';
import { Metrics } from '#metrics';
import { openClient } from '#postgres';
import { openStorage, type Storage, StorageConfig } from '#storage';
import { startTestDatabase, type TestDatabase, until } from '#testing';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const settings = fileSettings({ process: 'seen-query', profile: 'test', sections: [BusConfig, StorageConfig], log });
let database: TestDatabase;
let reader: Storage;
let servers: BusServer[] = [];

const event = (name: string, key: string, version: number): BusEvent => ({
  id: randomUUID(),
  name,
  key,
  version,
  body: {},
  at: new Date().toISOString(),
});
const append = (client: Client, ...events: BusEvent[]) =>
  client.query('SELECT bus.append($1::json)', [JSON.stringify(events.map((one) => ({ ...one, topic: one.name.split('.')[0] })))]);

function consume(name: string): BusServer {
  const config = settings.section(BusConfig);
  const server = new BusServer({ storage: reader, process: 'seen-query', log, metrics: new Metrics('seen-query'), config });
  const note = async (_: unknown, { event: { id, key, version }, tx }: BusContext) => {
    await tx.query('INSERT INTO seen (id, key, version) VALUES ($1, $2, $3)', [id, key, version]);
  };
  server.addHandler(name, note as never, true);
  server.listen(() => undefined);
  servers.push(server);
  return server;
}

const seen = () => reader.query<{ id: string; key: string; version: number }>('SELECT id, key, version FROM seen ORDER BY n');
const writers = (n: number): Promise<Client[]> =>
  Promise.all(Array.from({ length: n }, () => openClient(database.url('seen-command'))));

beforeAll(async () => {
  database = await startTestDatabase(['seen-command', 'seen-query']);
  const url = database.url('seen-query');
  reader = await openStorage({
    process: 'seen-query',
    url,
    entities: [],
    migrations: [],
    log,
    config: settings.section(StorageConfig),
  });
  await reader.query('CREATE TABLE seen (n bigint GENERATED ALWAYS AS IDENTITY, id uuid, key text, version int)');
});

beforeEach(() => reader.query('TRUNCATE seen'));

afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

afterAll(async () => {
  settings.close();
  await reader.close();
  await database.stop();
});

/** Two open transactions, of which the one that drew its number first commits last, after `meanwhile`. */
async function overlap(write: (client: Client, version: number) => Promise<unknown>, meanwhile: () => Promise<unknown>) {
  const [first, second] = (await writers(2)) as [Client, Client];
  await first.query('BEGIN');
  await write(first, 1);
  await second.query('BEGIN');
  const late = write(second, 2).then(() => second.query('COMMIT'));
  await meanwhile();
  await first.query('COMMIT');
  await late;
  await first.end();
  await second.end();
}

it('loses nothing when transactions overlap and commit out of order', async () => {
  consume('overlap.made');
  const write = (client: Client, version: number) => append(client, event('overlap.made', 'k', version));
  // The second has every chance to commit, and the consumer every chance to read.
  await overlap(write, () => new Promise((done) => setTimeout(done, 300)));
  await until('both are handled', async () => (await seen()).length === 2);
  expect((await seen()).map(({ version }) => version)).toEqual([1, 2]);
});

it('would lose one without the lock: the control', async () => {
  const admin = await openClient(database.postgres.url());
  await admin.query('GRANT USAGE ON SCHEMA bus TO seen_command; GRANT INSERT ON bus.event TO seen_command');
  consume('control.made');
  await until(
    'the topic is there',
    async () => (await admin.query(`SELECT 1 FROM bus.place WHERE topic = 'control'`)).rowCount === 8,
  );
  const write = async (client: Client, version: number) => {
    await client.query(
      `INSERT INTO bus.event (topic, partition, key, id, name, version, body, at) VALUES ('control', 0, 'k', $1, 'control.made', $2, '{}', now())`,
      [randomUUID(), version],
    );
    await client.query(`SELECT pg_notify('bus.control', '0')`);
  };
  const handled = (version: number) =>
    until(`${version} is handled`, async () => (await seen()).some((row) => row.version === version));
  await overlap(write, () => handled(2));
  await write(admin, 3);
  await handled(3);
  expect((await seen()).map(({ version }) => version)).toEqual([2, 3]);
  await admin.end();
});

it('delivers once and in order whatever many writers do, with pauses and rollbacks', async () => {
  consume('many.made');
  const clients = await writers(6);
  const versions = new Map<string, number>();
  const committed: string[] = [];
  // Whose turn a key is: writers of one thing take turns by its row's lock, as in every command.
  const write = async (client: Client, key: string) => {
    const isKept = Math.random() < 0.8;
    await client.query(`BEGIN; SELECT pg_advisory_xact_lock(hashtext('${key}'))`);
    const version = (versions.get(key) ?? 0) + 1;
    const made = event('many.made', key, version);
    await append(client, made);
    if (Math.random() < 0.3) await new Promise((done) => setTimeout(done, Math.random() * 10));
    if (isKept) versions.set(key, version);
    await client.query(isKept ? 'COMMIT' : 'ROLLBACK');
    if (isKept) committed.push(made.id);
  };
  await Promise.all(
    clients.map(async (client) => {
      for (let i = 0; i < 40; i++) await write(client, `k${Math.floor(Math.random() * 12)}`);
      await client.end();
    }),
  );
  await until('all are handled', async () => (await seen()).length >= committed.length);
  const rows = await seen();
  expect(rows.map(({ id }) => id).sort()).toEqual(committed.sort());
  const last = new Map<string, number>();
  for (const { key, version } of rows) {
    expect(version).toBe((last.get(key) ?? 0) + 1);
    last.set(key, version);
  }
});

/** Another instance of the same process, in a Node of its own, which is slow enough to be killed in the middle of a batch. */
async function slowInstance(): Promise<ChildProcess> {
  const script = `
    import { BusConfig, BusServer } from '#bus';
    import { fileSettings } from '#config';
    import { silentLog as log } from '#log';
    import { Metrics } from '#metrics';
    import { openStorage, StorageConfig } from '#storage';
    const settings = fileSettings({ process: 'seen-query', profile: 'test', sections: [BusConfig, StorageConfig], log });
    const storage = await openStorage({ process: 'seen-query', url: ${JSON.stringify(database.url('seen-query'))}, entities: [], migrations: [], log, config: settings.section(StorageConfig) });
    const server = new BusServer({ storage, process: 'seen-query', log, metrics: new Metrics('seen-query'), config: settings.section(BusConfig) });
    server.addHandler('share.made', async (_, { event: { id, key, version }, tx }) => {
      await tx.query('INSERT INTO seen (id, key, version) VALUES ($1, $2, $3)', [id, key, version]);
      await tx.query('SELECT pg_sleep(0.01)');
      console.log('handled');
    }, true);
    server.listen(() => console.log('listening'));`;
  const args = ['--import', `${root}libs/testing/typescript.mjs`, '--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(createInterface({ input: child.stdout }), 'line');
  return child;
}

it('shares among the instances of a process, and each effect is there once when one of them is killed in the middle of a batch', async () => {
  const child = await slowInstance();
  const handled = createInterface({ input: child.stdout! });
  const [client] = (await writers(1)) as [Client];
  const events = Array.from({ length: 200 }, (_, i) => event('share.made', `k${i % 20}`, Math.floor(i / 20) + 1));
  await append(client, ...events);
  await client.end();
  let byChild = 0;
  handled.on('line', () => (byChild += 1));
  await until('the other instance is at it', () => byChild > 10);
  consume('share.made');
  await until('this one has its share', async () => (await seen()).length > 40);
  child.kill('SIGKILL');
  await until('all are handled', async () => (await seen()).length >= 200);
  const rows = await seen();
  expect(new Set(rows.map(({ id }) => id)).size).toBe(200);
  expect(rows).toHaveLength(200);
  const last = new Map<string, number>();
  for (const { key, version } of rows) {
    expect(version).toBe((last.get(key) ?? 0) + 1);
    last.set(key, version);
  }
});

it('removes what is old and not the last of its key, and forgets instances that never came back', async () => {
  const admin = await openClient(database.postgres.url());
  const old = (key: string, version: number) => ({
    ...event('aged.made', key, version),
    at: new Date(Date.now() - 8 * 86_400_000).toISOString(),
  });
  await append(admin, old('a', 1), old('a', 2), old('b', 1), old('c', 1), event('aged.made', 'c', 2));
  await admin.query(
    `INSERT INTO bus.place (grp, topic, partition, seen_at) VALUES ('seen-query:gone', 'aged', 0, now() - interval '9 days')`,
  );
  expect(await consume('none.made').compact()).toBe(2);
  const { rows } = await admin.query(`SELECT key, version FROM bus.event WHERE topic = 'aged' ORDER BY key`);
  expect(rows).toEqual([
    { key: 'a', version: 2 },
    { key: 'b', version: 1 },
    { key: 'c', version: 2 },
  ]);
  expect((await admin.query(`SELECT 1 FROM bus.place WHERE grp = 'seen-query:gone'`)).rowCount).toBe(0);
  await admin.end();
});
