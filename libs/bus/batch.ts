import type { EntityManager } from 'typeorm';
import { newContext, runWith } from '#context';
import type { Counter, Histogram, Metrics } from '#metrics';
import { Problem } from '#problem';
import type { Storage } from '#storage';
import type { BusConfig } from './bus-section.js';
import { BusContext, type BusEvent } from './event.js';
import { move, type Place, take, type Taken } from './log.js';

/** Does what one event asks for, in `context.tx`. */
export type Handle = (context: BusContext) => Promise<void>;

export interface BatchOptions {
  /** By event name; those of one name are called one after the other. */
  handlers: ReadonlyMap<string, readonly Handle[]>;
  storage: Storage;
  metrics: Metrics;
  config: BusConfig;
}

/** A batch that was rolled back, and the events it had; none when it could not even read. */
export class BatchFailed extends Error {
  constructor(
    readonly events: readonly BusEvent[],
    override readonly cause: unknown,
  ) {
    super('the batch was rolled back');
  }
}

/** Takes the next events of a partition, has them handled, and moves the group's place: one transaction. */
export class Batches {
  private readonly names: string[];
  private readonly handled: Counter<'event'>;
  private readonly delivery: Histogram<'event'>;

  constructor(private readonly options: BatchOptions) {
    const { metrics, handlers } = options;
    this.names = [...handlers.keys()];
    this.handled = metrics.counter('bus_handled_events_total', 'Events handled', ['event']);
    this.delivery = metrics.histogram('bus_delivery_seconds', 'From an event to the commit of its effect', ['event']);
  }

  /**
   * @param events  how many to take at most
   * @param stop    when aborted, what is handled so far is committed
   * @returns 'more' when not all that is there was handled, 'busy' when another instance holds the place
   * @throws BatchFailed after all of it was rolled back
   */
  async run(place: Place, events: number, stop: AbortSignal): Promise<'done' | 'more' | 'busy'> {
    const { storage, config } = this.options;
    const limits = { names: this.names, events, bytes: config.batchBytes };
    let taken: Taken[] = [];
    let done: Taken[] = [];
    try {
      // Not to wait for the disk is safe: effect and place are lost together, and done again.
      const outcome = await storage.background({ ...config, isDurable: false }, async (tx) => {
        const read = await take(tx, place, limits);
        if (!read) return 'busy';
        ({ taken } = read);
        done = await this.handleAll(tx, taken, stop);
        if (done.length > 0) await move(tx, place, done.at(-1)!.seq);
        return read.hasMore || done.length < taken.length ? 'more' : 'done';
      });
      this.count(done);
      return outcome;
    } catch (error) {
      throw new BatchFailed(
        taken.map(({ event }) => event),
        error,
      );
    }
  }

  /** @returns those that were handled before the batch's time was up */
  private async handleAll(tx: EntityManager, taken: readonly Taken[], stop: AbortSignal): Promise<Taken[]> {
    const until = performance.now() + this.options.config.batchMs;
    for (const [at, { event }] of taken.entries()) {
      const handlers = this.options.handlers.get(event.name);
      if (handlers) await this.inTime(event, this.handle(tx, event, handlers));
      if (performance.now() > until || stop.aborted) return taken.slice(0, at + 1);
    }
    return [...taken];
  }

  private async handle(tx: EntityManager, event: BusEvent, handlers: readonly Handle[]): Promise<void> {
    const init = event.traceId === undefined ? { tx } : { tx, traceId: event.traceId };
    const context = new BusContext(event, tx);
    await runWith(newContext(init), async () => {
      // One after the other: they share one connection.
      for (const handle of handlers) await handle(context);
    });
  }

  /** A handler that hangs is given up; what it still writes afterwards meets a transaction that is over. */
  private async inTime(event: BusEvent, work: Promise<void>): Promise<void> {
    const { handlerMs } = this.options.config;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, giveUp) => {
      const why = `the handlers of ${event.name} took more than ${handlerMs} ms`;
      timer = setTimeout(() => giveUp(new Problem('timeout', 504, why)), handlerMs);
    });
    try {
      await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private count(done: readonly Taken[]) {
    for (const { event } of done) {
      if (!this.options.handlers.has(event.name)) continue;
      this.handled.inc({ event: event.name });
      this.delivery.observe({ event: event.name }, Math.max(0, Date.now() - Date.parse(event.at)) / 1000);
    }
  }
}
