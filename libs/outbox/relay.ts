import type { EntityManager } from 'typeorm';
import { type BusEvent, publish as append } from '#bus';
import { runWithout } from '#context';
import type { Log } from '#log';
import type { Gauge, Metrics } from '#metrics';
import { Problem } from '#problem';
import { backoffMs, isUnavailable, rest, type Storage } from '#storage';
import type { OutboxConfig } from './outbox-section.js';
import { hasEmitted } from './emit.js';

/**
 * Takes events out of a process's database, in order. Over PostgreSQL it appends in `tx`, the transaction that removes them
 * from the outbox, so each is in the log once. A transport outside of that database resolves when it has acknowledged them
 * all; what was acknowledged and not removed is sent again.
 */
export type Publish = (tx: EntityManager, events: readonly BusEvent[]) => Promise<void>;

/** More events that wait are not counted: it would cost the more the longer they wait. */
const MOST_COUNTED = 10_000;

/** What a relay needs. */
export interface RelayOptions {
  storage: Storage;
  process: string;
  log: Log;
  metrics: Metrics;
  config: OutboxConfig;
  /** The bus in PostgreSQL by default. */
  publish?: Publish;
}

interface Row {
  seq: string;
  id: string;
  name: string;
  key: string;
  version: number;
  body: unknown;
  trace_id: string | null;
  at: Date;
}

const asEvent = ({ id, name, key, version, body, trace_id: traceId, at }: Row): BusEvent => ({
  id,
  name,
  key,
  version,
  body,
  at: at.toISOString(),
  ...(traceId === null ? {} : { traceId }),
});

/**
 * Moves a process's events from its outbox to the bus, in order. Each instance has one; they take turns by a lock. It is
 * woken by each commit that emitted something in this instance, without a notification: that would make all commits of
 * the database wait for each other. What an instance leaves that is killed before it could send is found by another's
 * look at the table, or its own after the restart.
 */
export class Relay {
  private readonly stopping = new AbortController();
  private readonly waiting: Gauge;
  private isWoken = false;
  private running?: Promise<void>;
  private poll?: NodeJS.Timeout;
  private unhook?: () => void;

  constructor(private readonly options: RelayOptions) {
    this.waiting = options.metrics.gauge('outbox_waiting_events', `Events written and not sent yet, at most ${MOST_COUNTED}`);
  }

  /** Begin to send. */
  start(): void {
    const { storage, config } = this.options;
    this.unhook = storage.onCommit((tx) => {
      if (hasEmitted(tx)) this.wake();
    });
    this.poll = runWithout(() => setInterval(() => void this.look().catch(() => undefined), config.pollMs)); // #storage said it once
    this.wake();
  }

  /** Send what is left, no longer than `drainMs`; what then remains waits in the table for the next start. */
  async stop(): Promise<void> {
    clearInterval(this.poll);
    this.unhook?.();
    this.stopping.abort();
    const late = new AbortController();
    const drained = (async () => {
      await this.running;
      await this.flush();
    })().catch((error: unknown) => this.options.log.warn('events stay in the outbox', { error }));
    await Promise.race([drained, rest(this.options.config.drainMs, late.signal)]);
    late.abort();
  }

  /** Send all that was committed before this call. @throws Problem `storage-unavailable`, `storage-slow` (503) */
  async flush(): Promise<void> {
    while ((await this.send()) === this.options.config.batchEvents);
  }

  private wake() {
    this.isWoken = true;
    this.running ??= runWithout(() => this.run()).finally(() => {
      this.running = undefined;
      if (this.isWoken && !this.stopping.signal.aborted) this.wake();
    });
  }

  private async run() {
    const { config, log } = this.options;
    for (let failures = 0; this.isWoken && !this.stopping.signal.aborted;) {
      this.isWoken = false;
      try {
        const sent = await this.send();
        failures = 0;
        if (sent === config.batchEvents) this.isWoken = true;
        // Others committed meanwhile, so they come faster than one by one can be sent. One that comes alone goes at once.
        else if (sent > 0 && this.isWoken) await rest(config.gatherMs, this.stopping.signal);
      } catch (error) {
        if (!isUnavailable(error) && failures === 0) log.warn('events cannot be sent, will try again', { error });
        this.isWoken = true;
        await rest(backoffMs(failures++, config), this.stopping.signal);
      }
    }
  }

  private async look() {
    // Along the index, where what was sent is skipped: the table itself stays as long as it was until it is vacuumed.
    const sql = 'SELECT count(*) AS events FROM (SELECT seq FROM outbox ORDER BY seq LIMIT $1) AS waiting';
    const [found] = await this.options.storage.query<{ events: string }>(sql, [MOST_COUNTED]);
    this.waiting.set(Number(found?.events ?? 0));
    if (Number(found?.events ?? 0) > 0) this.wake();
  }

  /** @returns how many were sent */
  private send(): Promise<number> {
    return runWithout(async () => {
      if (this.options.publish) return this.sendBy(this.options.publish);
      try {
        return await this.sendAtOnce();
      } catch (error) {
        // A request's limits are too narrow for a full batch on a busy machine.
        if (error instanceof Problem && error.type === 'storage-slow') return this.sendBy(append);
        throw error;
      }
    });
  }

  /** To the log in the same database, in one round trip. */
  private async sendAtOnce(): Promise<number> {
    const { storage, process, config } = this.options;
    const [row] = await storage.query<{ sent: number }>('SELECT outbox_send($1, $2) AS sent', [process, config.batchEvents]);
    return row!.sent;
  }

  private sendBy(publish: Publish): Promise<number> {
    const { storage, process, config } = this.options;
    // Not to wait for the disk is safe: what leaves the outbox and what enters the log are lost together, and sent again.
    return storage.background({ ...config, isDurable: false }, async (tx) => {
      await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('outbox:' || $1, 0))`, [process]);
      const [rows] = await tx.query<[Row[], number]>(
        'DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox ORDER BY seq LIMIT $1) RETURNING *',
        [config.batchEvents],
      );
      rows.sort((a, b) => Number(BigInt(a.seq) - BigInt(b.seq)));
      await publish(tx, rows.map(asEvent));
      return rows.length;
    });
  }
}
