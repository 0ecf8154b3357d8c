import type { EntityManager } from 'typeorm';
import { runWithout } from '#context';
import type { Storage } from '#storage';
import type { BusConfig } from '../bus-section.js';
import { type BusEvent, topicOf } from '../event.js';
import { makePlaces, move, placesOf } from '../places.js';
import { PostgresLog } from '../postgres/log.js';
import type { EventSource, Limits, Place, Read, Waiting, Wake } from '../source.js';
import { Chunks } from './chunks.js';
import type { Cluster, Found, Piece } from './client/cluster.js';
import { elsewhere, tooShort } from './elsewhere.js';
import type { KafkaConfig } from './kafka-section.js';
import { asEvent, asMessage, partitionOf } from './record.js';
import { tickIdle } from './tick.js';

/** What the log in Kafka needs. */
export interface KafkaLogOptions {
  storage: Storage;
  cluster: Cluster;
  config: KafkaConfig;
  busConfig: BusConfig;
}

/** Waiting events are counted up to so many, as over PostgreSQL. */
const COUNTED = 10_000;

/**
 * The log of events in Kafka: a topic of it for each topic, a record for each event. Places are in PostgreSQL like all others,
 * so who reads a partition is decided there, by who holds its place; Kafka knows nothing of groups. What is sent wakes the
 * readers by a notification of PostgreSQL, since the relay has a transaction open there; others' records are found by looking.
 *
 * An event's number is its offset and one.
 */
export class KafkaLog implements EventSource {
  // The relay sends again what was sent and not removed from the outbox before it was killed.
  readonly repeats = true;
  private readonly chunks: Chunks;
  private named?: Promise<string>;

  constructor(private readonly options: KafkaLogOptions) {
    this.chunks = new Chunks(options.config.readAheadBytes);
  }

  /**
   * Make sure that the mesh's events are in this cluster, or nowhere yet.
   *
   * @returns what the database calls this log
   * @throws Problem `storage-unavailable` (503), `events-elsewhere` (503)
   */
  ready(): Promise<string> {
    this.named ??= this.claim().catch((error: unknown) => {
      this.named = undefined;
      throw error;
    });
    return this.named;
  }

  private async claim(): Promise<string> {
    const { storage, cluster, config } = this.options;
    const name = `kafka/${await cluster.id()}/${config.topicPrefix}`;
    // Of its own, so that nobody waits for the transaction that happens to be open.
    const [row] = await runWithout(() => storage.query<{ used: string }>('SELECT bus.use_log($1) AS used', [name]));
    if (row!.used !== name) throw elsewhere(row!.used, name);
    return name;
  }

  /**
   * Send events in this order; resolves when Kafka has them.
   *
   * @throws Problem `storage-unavailable` (503), `events-elsewhere` (503); some may have been sent
   */
  async publish(tx: EntityManager, events: readonly BusEvent[]): Promise<void> {
    if (events.length === 0) return;
    const { cluster } = this.options;
    const name = await this.ready();
    const partitions = await cluster.ensure([...new Set(events.map((event) => topicOf(event.name)))]);
    const touched: Record<string, string> = {};
    const messages = events.map((event) => {
      const topic = topicOf(event.name);
      const partition = partitionOf(event.key, partitions.get(topic)!);
      touched[topic] = [...new Set([...(touched[topic]?.split(',') ?? []), String(partition)])].join(',');
      return asMessage(event, cluster.topic(topic), partition);
    });
    // It is said when the transaction commits, and then they are there.
    const [row] = await tx.query<[{ here: boolean }]>('SELECT bus.announce($1, $2) AS here', [name, JSON.stringify(touched)]);
    if (!row.here) {
      this.named = undefined;
      throw elsewhere('another log', name);
    }
    await cluster.send(messages);
  }

  async follow(topics: readonly string[], wake: Wake): Promise<() => Promise<void>> {
    const { storage, cluster } = this.options;
    const back = cluster.presence.onBack(() => topics.forEach((topic) => wake(topic)));
    const ends: (() => Promise<void>)[] = [];
    for (const topic of topics) {
      const hear = (said: string) => wake(topic, said === '' ? undefined : said.split(',').map(Number));
      ends.push(await storage.listen(`bus.${topic}`, hear));
    }
    return async () => {
      back();
      await Promise.all(ends.map((end) => end()));
    };
  }

  async subscribe(group: string, topics: readonly string[]): Promise<void> {
    await this.ready();
    const partitions = await this.options.cluster.ensure(topics);
    for (const topic of topics) await makePlaces(this.options.storage, group, topic, partitions.get(topic)!);
    await this.waiting(group, topics);
  }

  async waiting(group: string, topics: readonly string[]): Promise<Waiting[]> {
    const { storage, cluster } = this.options;
    const name = await this.ready();
    await cluster.ensure(topics);
    // Read before the ends: a place that moves meanwhile is not further than its partition.
    const places = await placesOf(storage.db.manager, group, topics);
    const ends = await cluster.ends(topics);
    return places.map(({ topic, partition, seq }) => {
      const ahead = (ends.get(topic)?.[partition] ?? 0n) - BigInt(seq);
      if (ahead < 0n) throw tooShort(name, cluster.topic(topic), partition);
      return { topic, partition, events: Math.min(Number(ahead), COUNTED) };
    });
  }

  async take(tx: EntityManager, place: Place, limits: Limits): Promise<Read | undefined> {
    const { group, topic, partition } = place;
    const name = await this.ready();
    // Places are numbers of this log as long as it is the one that is used.
    const [held] = await tx.query<{ seq: string; has_parked: boolean }[]>(
      'SELECT past AS seq, has_parked FROM bus.hold($1, $2, $3) WHERE bus.is_log($4)',
      [group, topic, partition, name],
    );
    if (!held) return undefined;
    const { chunks } = this;
    const id = `${group} ${topic}/${partition}`;
    const offset = BigInt(held.seq);
    const piece = chunks.from(id, offset) ?? (await this.read(place, offset, limits.bytes));
    const some = within(piece.found, limits);
    const isAll = some.length === piece.found.length;
    if (isAll) chunks.drop(id);
    else chunks.keep(id, offset, piece);
    // Records of the brokers' own, or removed ones, are nobody's events.
    if (piece.found.length === 0 && piece.next > offset) await move(tx, place, String(piece.next));
    const isWanted = (name: string) => limits.names.includes(name);
    return {
      taken: some.map((one) => ({ seq: String(one.offset + 1n), event: asEvent(one.record, isWanted) })),
      hasMore: !isAll || piece.next < piece.end,
      hasParked: held.has_parked,
    };
  }

  private async read({ topic, partition }: Place, offset: bigint, bytes: number): Promise<Piece> {
    const { cluster, config } = this.options;
    return cluster.read(topic, partition, offset, Math.min(bytes, config.fetchBytes));
  }

  /** Kafka compacts its topics by itself, if something happens in them; and this removes what groups keep in PostgreSQL for too long. */
  async compact(keepDays: number): Promise<number> {
    const { storage, busConfig, cluster } = this.options;
    await storage.background(busConfig, async (tx) => {
      const [lock] = await tx.query<[{ mine: boolean }]>(
        `SELECT pg_try_advisory_xact_lock(hashtextextended('bus:tick', 0)) AS mine`,
      );
      if (lock.mine) await tickIdle(cluster, cluster.topics);
    });
    return new PostgresLog(storage, busConfig).compact(keepDays);
  }

  close(): Promise<void> {
    return this.options.cluster.close();
  }
}

/** As many as may be taken at a time, but one at least. */
function within(found: readonly Found[], { events, bytes }: Limits): Found[] {
  let before = 0;
  const some: Found[] = [];
  for (const one of found) {
    if (some.length >= events || (some.length > 0 && before >= bytes)) break;
    some.push(one);
    before += one.bytes;
  }
  return some;
}
