import type { Cluster } from '../client/cluster.js';
import { elsewhere, POSTGRESQL } from '../elsewhere.js';
import { asMessage, partitionOf } from '../record.js';
import { alone, type Admin, inTransaction } from './admin.js';
import { carryPlaces } from './carry.js';
import { COPIED, CopiedPartition } from './copied.js';

/** What a copy is made with. */
export interface CopyOptions {
  admin: Admin;
  cluster: Cluster;
  prefix: string;
  /** Told now and then how far it is. */
  report: (topic: string, copied: number, of: number) => void;
}

/** What was copied. */
export interface Copied {
  /** What the database calls the log they are in now. */
  log: string;
  /** Copied by this run, and found copied by an earlier one. */
  topics: { topic: string; copied: number; before: number }[];
  /** Groups whose places were carried over. */
  groups: number;
}

interface Row {
  partition: number;
  seq: string;
  id: string;
  name: string;
  key: string;
  version: number;
  body: unknown;
  trace_id: string | null;
  at: Date;
}

/** Read and sent at a time. */
const PAGE_EVENTS = 1_000;

/**
 * Carry the events from the log in PostgreSQL to the one in Kafka, each key's in order, and the groups' places after them. It may
 * run beside the mesh and be run again: what is there already is left out. At the end nothing is appended for a moment; then
 * the mesh's events are in Kafka, and its processes go on when they are started with KAFKA_BROKERS.
 */
export class Copy {
  private readonly counts = new Map<string, { copied: number; before: number; of: number; past: bigint }>();
  private readonly lasts = new Map<string, bigint[]>();

  constructor(private readonly options: CopyOptions) {}

  /** @throws Problem `conflict` (409), `events-elsewhere` (503), `storage-unavailable` (503) */
  async run(): Promise<Copied> {
    const { admin, cluster, prefix } = this.options;
    const target = `kafka/${await cluster.id()}/${prefix}`;
    return alone(admin, async (log, topics) => {
      if (log === target) return { log: target, topics: [], groups: 0 };
      if (log !== POSTGRESQL) throw elsewhere(log, target);
      return this.all(topics, target);
    });
  }

  private async all(topics: readonly string[], target: string): Promise<Copied> {
    const { admin, cluster } = this.options;
    const partitions = topics.length > 0 ? await cluster.ensure(topics) : new Map<string, number>();
    for (const topic of topics) await this.begin(topic);
    for (const topic of topics) await inTransaction(admin, () => this.copy(topic, partitions.get(topic)!));
    const groups = await inTransaction(admin, async () => {
      // In the order in which writers and readers take them.
      for (const topic of topics) await admin.query(`SELECT pg_advisory_xact_lock(hashtextextended('bus:' || $1, 0))`, [topic]);
      await admin.query('LOCK TABLE bus.place, bus.parked, bus.topic IN EXCLUSIVE MODE');
      for (const topic of topics) await this.copy(topic, partitions.get(topic)!);
      const carried = new Set<string>();
      for (const topic of topics) for (const group of await carryPlaces(admin, await this.copied(topic))) carried.add(group);
      await admin.query('UPDATE bus.log SET name = $1, is_used = true', [target]);
      await admin.query('TRUNCATE bus.event');
      return carried.size;
    });
    const told = topics.map((topic) => ({
      topic,
      copied: this.counts.get(topic)!.copied,
      before: this.counts.get(topic)!.before,
    }));
    return { log: target, topics: told, groups };
  }

  /** Find out how far an earlier run came. */
  private async begin(topic: string): Promise<void> {
    const { admin } = this.options;
    const lasts: bigint[] = [];
    for (const partition of await this.copied(topic)) lasts.push(await partition.last());
    this.lasts.set(topic, lasts);
    const [row] = await admin.query<{ n: string }>('SELECT count(*) AS n FROM bus.event WHERE topic = $1', [topic]);
    this.counts.set(topic, { copied: 0, before: 0, of: Number(row!.n), past: 0n });
  }

  private async copied(topic: string): Promise<CopiedPartition[]> {
    const { cluster } = this.options;
    const ends = (await cluster.ends([topic])).get(topic)!;
    return ends.map((end, partition) => new CopiedPartition(cluster, topic, partition, end));
  }

  /** Those after the last one that was looked at. Writers of a topic take turns, so none comes later with a smaller number. */
  private async copy(topic: string, partitions: number): Promise<void> {
    const { admin, report } = this.options;
    const count = this.counts.get(topic)!;
    await admin.query(
      `DECLARE copied NO SCROLL CURSOR FOR SELECT partition, seq, id, name, key, version, body, trace_id, at
        FROM bus.event WHERE topic = '${topic.replaceAll("'", "''")}' AND seq > ${count.past} ORDER BY seq`,
    );
    for (;;) {
      const rows = await admin.query<Row>(`FETCH ${PAGE_EVENTS} FROM copied`);
      if (rows.length === 0) break;
      await this.send(topic, partitions, rows);
      count.past = BigInt(rows.at(-1)!.seq);
      report(topic, count.copied + count.before, Math.max(count.of, count.copied + count.before));
    }
    await admin.query('CLOSE copied');
  }

  private async send(topic: string, partitions: number, rows: readonly Row[]): Promise<void> {
    const { cluster } = this.options;
    const count = this.counts.get(topic)!;
    const lasts = this.lasts.get(topic)!;
    const messages = rows.flatMap(({ partition: from, seq, trace_id: traceId, at, ...row }) => {
      const partition = partitionOf(row.key, partitions);
      if (BigInt(seq) <= lasts[partition]!) return [];
      const event = { ...row, at: at.toISOString(), ...(traceId === null ? {} : { traceId }) };
      return [asMessage(event, cluster.topic(topic), partition, { [COPIED]: `${from}/${seq}` })];
    });
    await cluster.send(messages);
    count.copied += messages.length;
    count.before += rows.length - messages.length;
  }
}
