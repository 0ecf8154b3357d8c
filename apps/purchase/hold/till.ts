import { Inject, Injectable } from '@nestjs/common';
import { remainingMs, runWithout } from '#context';
import { Log } from '#log';
import { type Histogram, Metrics } from '#metrics';
import { Problem } from '#problem';
import { isUnavailable, Storage } from '#storage';
import { PurchaseConfig } from '../purchase-section.js';
import { holdAll, type HoldOutcome, type HoldRequest } from './statement.js';

/** One who waits for an answer. */
interface Waiting {
  request: HoldRequest;
  /** What nobody else may name in the same call. */
  wants: readonly string[];
  /** When nobody waits for it any more, ms of `performance.now()`. */
  untilMs: number;
  answer: (outcome: HoldOutcome) => void;
  refuse: (error: unknown) => void;
}

const wantsOf = ({ screening, seats, holder, scope }: HoldRequest) => [
  ...seats.map((seat) => `${screening}/${seat}`),
  ...(holder === undefined ? [] : [`holder/${holder}`]),
  ...(scope === undefined ? [] : [`scope/${scope}`]),
];

const tooBusy = () => new Problem('too-busy', 503, 'too many buyers are waiting; try again', {}, { 'Retry-After': '1' });
const tooLate = () => new Problem('deadline-exceeded', 504, 'the deadline passed while others were served');

/**
 * Where buyers queue. Those who come in one turn of the event loop go jointly, in one statement and one commit, and so do those who
 * come while others are under way. With two calls at a time the one is in the database while the other's buyers are answered. A seat goes to the
 * earliest who asks for it: whoever collides with an earlier one, under way or still waiting, waits for a later call, which tells
 * them who has it.
 */
@Injectable()
export class Till {
  private queue: Waiting[] = [];
  private underWay = 0;
  private soon?: NodeJS.Immediate;
  /** What those under way name. */
  private readonly busy = new Set<string>();
  private readonly sizes: Histogram;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(PurchaseConfig) private readonly config: PurchaseConfig,
    @Inject(Log) private readonly log: Log,
    @Inject(Metrics) metrics: Metrics,
  ) {
    this.sizes = metrics.histogram('purchase_joint_holds', 'Requests for seats in one call', [], [1, 2, 5, 10, 20, 50, 100, 200]);
  }

  /**
   * Take these seats, all or none.
   *
   * @throws Problem `too-busy` (503) when too many wait, `deadline-exceeded` (504), `storage-unavailable`, `storage-slow` (503)
   */
  hold(request: HoldRequest): Promise<HoldOutcome> {
    if (this.queue.length >= this.config.holdsWaiting) return Promise.reject(tooBusy());
    return new Promise((answer, refuse) => {
      this.queue.push({ request, wants: wantsOf(request), untilMs: performance.now() + remainingMs(), answer, refuse });
      // Whoever comes in the same turn of the event loop goes along.
      this.soon ??= runWithout(() => setImmediate(() => this.serve()));
    });
  }

  private serve(): void {
    this.soon = undefined;
    while (this.underWay < this.config.holdsAtOnce && this.queue.length > 0) {
      const together = this.next();
      if (together.length === 0) return;
      this.underWay++;
      const wants = together.flatMap((each) => each.wants);
      for (const want of wants) this.busy.add(want);
      // The call is nobody's own: it must not run in the first one's trace, deadline or transaction.
      void runWithout(() => this.call(together)).finally(() => {
        this.underWay--;
        for (const want of wants) this.busy.delete(want);
        this.serve();
      });
    }
  }

  /** The earliest of those who wait that name nothing that another of them, or of those under way, does. */
  private next(): Waiting[] {
    const now = performance.now();
    const [named, together, later] = [new Set<string>(), [] as Waiting[], [] as Waiting[]];
    for (const [at, each] of this.queue.entries()) {
      if (together.length >= this.config.jointHolds) {
        for (const rest of this.queue.slice(at)) later.push(rest);
        break;
      }
      if (each.untilMs <= now) {
        each.refuse(tooLate());
        continue;
      }
      const isFirst = !each.wants.some((want) => named.has(want) || this.busy.has(want));
      for (const want of each.wants) named.add(want);
      (isFirst ? together : later).push(each);
    }
    this.queue = later;
    return together;
  }

  private async call(together: readonly Waiting[]): Promise<void> {
    this.sizes.observe(together.length);
    try {
      const outcomes = await holdAll(
        this.storage,
        together.map(({ request }) => request),
      );
      for (const [at, { answer }] of together.entries()) answer(outcomes[at]!);
    } catch (error) {
      // Nobody shall suffer for another's request: each is tried by itself, unless nothing can be tried at all.
      if (together.length === 1 || isUnavailable(error)) for (const { refuse } of together) refuse(error);
      else await this.oneByOne(together, error);
    }
  }

  private async oneByOne(together: readonly Waiting[], error: unknown): Promise<void> {
    this.log.warn('seats were not taken jointly, now one by one', { requests: together.length, error });
    for (const { request, answer, refuse } of together) {
      try {
        answer((await holdAll(this.storage, [request]))[0]!);
      } catch (own) {
        refuse(own);
      }
    }
  }
}
