import { type BusEvent, publish as append } from '#bus';
import { fileSettings, type Flat } from '#config';
import { newContext, runWith } from '#context';
import { silentLog as log } from '#log';
import { Metrics } from '#metrics';
import { emit, OutboxConfig, outboxTables, Relay, type RelayOptions } from '#outbox';
import { openClient } from '#postgres';
import { openStorage, type Storage, StorageConfig } from '#storage';
import { startTestDatabase, type TestDatabase, until } from '#testing';

type Admin = Awaited<ReturnType<typeof openClient>>;

let database: TestDatabase;
let admin: Admin;
/** Two instances of one process. */
let one: Storage;
let two: Storage;
let relays: Relay[] = [];

const section = <T extends object>(cls: new () => T, over: Flat = {}): T => {
  const settings = fileSettings({ process: 'made-command', profile: 'test', sections: [cls], log, over });
  settings.close();
  return settings.section(cls);
};

async function instance(): Promise<Storage> {
  const url = database.url('made-command');
  return openStorage({ process: 'made-command', url, ...outboxTables, log, config: section(StorageConfig) });
}

function relay(storage: Storage, over: Flat = {}, options: Partial<RelayOptions> = {}): Relay {
  const config = section(OutboxConfig, over);
  const made = new Relay({ storage, process: 'made-command', log, metrics: new Metrics('made-command'), config, ...options });
  relays.push(made);
  return made;
}

/** Change a thing and say so, as a command does. */
const make = (storage: Storage, key: string, version: number, name = 'made.changed') =>
  storage.transaction(async (tx) => {
    await tx.query('INSERT INTO made VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET version = excluded.version', [key, version]);
    await emit(tx, { name, key, version, body: { version } });
  });

async function sent(): Promise<{ key: string; version: number; trace_id: string }[]> {
  return (await admin.query('SELECT key, version, trace_id FROM bus.event ORDER BY seq')).rows;
}
const waiting = async (): Promise<number> => (await one.query<{ n: number }>('SELECT count(*)::int AS n FROM outbox'))[0]!.n;

beforeAll(async () => {
  database = await startTestDatabase(['made-command']);
  [one, two] = await Promise.all([instance(), instance()]);
  await one.query('CREATE TABLE made (key text PRIMARY KEY, version int)');
  admin = await openClient(database.postgres.url());
});

afterEach(async () => {
  await Promise.all(relays.map((each) => each.stop()));
  relays = [];
  await admin.query('TRUNCATE bus.event');
  await one.query('TRUNCATE outbox, made');
});

afterAll(async () => {
  await admin.end();
  await Promise.all([one.close(), two.close()]);
  await database.stop();
});

it('sends what was committed, at once and in order, with the trace of its cause', async () => {
  relay(one, { 'outbox.pollMs': 60_000 }).start();
  const context = newContext();
  await runWith(context, () => make(one, 'a', 1));
  await make(one, 'a', 2);
  await until('both are sent', async () => (await sent()).length === 2);
  expect((await sent()).map(({ key, version }) => `${key}/${version}`)).toEqual(['a/1', 'a/2']);
  expect((await sent())[0]!.trace_id).toBe(context.traceId);
  expect(await waiting()).toBe(0);
});

it('sends one that comes alone at once, and a stream of them together', async () => {
  const sizes: number[] = [];
  const publish = async (...[tx, events]: Parameters<typeof append>) => {
    await append(tx, events);
    if (events.length > 0) sizes.push(events.length);
  };
  relay(one, { 'outbox.gatherMs': 400, 'outbox.pollMs': 60_000 }, { publish }).start();
  const startedMs = performance.now();
  await make(one, 'a', 1);
  await until('it is sent', () => sizes.length === 1);
  expect(performance.now() - startedMs).toBeLessThan(400);
  await Promise.all(
    ['a', 'b', 'c'].map(async (key) => {
      for (let version = 2; version <= 12; version++) await make(one, key, version);
    }),
  );
  await until('all are sent', async () => (await waiting()) === 0);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(34);
  expect(sizes.length).toBeLessThan(12);
});

it('sends nothing of a transaction that is rolled back', async () => {
  const sender = relay(one);
  sender.start();
  const failing = one.transaction(async () => {
    await make(one, 'a', 1);
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  await sender.flush();
  expect([await sent(), await waiting()]).toEqual([[], 0]);
});

it('puts each event into the log once, though sending fails after the append and the connection is cut in the middle', async () => {
  let tries = 0;
  const publish = async (...[tx, events]: Parameters<typeof append>) => {
    await append(tx, events);
    if (events.length === 0) return;
    tries += 1;
    if (tries === 1) throw new Error('cut off after the append');
    if (tries === 2) await tx.query('SELECT pg_terminate_backend(pg_backend_pid())');
  };
  relay(one, { 'outbox.retryMaxMs': 100 }, { publish }).start();
  await make(one, 'a', 1);
  await until('it is sent', async () => tries >= 3 && (await waiting()) === 0);
  expect(await sent()).toHaveLength(1);
});

it('keeps each key in order when several instances write and send at once', async () => {
  // Nobody looks by himself: what one leaves to the other must be found by that one.
  relay(one, { 'outbox.batchEvents': 7, 'outbox.pollMs': 60_000 }).start();
  relay(two, { 'outbox.batchEvents': 5, 'outbox.pollMs': 60_000 }).start();
  const keys = Array.from({ length: 8 }, (_, i) => `k${i}`);
  await Promise.all(
    keys.map(async (key, i) => {
      for (let version = 1; version <= 20; version++) await make((i + version) % 2 ? one : two, key, version);
    }),
  );
  await until('all are sent', async () => (await waiting()) === 0);
  const rows = await sent();
  expect(rows).toHaveLength(160);
  for (const key of keys)
    expect(rows.filter((row) => row.key === key).map(({ version }) => version)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
});

it('sends what was written while another instance was sending, though that one cannot see it', async () => {
  const gate = Promise.withResolvers<void>();
  let isSending = false;
  const publish = async (...[tx, events]: Parameters<typeof append>) => {
    await append(tx, events);
    isSending = true;
    await gate.promise;
  };
  for (let version = 1; version <= 5; version++) await make(one, 'a', version);
  const first = relay(one, { 'outbox.batchEvents': 10 }, { publish }).flush();
  await until('one is sending', () => isSending);
  await make(two, 'a', 6);
  const second = relay(two, { 'outbox.batchEvents': 5 }).flush();
  await new Promise((done) => setTimeout(done, 100));
  gate.resolve();
  await Promise.all([first, second]);
  expect((await sent()).map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6]);
});

it('finds what an instance left that was killed before it could send', async () => {
  await make(two, 'left', 1);
  relay(one, { 'outbox.pollMs': 50 }).start();
  await until('it is sent', async () => (await sent()).length === 1);
  await make(two, 'left', 2);
  await until('the next one too', async () => (await sent()).length === 2);
});

it('sends what is left when it is stopped', async () => {
  const sender = relay(one, { 'outbox.batchEvents': 3 });
  for (let version = 1; version <= 10; version++) await make(one, 'a', version);
  await sender.stop();
  expect(await sent()).toHaveLength(10);
});

it('repeats over another transport what that may not have got, and loses nothing', async () => {
  const got: string[] = [];
  const publish = async (_tx: unknown, events: readonly BusEvent[]) => {
    got.push(...events.map(({ key, version }) => `${key}/${version}`));
    if (got.length === 2) throw new Error('the acknowledgement was lost');
  };
  await make(one, 'a', 1);
  await make(one, 'a', 2);
  relay(one, { 'outbox.retryMaxMs': 100 }, { publish }).start();
  await until('all is acknowledged', async () => (await waiting()) === 0);
  expect(got).toEqual(['a/1', 'a/2', 'a/1', 'a/2']);
});

it('sends on by itself when PostgreSQL comes back', async () => {
  relay(one, { 'outbox.retryMaxMs': 200 }).start();
  await make(one, 'a', 1);
  await until('it is sent', async () => (await sent()).length === 1);
  await admin.end();
  await database.postgres.kill();
  await expect(make(one, 'a', 2)).rejects.toMatchObject({ type: 'storage-unavailable', status: 503 });
  await database.restart();
  admin = await openClient(database.postgres.url());
  await make(one, 'a', 3);
  await until('the next one is sent', async () => (await sent()).some(({ version }) => version === 3));
});
