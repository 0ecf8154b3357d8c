import { runWithout } from '#context';
import type { Log } from '#log';
import type { Counter, Gauge } from '#metrics';
import { backoffMs, isUnavailable, rest } from '#storage';
import { Batches, type BatchOptions } from './batch.js';
import { topicOf } from '../event.js';
import { followParked, parkedWaiting } from '../parking/parking.js';
import { Partition } from './partition.js';
import { Reader } from './reader.js';

export interface SubscriptionOptions extends BatchOptions {
  /** The process's name, or a part of it after a colon. */
  group: string;
  log: Log;
}

/**
 * One group's reading of its topics. Each partition is read by one instance of the group at a time, in order. What fails
 * is tried again by itself, and holds up its partition until it is parked.
 */
export class Subscription {
  readonly topics: string[];
  private readonly partitions = new Map<string, Partition>();
  private readonly running = new Set<Promise<void>>();
  private readonly stop = new AbortController();
  private readonly unlisten: (() => Promise<void>)[] = [];
  private readonly batches: Batches;
  private readonly failed: Counter<'event'>;
  private readonly lagging: Gauge<'group' | 'topic'>;
  private readonly parked: Gauge<'group' | 'topic'>;
  private poll?: NodeJS.Timeout;
  private catchingUp?: Promise<void>;

  constructor(private readonly options: SubscriptionOptions) {
    this.topics = [...new Set([...options.handlers.keys()].map(topicOf))];
    this.batches = new Batches(options);
    const { metrics } = options;
    const labels = ['group', 'topic'] as const;
    this.failed = metrics.counter('bus_failed_events_total', 'Tries of events that failed', ['event']);
    this.lagging = metrics.gauge('bus_lag_events', 'Events that wait to be handled, counted to 10,000 a partition', labels);
    this.parked = metrics.gauge('bus_parked_events', 'Events moved aside, with those that wait behind them', labels);
  }

  /** Begin to read; while the database is away this waits for it behind the scenes. */
  start(): void {
    runWithout(() => {
      this.poll = setInterval(() => this.lookSoon(), this.options.config.pollMs);
      void this.listen();
    });
  }

  /** Finish the batches under way, no longer than `drainMs`. */
  async close(): Promise<void> {
    this.stop.abort();
    clearInterval(this.poll);
    for (const partition of this.partitions.values()) partition.rouse();
    await Promise.all(this.unlisten.map((end) => end()));
    const late = new AbortController();
    await Promise.race([Promise.all(this.running), rest(this.options.config.drainMs, late.signal)]);
    late.abort();
  }

  /** How many events wait, by topic; counted to 10,000 a partition. @throws Problem `storage-unavailable` (503) */
  async lag(): Promise<Record<string, number>> {
    const { source, group } = this.options;
    const lag = Object.fromEntries(this.topics.map((topic) => [topic, 0]));
    for (const { topic, events } of await source.waiting(group, this.topics)) lag[topic]! += events;
    return lag;
  }

  /** Say that the group is alive, so that its places are kept. */
  async seen(): Promise<void> {
    await this.options.storage.query('SELECT bus.seen($1)', [this.options.group]);
  }

  private async listen() {
    const { source, storage, group } = this.options;
    const heard = await Promise.all([
      source.follow(this.topics, (topic, partitions) => {
        if (partitions === undefined) this.catchUp();
        else for (const number of partitions) this.wake(topic, number);
      }),
      followParked(storage, group, () => this.lookSoon()),
    ]);
    if (this.stop.signal.aborted) return void (await Promise.all(heard.map((end) => end())));
    this.unlisten.push(...heard);
    this.catchUp();
  }

  /** At the start, and whenever something may have been missed. */
  private catchUp() {
    this.catchingUp ??= this.subscribe().finally(() => (this.catchingUp = undefined));
  }

  private async subscribe() {
    const { source, group, config, log } = this.options;
    for (let attempt = 0; !this.stop.signal.aborted; attempt++) {
      try {
        await source.subscribe(group, this.topics);
        // The database is back: what rested for that reason need not rest on.
        for (const partition of this.partitions.values()) if (!partition.reader.isFailing) partition.rouse();
        return await this.look();
      } catch (error) {
        if (!isUnavailable(error) && attempt === 0) log.warn('cannot subscribe, will try again', { group, error });
        await rest(backoffMs(attempt, config), this.stop.signal);
      }
    }
  }

  private lookSoon() {
    void this.look().catch(() => undefined); // #storage said it once
  }

  private async look() {
    const { source, storage, group } = this.options;
    const [ahead, parked] = [await source.waiting(group, this.topics), await parkedWaiting(storage, group, this.topics)];
    for (const topic of this.topics) {
      const of = <T extends { topic: string; events: number }>(rows: readonly T[]) =>
        rows.reduce((sum, row) => sum + (row.topic === topic ? row.events : 0), 0);
      this.lagging.set({ group, topic }, of(ahead));
      this.parked.set({ group, topic }, of(parked));
    }
    for (const { topic, partition, events } of ahead) if (events > 0) this.wake(topic, partition);
    for (const { topic, partition, hasDue } of parked) if (hasDue) this.wake(topic, partition);
  }

  private wake(topic: string, number: number) {
    const id = `${topic}/${number}`;
    const partition = this.partitions.get(id) ?? this.open(topic, number);
    this.partitions.set(id, partition);
    partition.isWoken = true;
    this.next();
  }

  private open(topic: string, partition: number): Partition {
    const { group, log, config } = this.options;
    return new Partition(new Reader({ group, topic, partition }, { batches: this.batches, failed: this.failed, log, config }));
  }

  /** Work on what is due, as much at a time as may be; what was worked on longest ago comes first. */
  private next() {
    for (const [id, partition] of [...this.partitions]) {
      if (this.stop.signal.aborted || this.running.size >= this.options.config.parallel) return;
      if (!partition.isDue) continue;
      this.partitions.delete(id);
      this.partitions.set(id, partition);
      const work: Promise<void> = runWithout(() => this.work(partition)).finally(() => {
        this.running.delete(work);
        this.next();
      });
      this.running.add(work);
    }
  }

  private async work(partition: Partition) {
    partition.isRunning = true;
    partition.isWoken = false;
    const { outcome, restMs, hasParked } = await partition.reader.read(this.stop.signal);
    partition.isRunning = false;
    if (outcome !== 'done') partition.isWoken = true;
    if (restMs > 0 && !this.stop.signal.aborted) partition.rest(restMs, () => this.next());
    if (hasParked) this.lookSoon();
  }
}
