import {
  Admin,
  type BaseOptions,
  type ClusterMetadata,
  Consumer,
  findErrorBy,
  type KafkaRecord,
  type MessageToProduce,
  Producer,
} from '@platformatic/kafka';
import { setTimeout as sleep } from 'node:timers/promises';
import { runWithout } from '#context';
import type { Log } from '#log';
import { Presence } from './presence.js';
import type { KafkaConfig } from '../kafka-section.js';
import { securityOf } from './security.js';

/** How to reach a cluster. */
export interface ClusterOptions {
  brokers: readonly string[];
  process: string;
  secret: (name: string) => string | undefined;
  log: Log;
  config: KafkaConfig;
  /** Events that are not the last of their key are kept so long. */
  keepDays: number;
}

/** A record, and where it is. */
export interface Found {
  offset: bigint;
  record: KafkaRecord;
  atMs: number;
  bytes: number;
}

/** What lies in a partition from some offset on. */
export interface Piece {
  found: Found[];
  /** The offset to go on from. */
  next: bigint;
  /** Where the partition ended when it was read. */
  end: bigint;
}

const DAY_MS = 86_400_000;
/** Batches of the brokers' own. */
const IS_CONTROL = 0x20;

class NoLeader extends Error {}

/** Partitions that have no leader for a moment; a topic that was made in this moment, and is not known to all brokers yet. */
const isPassing = (error: unknown) =>
  error instanceof NoLeader ||
  findErrorBy(error as Error, 'hasStaleMetadata', true) !== null ||
  /^Unknown topic/.test((error as Error).message);

/** Sends to a Kafka cluster and reads from it. All of it fails with Problem `storage-unavailable` (503) while that is away. */
export class Cluster {
  readonly presence: Presence;
  private readonly options: BaseOptions;
  private readonly producer: Producer;
  private readonly consumer: Consumer;
  private readonly turns = new Map<number, Promise<unknown>>();
  private readonly made = new Map<string, number>();

  constructor(private readonly own: ClusterOptions) {
    const { brokers, process, secret, log, config } = own;
    this.presence = new Presence(log, config.awayMs);
    this.options = {
      clientId: process,
      bootstrapBrokers: [...brokers],
      connectTimeout: config.connectMs,
      requestTimeout: config.requestMs,
      timeout: config.requestMs,
      retries: 0,
      retryDelay: config.retryMs,
      ...securityOf(secret, config),
    };
    // Two tries more: with less the client would try for ever, in the relay's transaction.
    this.producer = runWithout(() => new Producer({ ...this.options, retries: 2, idempotent: true, acks: -1 }));
    // Its group is never joined: who reads what is decided by who holds the place.
    this.consumer = runWithout(() => new Consumer({ ...this.options, groupId: process, maxWaitTime: 0, minBytes: 0 }));
  }

  /** Which cluster it is, whatever its brokers are called. */
  id(): Promise<string> {
    return this.presence.ask(async () => (await this.consumer.metadata({ topics: [], forceUpdate: true })).id);
  }

  topic(name: string): string {
    return `${this.own.config.topicPrefix}${name}`;
  }

  /** Make the topics that are not there. @returns how many partitions each has */
  async ensure(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const missing = names.filter((name) => !this.made.has(name));
    if (missing.length > 0) await this.presence.ask(() => this.make(missing));
    return this.made;
  }

  private async make(names: readonly string[]): Promise<void> {
    const { partitions, replicas, maxEventBytes, forgetDays } = this.own.config;
    const admin = new Admin(this.options);
    // The last event of a key stays; older ones for the days of `keepDays`, and no longer than `forgetDays`.
    const configs = {
      'cleanup.policy': 'compact',
      'min.compaction.lag.ms': this.own.keepDays * DAY_MS,
      'max.compaction.lag.ms': Math.max(forgetDays, this.own.keepDays + 1) * DAY_MS,
      'segment.ms': DAY_MS,
      'max.message.bytes': maxEventBytes,
    };
    try {
      const there = new Set(await admin.listTopics());
      const wanted = names.map((name) => this.topic(name)).filter((topic) => !there.has(topic));
      if (wanted.length > 0)
        await admin
          .createTopics({
            topics: wanted,
            partitions,
            replicas,
            configs: Object.entries(configs).map(([name, value]) => ({ name, value: String(value) })),
          })
          .catch((error: unknown) => {
            // Another process made it in this very moment.
            if (!findErrorBy(error as Error, 'apiId', 'TOPIC_ALREADY_EXISTS')) throw error;
          });
      // A topic is there before its leaders are.
      const all = names.map((name) => this.topic(name));
      await this.steady(() => this.consumer.listOffsets({ topics: all }));
      const { topics } = await this.consumer.metadata({ topics: all });
      for (const name of names) this.made.set(name, topics.get(this.topic(name))!.partitionsCount);
    } finally {
      await admin.close();
    }
  }

  /** The topics that were asked for. */
  get topics(): string[] {
    return [...this.made.keys()];
  }

  /** Where the partitions of topics end. */
  ends(names: readonly string[]): Promise<ReadonlyMap<string, readonly bigint[]>> {
    return this.presence.ask(async () => {
      const topics = names.map((name) => this.topic(name));
      const ends = await this.steady(() => this.consumer.listOffsets({ topics }));
      return new Map(names.map((name) => [name, ends.get(this.topic(name)) ?? []]));
    });
  }

  /** Resolves when all of them are on all the brokers that must have them; they are there in this order. */
  send(messages: readonly MessageToProduce[]): Promise<void> {
    return this.presence.ask(async () => {
      for (const some of this.inRequests(messages)) await this.producer.send({ messages: some });
    });
  }

  private *inRequests(messages: readonly MessageToProduce[]): Generator<MessageToProduce[]> {
    let some: MessageToProduce[] = [];
    let bytes = 0;
    for (const message of messages) {
      const more = (message.value?.length ?? 0) + 512;
      if (some.length > 0 && bytes + more > this.own.config.sendBytes) {
        yield some;
        [some, bytes] = [[], 0];
      }
      some.push(message);
      bytes += more;
    }
    if (some.length > 0) yield some;
  }

  /** Read on from `offset`, at once, whatever is there. */
  read(name: string, partition: number, offset: bigint, maxBytes: number): Promise<Piece> {
    return this.presence.ask(async () => {
      const topic = this.topic(name);
      if (!this.consumer.topics.has(topic)) this.consumer.topics.track(topic);
      return this.steady(async () => {
        const { node, topicId } = this.leader(await this.consumer.metadata({ topics: [topic] }), topic, partition);
        return this.inTurn(node, () => this.fetch(node, topicId, partition, offset, maxBytes));
      });
    });
  }

  /** Partitions change their leaders now and then, and are without one for a moment. */
  private async steady<T>(ask: () => Promise<T>): Promise<T> {
    const untilMs = performance.now() + this.own.config.requestMs;
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isPassing(error) || performance.now() > untilMs) throw error;
        this.consumer.clearMetadata();
        await sleep(this.own.config.retryMs);
      }
    }
  }

  private leader({ topics }: ClusterMetadata, topic: string, partition: number): { node: number; topicId: string } {
    const { id, partitions } = topics.get(topic)!;
    const node = partitions[partition]?.leader ?? -1;
    if (node < 0) throw new NoLeader(`partition ${partition} of ${topic} has no leader`);
    return { node, topicId: id };
  }

  /** The client's session with a broker has one request at a time. */
  private async inTurn<T>(node: number, ask: () => Promise<T>): Promise<T> {
    const before = this.turns.get(node);
    const mine = (async () => {
      await before?.catch(() => undefined);
      return ask();
    })();
    this.turns.set(node, mine);
    return mine;
  }

  private async fetch(node: number, topicId: string, partition: number, offset: bigint, maxBytes: number): Promise<Piece> {
    const wanted = { partition, fetchOffset: offset, partitionMaxBytes: maxBytes, currentLeaderEpoch: -1, lastFetchedEpoch: -1 };
    const { responses } = await this.consumer.fetch({
      node,
      maxBytes,
      maxWaitTime: 0,
      minBytes: 0,
      topics: [{ topicId, partitions: [wanted] }],
    });
    const there = responses.flatMap(({ partitions }) => partitions).find(({ partitionIndex }) => partitionIndex === partition);
    let next = offset;
    const found: Found[] = [];
    for (const { firstOffset, firstTimestamp, lastOffsetDelta, attributes, records } of there?.records ?? []) {
      next = firstOffset + BigInt(lastOffsetDelta) + 1n;
      if ((attributes & IS_CONTROL) !== 0) continue;
      for (const record of records) {
        const at = firstOffset + BigInt(record.offsetDelta);
        const atMs = Number(firstTimestamp + record.timestampDelta);
        if (at >= offset) found.push({ offset: at, record, atMs, bytes: record.value?.length ?? 0 });
      }
    }
    return { found, next: next > offset ? next : offset, end: there?.highWatermark ?? offset };
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.producer.close(true), this.consumer.close(true)]);
  }
}
