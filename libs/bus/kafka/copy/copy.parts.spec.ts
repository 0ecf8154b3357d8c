import { randomUUID } from 'node:crypto';
import { BusConfig, BusServer, copyEvents, KafkaConfig, openLog, publish, topicOf } from '#bus';
import { fileSettings } from '#config';
import { silentLog } from '#log';
import { Metrics } from '#metrics';
import { openClient } from '#postgres';
import { Bench, expectInOrder, expectOnce, type Handler } from '../../bench.contract.js';
import { BROKERS, onKafka } from '../bench.contract.js';
import type { Copied, CopyOptions } from './copy.js';

let bench: Bench;
let prefix: string;
let name: string;
const secret = (key: string) => process.env[key];
const broken = new Set<string>();
const handle: Handler = async (body, context) => {
  const { key, version } = context.event;
  if (broken.has(`${key}/${version}`)) throw new TypeError('nobody can read it');
  await bench.note(body, context);
};

function sections(over: Record<string, string | number> = {}) {
  const given = { process: 'seen-query', profile: 'test', sections: [KafkaConfig, BusConfig], log: silentLog };
  const settings = fileSettings({ ...given, over: { 'kafka.topicPrefix': prefix, 'kafka.startMs': 20_000, ...over } });
  settings.close();
  return { config: settings.section(KafkaConfig), busConfig: settings.section(BusConfig) };
}

const open = (brokers: readonly string[], process = 'seen-query') =>
  openLog({ storage: bench.reader, process, brokers, secret, log: silentLog, ...sections() });

async function withAdmin<T>(fn: (admin: CopyOptions['admin']) => Promise<T>): Promise<T> {
  const client = await openClient(bench.database.postgres.url(), { name: 'copy' });
  try {
    return await fn({ query: async (sql, params = []) => (await client.query(sql, [...params])).rows as never });
  } finally {
    await client.end();
  }
}

const asAdmin = <T extends object>(sql: string, params?: unknown[]) => withAdmin((admin) => admin.query<T>(sql, params));

const copy = (report: CopyOptions['report'] = () => undefined, back = false): Promise<Copied> =>
  withAdmin((admin) => copyEvents({ admin, back, brokers: BROKERS, secret, log: silentLog, report, ...sections() }));

/** Versions of twenty keys, from `from` on, as many as are asked for. */
async function send(from: number, versions: number, keys = 20): Promise<void> {
  for (let version = from; version < from + versions; version++)
    await bench.send(...Array.from({ length: keys }, (_, i) => bench.event(name, `k${i}`, version)));
}

/** The consumer over Kafka, and how to send to it. */
async function onKafkaNow(fn: (send: Bench['send']) => Promise<void>) {
  const source = (await open(BROKERS))!;
  const { busConfig: config } = sections({ 'bus.parkAfterTries': 1, 'bus.parkAfterMs': 0, 'bus.pollMs': 200 });
  const metrics = new Metrics('seen-query');
  const server = new BusServer({ storage: bench.reader, process: 'seen-query', log: silentLog, metrics, config, source });
  server.addHandler(name, handle as never, true, {});
  server.listen(() => undefined);
  try {
    await fn((...events) => bench.writer.transaction((tx) => source.publish(tx, events)));
  } finally {
    await server.close();
    await source.close();
  }
}

onKafka('copying the log in PostgreSQL to Kafka (KAFKA_BROKERS)', () => {
  beforeEach(async () => {
    prefix = `copy-${randomUUID()}.`;
    broken.clear();
    bench = await Bench.open((writer) => ({ send: (events) => writer.transaction((tx) => publish(tx, events)) }));
    name = bench.name('moved');
  });
  afterEach(() => bench.close());

  it('goes on where each consumer was: what it had read is not read again, what it had not is', async () => {
    const first = bench.consume({ on: { [name]: handle } });
    await send(1, 5);
    await bench.untilSeen(100);
    await first.close();
    await send(6, 5);
    // Killed while it was further in one partition than in the others.
    const [further] = await asAdmin<{ partition: number; seq: string }>(
      'SELECT partition, max(seq) - 3 AS seq FROM bus.event GROUP BY partition ORDER BY count(*) DESC LIMIT 1',
    );
    await bench.reader.query('SELECT bus.move($1, $2, $3, $4)', ['seen-query', topicOf(name), further!.partition, further!.seq]);
    const sql = 'SELECT id FROM bus.event WHERE version > 5 AND NOT (partition = $1 AND seq <= $2)';
    const unread = (await asAdmin<{ id: string }>(sql, [further!.partition, further!.seq])).map(({ id }) => id);
    expect(unread.length).toBeLessThan(100);
    const { topics, groups } = await copy();
    expect([topics[0]!.copied, topics[0]!.before, groups]).toEqual([200, 0, 1]);
    await bench.clear();
    await onKafkaNow(async (more) => {
      const next = Array.from({ length: 20 }, (_, i) => bench.event(name, `k${i}`, 11));
      await more(...next);
      await bench.untilSeen(unread.length + 20);
      expect((await bench.seen()).map(({ id }) => id).sort()).toEqual([...unread, ...next.map(({ id }) => id)].sort());
    });
  });

  it('carries parked events: they wait, are handled when asked for, and what came later waits behind them', async () => {
    broken.add('k3/2');
    bench.consume({ on: { [name]: handle }, over: { 'bus.parkAfterTries': 1, 'bus.parkAfterMs': 0 } });
    await send(1, 4);
    await bench.untilSeen(77);
    await bench.closeServers();
    await copy();
    await onKafkaNow(async (more) => {
      await more(bench.event(name, 'k3', 5), bench.event(name, 'k4', 5));
      await bench.untilSeen(78);
      broken.clear();
      await bench.reader.query('SELECT bus.redrive(NULL, NULL)');
      await bench.untilSeen(82);
    });
    expectInOrder(await bench.seen());
    expectOnce(await bench.seen());
  });

  it('is run again after it was stopped, and beside writers, and leaves nothing out and nothing twice', async () => {
    await send(1, 100, 30);
    const stopped = copy((_, copied) => {
      if (copied >= 1000) throw new Error('stopped');
    });
    await expect(stopped).rejects.toThrow('stopped');
    const writing = send(101, 20, 30);
    const [{ topics }] = await Promise.all([copy(), writing.catch(() => undefined)]);
    expect(topics[0]!.before).toBeGreaterThanOrEqual(1000);
    expect((await copy()).topics).toEqual([]);
    await onKafkaNow(async () => {
      await bench.untilSeen(topics[0]!.copied + topics[0]!.before);
      await new Promise((done) => setTimeout(done, 300));
    });
    expectInOrder(await bench.seen());
    expectOnce(await bench.seen());
    await expect(send(200, 1)).rejects.toThrow('the events of this mesh are in another log');
  });

  it('carries them back once they are read, and is refused before', async () => {
    await send(1, 3);
    await copy();
    await expect(copy(undefined, true)).resolves.toMatchObject({ topics: [{ copied: 60 }] }); // nobody reads it yet
    bench.consume({ on: { [name]: handle } });
    await bench.untilSeen(60);
    await bench.closeServers();
    prefix = `again-${prefix}`;
    await copy();
    broken.add('k3/5');
    await onKafkaNow(async (more) => {
      for (const version of [4, 5, 6]) await more(...Array.from({ length: 20 }, (_, i) => bench.event(name, `k${i}`, version)));
      await bench.untilSeen(118);
    });
    const source = (await open(BROKERS))!;
    const late = bench.event(name, 'k7', 7);
    await bench.writer.transaction((tx) => source.publish(tx, [late]));
    await source.close();
    await expect(copy(undefined, true)).rejects.toThrow(/seen-query has 1 events of .* to read yet/);
    await onKafkaNow(() => bench.untilSeen(119));
    expect(await copy(undefined, true)).toMatchObject({ log: 'postgresql', topics: [{ copied: 121 }], groups: 1 });
    broken.clear();
    bench.consume({ on: { [name]: handle } });
    await bench.reader.query('SELECT bus.redrive(NULL, NULL)');
    await bench.send(...['k3', 'k4'].map((key) => bench.event(name, key, 7)));
    await bench.untilSeen(123);
    expectInOrder(await bench.seen());
    expectOnce(await bench.seen());
  });

  it('is asked for by a process that is given the wrong log, which does not start', async () => {
    await send(1, 1);
    await expect(open(BROKERS)).rejects.toThrow(/events of this mesh are in PostgreSQL.*npx mesh events copy/);
    await copy();
    await expect(open([])).rejects.toThrow(
      /events of this mesh are in Kafka.*this one is given PostgreSQL.*npx mesh events copy/,
    );
    prefix = `other-${prefix}`;
    await expect(open(BROKERS)).rejects.toThrow(/events of this mesh are in Kafka.*npx mesh events copy/);
  });

  it('is not needed by a mesh that has no events yet', async () => {
    const log = await open(BROKERS);
    await log!.close();
    expect(await open([])).toBeUndefined();
  });
});
