import { type Breaker, Inconclusive } from '#breaker';
import { Problem } from '#problem';
import type { Endpoint } from './endpoint.js';
import { type Exchange, TryFailure } from './exchange.js';
import type { Fleet } from './fleet.js';
import type { Outgoing } from './request.js';
import type { ClientConfig } from './settings.js';

/** Why a request is tried again; a label of `client_retries_total`. */
export type RetryReason = 'refused' | 'lost' | 'timeout' | 'answer';

interface Surroundings {
  fleet: Fleet;
  breaker: Breaker;
  config: ClientConfig;
  retried: (reason: RetryReason) => void;
}

// Another instance may do better with these; a 500 is a bug that all have.
const RETRIED_STATUS: ReadonlySet<number> = new Set([502, 503, 504]);

/** An answer from 500 up: a failure to the breaker, but still an answer to the caller when no other comes. */
class FailedAnswer extends Error {
  constructor(readonly exchange: Exchange) {
    super(`answered ${exchange.status}`);
  }
}

/** All tries of one request, until one brings an answer or nothing more can be done. */
export class Tries {
  private readonly tried = new Set<Endpoint>();
  private count = 0;
  private isCancelled = false;
  private endpoint?: Endpoint;
  private exchange?: Exchange;

  constructor(
    private readonly outgoing: Outgoing,
    private readonly around: Surroundings,
  ) {}

  /**
   * Get an answer and use it. `use` may throw a TryFailure when the body breaks off: that is a failed try too.
   *
   * @throws Problem `no-instance` (503), `timeout` (504), `upstream-lost` (502), `breaker-open` (503), `bulkhead-full` (503)
   */
  async run<T>(use: (exchange: Exchange) => T | Promise<T>): Promise<T> {
    const { fleet, breaker, config } = this.around;
    if (fleet.size === 0) await fleet.known(Math.min(config.firstWordMs, this.outgoing.deadlineAt - Date.now()));
    if (fleet.size === 0) throw noInstance(fleet.service);
    fleet.budget.deposit();
    for (;;) {
      const leftMs = this.outgoing.deadlineAt - Date.now();
      if (leftMs <= 0) throw new Problem('timeout', 504, `the deadline passed before ${fleet.service} answered`);
      const timeoutMs = Math.min(this.outgoing.timeoutMs ?? breaker.setting('timeoutMs'), leftMs);
      try {
        return await use(await this.fire(timeoutMs));
      } catch (error) {
        this.exchange?.giveUp('another try is made, or none');
        if (!this.mayGoOn(error)) throw this.meaningOf(error);
      }
    }
  }

  /** The caller went away: nobody wants the answer. */
  cancel(): void {
    this.isCancelled = true;
    this.exchange?.giveUp('the caller went away');
  }

  /** One try through the breaker. To the breaker an answer from 500 up is a failure; to the caller it is an answer. */
  private async fire(timeoutMs: number): Promise<Exchange> {
    this.count++;
    const isStreamed = typeof this.outgoing.body === 'function';
    try {
      return await this.around.breaker.fire((signal) => this.attempt(signal, timeoutMs), {
        // A body that comes slowly is its sender's time, not the service's: that clock starts when it is sent.
        timeoutMs: isStreamed ? this.around.config.uploadMs + timeoutMs : timeoutMs,
      });
    } catch (error) {
      if (isLate(error)) this.endpoint?.late();
      if (error instanceof FailedAnswer) return error.exchange;
      throw error;
    }
  }

  /** Ask the next instance. One that refuses the connection is passed over within the same try: nothing was sent to it. */
  private async attempt(signal: AbortSignal, timeoutMs: number): Promise<Exchange> {
    for (;;) {
      const endpoint = this.around.fleet.pick(this.tried);
      if (!endpoint || this.isCancelled)
        throw endpoint ? new Inconclusive('the caller went away') : noInstance(this.around.fleet.service);
      this.tried.add(endpoint);
      this.endpoint = endpoint;
      const exchange = (this.exchange = endpoint.send(this.outgoing));
      try {
        await this.head(exchange, timeoutMs);
      } catch (failure) {
        if (isRefused(failure) && !signal.aborted) {
          if (this.around.fleet.hasOther(this.tried)) this.around.retried('refused');
          continue;
        }
        throw this.judge(failure);
      }
      if (exchange.status < 500) return exchange;
      if (RETRIED_STATUS.has(exchange.status) && this.take('answer')) throw new Inconclusive(`answered ${exchange.status}`);
      throw new FailedAnswer(exchange);
    }
  }

  /** Wait for the head; after a streamed body for `timeoutMs` from its end. */
  private async head(exchange: Exchange, timeoutMs: number) {
    if (typeof this.outgoing.body !== 'function') return exchange.head;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      this.outgoing.sent = () => {
        const problem = new Problem('timeout', 504, `${this.around.fleet.service} did not answer within ${timeoutMs} ms`);
        timer = setTimeout(() => reject(problem), timeoutMs);
      };
    });
    return Promise.race([exchange.head, late]).finally(() => clearTimeout(timer));
  }

  /**
   * What a failed try tells the breaker: one that is tried again at another instance is that instance's failure, not the service's.
   * Else the death of one of two, with half of all requests under way, would close the door to the other.
   */
  private judge(failure: unknown): unknown {
    if (this.isCancelled) return new Inconclusive('the caller went away');
    if (failure instanceof TryFailure && failure.kind === 'lost' && this.take('lost')) return new Inconclusive(failure);
    return failure;
  }

  /** Whether to go round again after `error`. */
  private mayGoOn(error: unknown): boolean {
    if (this.isCancelled) return false;
    if (error instanceof Inconclusive) return true; // its retry is taken already
    if (isLate(error)) return this.take('timeout');
    return error instanceof TryFailure && error.kind === 'lost' && this.take('lost');
  }

  /** Take one more try out of the budget, if the request may be sent again at all. */
  private take(reason: RetryReason): boolean {
    const { fleet, config, retried } = this.around;
    if (!this.outgoing.isIdempotent || typeof this.outgoing.body === 'function') return false;
    if (this.count >= config.maxTries || this.outgoing.deadlineAt <= Date.now()) return false;
    const hasOther = fleet.hasOther(this.tried);
    // A connection may have been closed while it was idle, so the same instance deserves another one; a slow one does not.
    if (!hasOther && reason !== 'lost') return false;
    if (!fleet.budget.withdraw()) return false;
    if (!hasOther) this.tried.clear();
    retried(reason);
    return true;
  }

  private meaningOf(error: unknown): unknown {
    const { service } = this.around.fleet;
    if (this.isCancelled) return new TryFailure('given-up', 'the caller went away');
    if (!(error instanceof TryFailure)) return error;
    if (error.kind === 'refused') return noInstance(service);
    const detail = `${service} went away before it answered; whether the request took effect is not known`;
    return new Problem('upstream-lost', 502, detail, { dependency: service });
  }
}

const isRefused = (error: unknown) => error instanceof TryFailure && error.kind === 'refused';
const isLate = (error: unknown) => error instanceof Problem && error.type === 'timeout';

/** Nobody is there to ask. */
export const noInstance = (service: string): Problem =>
  new Problem('no-instance', 503, `no instance of ${service} can be reached`, { dependency: service }, { 'Retry-After': '1' });
