import type { EntityManager } from 'typeorm';
import { runWithout } from '#context';
import type { Log } from '#log';
import { Metrics } from '#metrics';
import { Problem } from '#problem';
import { backoffMs, rest, type Storage } from '#storage';
import { Batches, type Handle } from '../reading/batch.js';
import type { BusConfig } from '../bus-section.js';
import { topicOf } from '../event.js';
import { Reader } from '../reading/reader.js';
import type { EventSource } from '../source.js';
import { Replay } from './replay.js';
import { Shadow } from './shadow.js';

/** What a process needs to build its views again. */
export interface RebuilderOptions {
  storage: Storage;
  source: EventSource;
  process: string;
  /** Which instance: the same after a restart. */
  instance: string;
  /** Those that fill the views, and nothing else. */
  handlers: ReadonlyMap<string, readonly Handle[]>;
  /** The views' tables, as statements name them. */
  tables: readonly string[];
  log: Log;
  config: BusConfig;
}

/** Another instance has taken over, or it was over before. */
class Lost extends Error {}
/** The tables have other columns or indexes than when the copies were made. */
class Changed extends Error {}

/** Readers wait so long at most while the tables change places, ms: a tenth of what a request's statement may take. */
const SWAP_LOCK_MS = 50;
/** The group stands still so long at most while the copies catch up with it, ms; when that is not enough they go on and try again. */
const STANDSTILL_MS = 3_000;

/**
 * Builds the views of a process again from the log, while the old ones serve and go on. One instance does it, asked for by a
 * row of `bus.rebuild`: it replays to copies of the tables, by the process's own handlers, what the process has read; holds the
 * process's places still, replays the rest, and lets tables and copies change places in one transaction. When it is killed, it or
 * another instance begins anew.
 */
export class Rebuilder {
  private readonly topics: string[];
  private readonly shadow: Shadow;
  private readonly part: string;
  private readonly stop = new AbortController();
  private readonly readers = new Map<string, Reader>();
  private readonly replay: Replay;
  private batches: Batches;
  // Apart from the process's own: old events would tell nonsense about how long an event takes.
  private metrics: Metrics;
  private isAsked = false;
  private running?: Promise<void>;
  private timer?: NodeJS.Timeout;
  private unlisten?: () => Promise<void>;

  constructor(private readonly options: RebuilderOptions) {
    const { process, handlers, tables, source } = options;
    this.topics = [...new Set([...handlers.keys()].map(topicOf))];
    this.shadow = new Shadow(process, tables);
    this.part = `${process}:rebuild`;
    this.replay = new Replay({ source, shadow: this.shadow, group: process, beat: (tx) => this.beat(tx) });
    this.begin();
  }

  /** Wait to be asked; what was begun before a restart is begun anew. */
  start(): void {
    const { storage, process, config } = this.options;
    runWithout(() => {
      this.timer = setInterval(() => this.look(), config.rebuildLeaseMs);
      void storage
        .listen('bus.rebuild', (said) => {
          if (said === '' || said === process) this.look();
        })
        .then((end) => {
          if (this.stop.signal.aborted) return end();
          this.unlisten = end;
          this.look(); // for what was asked before it could be heard
        });
    });
  }

  async close(): Promise<void> {
    this.stop.abort();
    clearInterval(this.timer);
    await this.unlisten?.();
    await this.running;
  }

  private begin() {
    this.readers.clear();
    this.metrics = new Metrics(this.part);
    this.batches = new Batches({ ...this.options, source: this.replay, metrics: this.metrics });
  }

  private look() {
    this.isAsked = true;
    if (this.running || this.stop.signal.aborted) return;
    this.isAsked = false;
    this.running = runWithout(() => this.run()).finally(() => {
      this.running = undefined;
      if (this.isAsked) this.look(); // what was asked meanwhile is not missed
    });
  }

  private async run(): Promise<void> {
    const { config, log } = this.options;
    // While the database is away #storage says so once, and the next look comes.
    if (!(await this.claim().catch(() => false))) return;
    log.info('views are rebuilt', { tables: this.options.tables });
    for (let attempt = 0; !this.stop.signal.aborted; attempt++) {
      try {
        await this.rebuild();
        return log.info('views were rebuilt', { tables: this.options.tables });
      } catch (error) {
        if (this.stop.signal.aborted) return;
        if (error instanceof Lost) return log.info('another instance rebuilds the views');
        if (!(error instanceof Changed)) return this.giveUp(error);
        await rest(backoffMs(attempt, config), this.stop.signal);
      }
    }
  }

  private async claim(): Promise<boolean> {
    const { storage, process, instance, config } = this.options;
    const sql = 'SELECT bus.claim_rebuild($1, $2, make_interval(secs => $3)) AS mine';
    const [found] = await storage.query<{ mine: boolean }>(sql, [process, instance, config.rebuildLeaseMs / 1000]);
    return found?.mine === true;
  }

  private async giveUp(error: unknown): Promise<void> {
    const { storage, process, instance, config, log } = this.options;
    log.error('views cannot be rebuilt; the old ones stay', { error });
    const why = error instanceof Error ? error.message : String(error);
    try {
      await storage.background(config, (tx) => this.shadow.clear(tx));
      await storage.query(`SELECT bus.leave($1), bus.end_rebuild($2, $3, 'failed', $4)`, [this.part, process, instance, why]);
    } catch {
      // #storage said it once; it is begun anew when the lease is over.
    }
  }

  private async rebuild(): Promise<void> {
    const { source, config } = this.options;
    this.begin();
    await this.inTurn(async (tx) => {
      await this.beat(tx);
      await this.shadow.make(tx);
      await tx.query('SELECT bus.leave($1)', [this.part]);
    });
    await this.patiently(() => source.subscribe(this.part, this.topics));
    const waiting = await this.patiently(() => source.waiting(this.part, this.topics));
    const ahead = waiting.reduce((sum, { events }) => sum + events, 0);
    await this.inTurn((tx) => this.beat(tx, ahead));
    await this.catchUp();
    await this.inTurn((tx) => this.shadow.analyze(tx));
    for (let attempt = 0; !(await this.finish()); attempt++) {
      await rest(backoffMs(attempt, { retryMinMs: config.retryMinMs, retryMaxMs: STANDSTILL_MS }), this.stop.signal);
      await this.catchUp();
    }
  }

  /** One transaction, with the limits of background work. */
  private inTurn<T>(fn: (tx: EntityManager) => Promise<T>): Promise<T> {
    const { storage, config } = this.options;
    return this.patiently(() => storage.background(config, fn));
  }

  /** A database that is away or busy loses nothing of what is done so far. */
  private async patiently<T>(fn: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      this.stop.signal.throwIfAborted();
      try {
        return await fn();
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        await rest(backoffMs(attempt, this.options.config), this.stop.signal);
      }
    }
  }

  /** Replay until nothing is left that the process has read. @returns false when that took longer than it may */
  private async catchUp(withinMs = Infinity): Promise<boolean> {
    const until = performance.now() + withinMs;
    for (;;) {
      const behind = await this.behind();
      if (behind.length === 0) return true;
      for (const { topic, partition } of behind) {
        this.stop.signal.throwIfAborted();
        if (performance.now() > until) return false;
        const { restMs } = await this.reader(topic, partition).read(this.stop.signal);
        if (restMs > 0) await this.inTurn((tx) => this.beat(tx));
        await rest(Math.min(restMs, until - performance.now()), this.stop.signal);
      }
    }
  }

  private async behind(): Promise<{ topic: string; partition: number }[]> {
    const { process } = this.options;
    const sql = `SELECT g.topic, g.partition FROM bus.places($1, $3) g JOIN bus.places($2, $3) p
      ON p.topic = g.topic AND p.partition = g.partition AND p.seq < g.seq`;
    return this.inTurn((tx) => tx.query<{ topic: string; partition: number }[]>(sql, [process, this.part, this.topics]));
  }

  /** @returns false when it must be tried again: there was too much to replay, or a reader was in the way for too long */
  private async finish(): Promise<boolean> {
    try {
      return await this.change();
    } catch (error) {
      if (error instanceof Problem) return false;
      throw error;
    }
  }

  private async change(): Promise<boolean> {
    const { storage, process, instance, config } = this.options;
    return storage.background(config, async (tx) => {
      await tx.query('SELECT count(*) FROM bus.lock_places($1, $2)', [process, this.topics]);
      if (!(await this.catchUp(STANDSTILL_MS))) return false;
      await this.beat(tx);
      if (!(await this.shadow.swap(tx, SWAP_LOCK_MS))) throw new Changed();
      await tx.query('SELECT bus.adopt_parked($1, $2)', [this.part, process]);
      await tx.query(`SELECT bus.leave($1), bus.end_rebuild($2, $3, 'done', NULL)`, [this.part, process, instance]);
      return true;
    });
  }

  private reader(topic: string, partition: number): Reader {
    const { log, config } = this.options;
    const id = `${topic}/${partition}`;
    const failed = this.metrics.counter('bus_failed_events_total', 'Tries of events that failed', ['event']);
    const place = { group: this.part, topic, partition };
    const reader = this.readers.get(id) ?? new Reader(place, { batches: this.batches, failed, log, config });
    this.readers.set(id, reader);
    return reader;
  }

  /** Say how far it is. @throws Lost when another instance is at it */
  private async beat(tx: EntityManager, ahead?: number): Promise<void> {
    const { process, instance } = this.options;
    const { values } = await this.metrics.counter('bus_handled_events_total', 'Events handled', ['event']).get();
    const done = values.reduce((sum, { value }) => sum + value, 0);
    const sql = 'SELECT bus.beat_rebuild($1, $2, $3, $4) AS mine';
    const [row] = await tx.query<[{ mine: boolean }]>(sql, [process, instance, done, ahead ?? null]);
    if (!row.mine) throw new Lost();
  }
}
