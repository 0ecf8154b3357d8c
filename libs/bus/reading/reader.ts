import type { Log } from '#log';
import type { Counter } from '#metrics';
import { backoffMs, isUnavailable } from '#storage';
import type { BatchFailed, Batches, Outcome } from './batch.js';
import type { BusConfig } from '../bus-section.js';
import type { BusEvent } from '../event.js';
import { isOwnFault, reasonOf } from '../parking/blame.js';
import type { Place } from '../source.js';

/** Why an event does not go through. */
interface Failure {
  eventId: string;
  reason: string;
  /** Tries so far, at least 1. */
  attempts: number;
  /** Those of them for which the event itself is to blame. */
  ownFaults: number;
  /** When that was first so, by the clock that only rises. */
  ownSinceMs: number;
}

export interface ReaderOptions {
  batches: Batches;
  log: Log;
  /** Tries of events that failed. */
  failed: Counter<'event'>;
  config: BusConfig;
}

/** What came of a look at a partition, and how long to leave it alone. */
export interface Step {
  outcome: Outcome;
  restMs: number;
  /** An event was parked in it. */
  hasParked?: boolean;
}

/**
 * Reads one partition for a group. What fails is tried again: first one event at a time, so that what is good commits and what fails is
 * found, and then that one with back-off until it is parked.
 */
export class Reader {
  /** So many events are taken one at a time. */
  private alone = 0;
  /** Tries in a row that failed with nobody's event to blame. */
  private outages = 0;
  private failure?: Failure;

  constructor(
    private readonly place: Place,
    private readonly options: ReaderOptions,
  ) {}

  /** One of its events fails. */
  get isFailing(): boolean {
    return this.failure !== undefined;
  }

  async read(stop: AbortSignal): Promise<Step> {
    const { batches, config } = this.options;
    try {
      const outcome = await batches.run(this.place, this.alone > 0 ? 1 : config.batchEvents, stop);
      if (outcome !== 'busy') this.passed();
      return { outcome, restMs: outcome === 'busy' ? config.busyMs : 0 };
    } catch (error) {
      return this.rolledBack(error as BatchFailed);
    }
  }

  private passed() {
    const { eventId, reason, attempts } = this.failure ?? {};
    if (this.failure) this.options.log.info('event handled at last', { eventId, reason, attempts });
    this.failure = undefined;
    this.outages = 0;
    this.alone = Math.max(0, this.alone - 1);
  }

  private async rolledBack({ events, cause }: BatchFailed): Promise<Step> {
    const { config } = this.options;
    const [first] = events;
    if (isUnavailable(cause) || !first) return this.away(cause);
    if (events.length > 1) {
      this.alone = events.length;
      return { outcome: 'more', restMs: 0 };
    }
    const failure = this.blame(first, cause);
    const { ownFaults, ownSinceMs } = failure;
    const isEnough = ownFaults >= config.parkAfterTries && performance.now() - ownSinceMs >= config.parkAfterMs;
    return isEnough ? this.park(first, failure) : { outcome: 'more', restMs: backoffMs(failure.attempts - 1, config) };
  }

  private away(cause: unknown): Step {
    const { log, config } = this.options;
    if (!isUnavailable(cause) && this.outages === 0)
      log.warn('cannot read events, will try again', { group: this.place.group, error: cause });
    return { outcome: 'more', restMs: backoffMs(this.outages++, config) };
  }

  private blame({ id, name, key, traceId }: BusEvent, error: unknown): Failure {
    const { log, failed } = this.options;
    const reason = reasonOf(error);
    const known = this.failure?.eventId === id ? this.failure : undefined;
    const isOwn = isOwnFault(error);
    this.failure = {
      eventId: id,
      reason,
      attempts: (known?.attempts ?? 0) + 1,
      ownFaults: (known?.ownFaults ?? 0) + (isOwn ? 1 : 0),
      ownSinceMs: known?.ownFaults ? known.ownSinceMs : performance.now(),
    };
    failed.inc({ event: name });
    // A thousand tries for one reason are one piece of news.
    const facts = { group: this.place.group, event: name, eventId: id, key, eventTrace: traceId, error };
    if (known?.reason !== reason) log.warn('event fails, will try again', facts);
    return this.failure;
  }

  private async park({ id, name, key }: BusEvent, { reason, attempts }: Failure): Promise<Step> {
    const { batches, log } = this.options;
    const { group } = this.place;
    try {
      const outcome = await batches.parkNext(this.place, { eventId: id, reason, tries: attempts });
      if (outcome === 'busy') return { outcome, restMs: this.options.config.busyMs };
      log.error('event parked, its key waits', { group, event: name, eventId: id, key, tries: attempts, reason });
      this.failure = undefined;
      return { outcome, restMs: 0, hasParked: true };
    } catch (error) {
      return this.away(error);
    }
  }
}
