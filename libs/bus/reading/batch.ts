import type { EntityManager } from 'typeorm';
import { newContext, runWith } from '#context';
import type { Counter, Histogram, Metrics } from '#metrics';
import type { Storage } from '#storage';
import type { BusConfig } from '../bus-section.js';
import { BusContext, type BusEvent, Joint } from '../event.js';
import { HandlersLate } from '../parking/blame.js';
import { park, parkedKeys, takeDue, unpark, type Verdict } from '../parking/parking.js';
import { handledBefore, keepHandled, move } from '../places.js';
import type { EventSource, Place, Read, Taken } from '../source.js';

/** Does what one event asks for, in `context.tx`. */
export interface Handle {
  (context: BusContext): Promise<void>;
  /** It does all by `context.together`, so that what others have left to be done later need not be done before it. */
  isJoint?: boolean;
}

export interface BatchOptions {
  /** By event name; those of one name are called one after the other. */
  handlers: ReadonlyMap<string, readonly Handle[]>;
  source: EventSource;
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

/** 'more' when not all that is there was handled, 'busy' when another instance holds the place. */
export type Outcome = 'done' | 'more' | 'busy';

const NONE: ReadonlySet<string> = new Set<string>([]);

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
   * Parked events that are due come first, in a batch of their own.
   *
   * @param events  how many to take at most
   * @param stop    when aborted, what is handled so far is committed
   * @throws BatchFailed after all of it was rolled back
   */
  async run(place: Place, events: number, stop: AbortSignal): Promise<Outcome> {
    const batch: { taken: readonly Taken[]; handled: BusEvent[] } = { taken: [], handled: [] };
    try {
      const outcome = await this.inTransaction(place, events, async (tx, read, due) => {
        batch.taken = due.length > 0 ? due : read.taken;
        return due.length > 0
          ? this.again(tx, place, due, stop, batch.handled)
          : this.further(tx, place, read, stop, batch.handled);
      });
      this.count(batch.handled);
      return outcome;
    } catch (error) {
      throw new BatchFailed(
        batch.taken.map(({ event }) => event),
        error,
      );
    }
  }

  /** Park the next event, if it is still the one of the verdict; those of its key that come later will wait behind it. */
  async parkNext(place: Place, verdict: Verdict): Promise<Outcome> {
    return this.inTransaction(place, 1, async (tx, { taken }, due) => {
      const [next] = due.length > 0 ? due : taken;
      if (next?.event.id !== verdict.eventId) return 'more';
      await park(tx, place, [next], verdict);
      if (due.length === 0) await move(tx, place, next.seq);
      return 'more';
    });
  }

  private inTransaction(
    place: Place,
    events: number,
    fn: (tx: EntityManager, read: Read, due: readonly Taken[]) => Promise<Outcome>,
  ): Promise<Outcome> {
    const { storage, config, source } = this.options;
    const limits = { names: this.names, events, bytes: config.batchBytes };
    // Not to wait for the disk is safe: effect and place are lost together, and done again.
    return storage.background({ ...config, isDurable: false }, async (tx) => {
      const read = await source.take(tx, place, limits);
      if (!read) return 'busy';
      return fn(tx, read, read.hasParked ? await takeDue(tx, place, limits) : []);
    });
  }

  private async again(
    tx: EntityManager,
    place: Place,
    due: readonly Taken[],
    stop: AbortSignal,
    handled: BusEvent[],
  ): Promise<Outcome> {
    const done = await this.handleAll(tx, due, stop, (event) => handled.push(event) > 0);
    const events = done.map(({ event }) => event);
    await unpark(tx, place, events);
    if (this.options.source.repeats) await this.keep(tx, place, events);
    return 'more';
  }

  private async further(
    tx: EntityManager,
    place: Place,
    { taken, hasMore, hasParked }: Read,
    stop: AbortSignal,
    handled: BusEvent[],
  ): Promise<Outcome> {
    const { source, handlers } = this.options;
    if (taken.length === 0) return hasMore ? 'more' : 'done';
    const waiting = hasParked ? await parkedKeys(tx, place) : NONE;
    const ids = taken.map(({ event }) => event.id);
    const known = new Set(source.repeats ? await handledBefore(tx, place.group, ids) : NONE);
    const done = await this.handleAll(tx, taken, stop, (event) => {
      if (waiting.has(event.key) || known.has(event.id)) return false;
      if (source.repeats) known.add(event.id);
      return handled.push(event) > 0;
    });
    const isBehind = ({ event: { name, key, id } }: Taken) => waiting.has(key) && handlers.has(name) && !known.has(id);
    await park(tx, place, done.filter(isBehind));
    if (source.repeats) await this.keep(tx, place, handled);
    await move(tx, place, done.at(-1)!.seq);
    return hasMore || done.length < taken.length ? 'more' : 'done';
  }

  private keep(tx: EntityManager, { group }: Place, events: readonly BusEvent[]): Promise<void> {
    const ids = events.filter(({ name }) => this.options.handlers.has(name)).map(({ id }) => id);
    return keepHandled(tx, group, ids);
  }

  /** @returns those that were gone through before the batch's time was up */
  private async handleAll(
    tx: EntityManager,
    taken: readonly Taken[],
    stop: AbortSignal,
    isFor: (event: BusEvent) => boolean,
  ): Promise<Taken[]> {
    const until = performance.now() + this.options.config.batchMs;
    const joint = new Joint();
    let done = 0;
    for (const { event } of taken) {
      const handlers = this.options.handlers.get(event.name);
      if (handlers && isFor(event)) await this.inTime(event, this.handle(tx, event, handlers, joint));
      done++;
      if (performance.now() > until || stop.aborted) break;
    }
    await joint.settle(tx);
    return taken.slice(0, done);
  }

  private async handle(tx: EntityManager, event: BusEvent, handlers: readonly Handle[], joint: Joint): Promise<void> {
    const init = event.traceId === undefined ? { tx } : { tx, traceId: event.traceId };
    const context = new BusContext(event, tx, joint);
    await runWith(newContext(init), async () => {
      // One after the other: they share one connection.
      for (const handle of handlers) {
        if (!handle.isJoint) await joint.settle(tx);
        await handle(context);
      }
    });
  }

  /** A handler that hangs is given up; what it still writes afterwards meets a transaction that is over. */
  private async inTime(event: BusEvent, work: Promise<void>): Promise<void> {
    const { handlerMs } = this.options.config;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, giveUp) => {
      timer = setTimeout(() => giveUp(new HandlersLate(event.name, handlerMs)), handlerMs);
    });
    try {
      await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private count(handled: readonly BusEvent[]) {
    for (const { name, at } of handled) {
      this.handled.inc({ event: name });
      this.delivery.observe({ event: name }, Math.max(0, Date.now() - Date.parse(at)) / 1000);
    }
  }
}
