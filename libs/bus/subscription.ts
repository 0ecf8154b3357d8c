import { runWithout } from '#context';
import type { Log } from '#log';
import type { Counter, Gauge } from '#metrics';
import { backoffMs, isUnavailable, rest } from '#storage';
import { Batches, BatchFailed, type BatchOptions } from './batch.js';
import { type BusEvent, topicOf } from './event.js';
import { Partition } from './partition.js';

export interface SubscriptionOptions extends BatchOptions {
  /** The process's name, or a part of it after a colon. */
  group: string;
  log: Log;
}

/** What is said once: a handler's filter may throw something that is no Error. */
function reasonOf(error: unknown): string {
  const { name, message } = Object(error) as { name?: string; message?: string };
  return message === undefined ? (JSON.stringify(error) ?? String(error)) : `${name}: ${message}`;
}

/**
 * One group's reading of its topics. Each partition is read by one instance of the group at a time, in order. What fails
 * is tried again by itself, and holds up its partition alone.
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
  private poll?: NodeJS.Timeout;
  private catchingUp?: Promise<void>;

  constructor(private readonly options: SubscriptionOptions) {
    this.topics = [...new Set([...options.handlers.keys()].map(topicOf))];
    this.batches = new Batches(options);
    const { metrics } = options;
    this.failed = metrics.counter('bus_failed_events_total', 'Tries of events that failed', ['event']);
    this.lagging = metrics.gauge('bus_lag_events', 'Events that wait to be handled, counted to 10,000 a partition', [
      'group',
      'topic',
    ]);
  }

  /** Begin to read; while the database is away this waits for it behind the scenes. */
  start(): void {
    runWithout(() => {
      this.poll = setInterval(() => void this.look().catch(() => undefined), this.options.config.pollMs); // #storage said it once
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
    const lag = Object.fromEntries(this.topics.map((topic) => [topic, 0]));
    for (const { topic, events } of await this.waiting()) lag[topic]! += Number(events);
    return lag;
  }

  /** Say that the group is alive, so that its places are kept. */
  async seen(): Promise<void> {
    await this.options.storage.query('SELECT bus.seen($1)', [this.options.group]);
  }

  private async listen() {
    for (const topic of this.topics) {
      const end = await this.options.storage.listen(`bus.${topic}`, (said) => {
        if (said === '') this.catchUp();
        else for (const number of said.split(',')) this.wake(topic, Number(number));
      });
      if (this.stop.signal.aborted) return end();
      this.unlisten.push(end);
    }
    this.catchUp();
  }

  /** At the start, and whenever something may have been missed. */
  private catchUp() {
    this.catchingUp ??= this.subscribe().finally(() => (this.catchingUp = undefined));
  }

  private async subscribe() {
    const { storage, group, config, log } = this.options;
    for (let attempt = 0; !this.stop.signal.aborted; attempt++) {
      try {
        await storage.query('SELECT bus.subscribe($1, $2)', [group, this.topics]);
        // The database is back: what rested for that reason need not rest on.
        for (const partition of this.partitions.values()) if (!partition.failure) partition.rouse();
        return await this.look();
      } catch (error) {
        if (!isUnavailable(error) && attempt === 0) log.warn('cannot subscribe, will try again', { group, error });
        await rest(backoffMs(attempt, config), this.stop.signal);
      }
    }
  }

  private waiting(): Promise<{ topic: string; partition: number; events: string }[]> {
    return this.options.storage.query('SELECT * FROM bus.waiting($1, $2)', [this.options.group, this.topics]);
  }

  private async look() {
    const { group } = this.options;
    const rows = await this.waiting();
    for (const topic of this.topics) this.lagging.set({ group, topic }, 0);
    for (const { topic, partition, events } of rows) {
      this.lagging.inc({ group, topic }, Number(events));
      if (Number(events) > 0) this.wake(topic, partition);
    }
  }

  private wake(topic: string, number: number) {
    const id = `${topic}/${number}`;
    const partition = this.partitions.get(id) ?? new Partition(topic, number);
    this.partitions.set(id, partition);
    partition.isWoken = true;
    this.next();
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
    const { group, config } = this.options;
    const { topic, number, alone } = partition;
    partition.isRunning = true;
    partition.isWoken = false;
    try {
      const place = { group, topic, partition: number };
      const outcome = await this.batches.run(place, alone > 0 ? 1 : config.batchEvents, this.stop.signal);
      if (outcome !== 'busy') this.passed(partition);
      if (outcome !== 'done') partition.isWoken = true;
      if (outcome === 'busy') partition.rest(config.busyMs, () => this.next());
    } catch (error) {
      this.rolledBack(partition, error as BatchFailed);
    } finally {
      partition.isRunning = false;
    }
  }

  private passed(partition: Partition) {
    if (partition.failure) this.options.log.info('event handled at last', { ...partition.failure });
    partition.failure = undefined;
    partition.outages = 0;
    partition.alone = Math.max(0, partition.alone - 1);
  }

  private rolledBack(partition: Partition, { events, cause }: BatchFailed) {
    const { config, log, group } = this.options;
    const [first] = events;
    partition.isWoken = true;
    if (isUnavailable(cause) || !first) {
      if (!isUnavailable(cause) && partition.outages === 0)
        log.warn('cannot read events, will try again', { group, error: cause });
      partition.rest(backoffMs(partition.outages++, config), () => this.next());
    } else if (events.length > 1) {
      partition.alone = events.length;
    } else {
      this.blame(partition, first, cause);
      partition.rest(backoffMs(partition.failure!.attempts - 1, config), () => this.next());
    }
  }

  private blame(partition: Partition, { id, name, key, traceId }: BusEvent, error: unknown) {
    const { group, log } = this.options;
    const reason = reasonOf(error);
    const known = partition.failure?.eventId === id ? partition.failure : undefined;
    partition.failure = { eventId: id, reason, attempts: (known?.attempts ?? 0) + 1 };
    this.failed.inc({ event: name });
    // A thousand tries for one reason are one piece of news.
    if (known?.reason !== reason)
      log.warn('event fails, will try again', { group, event: name, eventId: id, key, eventTrace: traceId, error });
  }
}
