import { Admin, Producer } from '@platformatic/kafka';
import { until } from '#testing';
import type { Bench } from '../bench.contract.js';
import { busContract } from '../contract.js';
import { parkingContract } from '../parking/contract.js';
import { BROKERS, clusterOf, onKafka, openKafkaBench } from './bench.contract.js';
import { tickIdle } from './tick.js';

onKafka('the log in Kafka (KAFKA_BROKERS)', () => busContract(() => openKafkaBench()));

onKafka('parking, over the log in Kafka (KAFKA_BROKERS)', () => parkingContract(() => openKafkaBench()));

onKafka('the log in Kafka alone (KAFKA_BROKERS)', () => {
  const client = { clientId: 'spec', bootstrapBrokers: BROKERS };
  let bench: Bench;
  beforeAll(async () => void (bench = await openKafkaBench()));
  beforeEach(() => bench.clear());
  afterEach(() => bench.closeServers());
  afterAll(() => bench.close());

  it('keeps the last event of each key for ever and the older ones a week, whoever made the topic first', async () => {
    const name = bench.name('kept');
    await bench.send(bench.event(name, 'k'));
    const admin = new Admin(client);
    const [{ configs }] = (await admin.describeConfigs({
      resources: [{ resourceType: 2, resourceName: `test.${name.split('.')[0]}` }],
    })) as unknown as [{ configs: { name: string; value: string }[] }];
    await admin.close();
    const day = 86_400_000;
    const set = Object.fromEntries(configs.map(({ name: key, value }) => [key, value]));
    expect(set).toMatchObject({
      'cleanup.policy': 'compact',
      'min.compaction.lag.ms': String(7 * day),
      'max.compaction.lag.ms': String(8 * day),
      'segment.ms': String(day),
    });
  });

  it('goes past what is no event of ours, and hands on the rest', async () => {
    const name = bench.name('foreign');
    const topic = `test.${name.split('.')[0]}`;
    await bench.send(bench.event(name, 'k'));
    const producer = new Producer(client);
    const text = (value: string) => Buffer.from(value);
    const wrong = new Map([[text('ce_id'), text('7')], [text('ce_type'), text(name)], [text('ce_time'), text('today')]]); // prettier-ignore
    for (let partition = 0; partition < 8; partition++)
      await producer.send({ messages: [{ topic, partition, key: text('k'), value: text('{') }, { topic, partition, key: text('k'), value: text('1'), headers: wrong }] }); // prettier-ignore
    await producer.close();
    await bench.send(bench.event(name, 'k', 2));
    const server = bench.consume({ on: { [name]: bench.note } });
    await bench.untilSeen(2);
    await until('nothing is left', async () => Object.values(await server.lag()).every((events) => events === 0));
    expect((await bench.seen()).map(({ version }) => version)).toEqual([1, 2]);
  });

  it('lets idle partitions be compacted: something is appended once, and nobody hears of it', async () => {
    const name = bench.name('idle');
    const topic = name.split('.')[0]!;
    await bench.send(bench.event(name, 'k'));
    const cluster = clusterOf('seen-command');
    await cluster.ensure([topic]);
    expect(await tickIdle(cluster, [topic])).toBe(0);
    expect(await tickIdle(cluster, [topic], 0)).toBe(1);
    expect(await tickIdle(cluster, [topic], 0)).toBe(0);
    await cluster.close();
    bench.consume({ on: { [name]: bench.note } });
    await bench.untilSeen(1);
    await bench.send(bench.event(name, 'k', 2));
    await bench.untilSeen(2);
    expect(await bench.seen()).toHaveLength(2);
  });
});
