import { EventEmitter } from 'node:events';
import CircuitBreaker from 'opossum';
import { runWithout } from '#context';
import { Problem } from '#problem';

/** One try, given a signal that ends it when it takes too long. */
export type Try<T> = (signal: AbortSignal) => Promise<T>;

/** An answer that a caller can mend: the service works. */
export const isAnswer = (error: unknown): boolean => error instanceof Problem && error.status < 500;

/** What the service's own limit, the breaker's clock or its own words call taking too long. */
export const isTimeout = (error: unknown): boolean =>
  error instanceof Problem
    ? error.type === 'timeout'
    : (error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT' && isOwn(error);

/** The breaker refused the call without making it. */
export const isOpenError = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException | undefined)?.code === 'EOPENBREAKER' && isOwn(error);

export const isShutdownError = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException | undefined)?.code === 'ESHUTDOWN' && isOwn(error);

const isOwn = (error: unknown) => error instanceof Error && CircuitBreaker.isOurError(error);

/** Calls are made, refused, or one of them is tried. */
export type State = 'closed' | 'open' | 'half-open';

/**
 * opossum, kept to what it does as Hystrix would: the state, the sleep, the one trial after it, the time-out of a call.
 *
 * It counts unlike Hystrix, so it is never given a reason to open by itself: its status counts nothing (it would keep every latency
 * of the last ten seconds) and its volume threshold is out of reach. `Infinity` would not do: opossum 10 takes only integers for
 * one and falls back to 0, which opens at the first failure.
 */
export class Circuit {
  private readonly options: CircuitBreaker.Options<[Try<unknown>, AbortSignal]>;
  private readonly opossum: CircuitBreaker<[Try<unknown>, AbortSignal], unknown>;

  constructor(name: string, changed: (state: State) => void) {
    const rotateBucketController = new EventEmitter();
    const counting = { rollingPercentilesEnabled: false, enableSnapshots: false, rollingCountBuckets: 1, rotateBucketController };
    this.options = {
      ...counting,
      name,
      status: Object.assign(CircuitBreaker.newStatus(counting), { increment: () => undefined }),
      volumeThreshold: Number.MAX_SAFE_INTEGER,
      // In half-open, an answer closes it as a success does; everything else, a call that told nothing included, opens it again.
      errorFilter: isAnswer,
    };
    this.opossum = new CircuitBreaker((call: Try<unknown>, signal: AbortSignal) => call(signal), this.options);
    this.opossum.on('open', () => changed('open'));
    this.opossum.on('halfOpen', () => changed('half-open'));
    this.opossum.on('close', () => changed('closed'));
  }

  get state(): State {
    return this.opossum.closed ? 'closed' : this.opossum.opened ? 'open' : 'half-open';
  }

  /** opossum reads both limits when it needs them, so they may differ from call to call. */
  async fire<T>(call: Try<T>, timeoutMs: number, resetMs: number): Promise<T> {
    const controller = new AbortController();
    this.options.timeout = timeoutMs;
    this.options.resetTimeout = resetMs;
    try {
      return (await this.opossum.fire(call, controller.signal)) as T;
    } catch (error) {
      if (isTimeout(error)) controller.abort(error);
      throw error;
    }
  }

  /** The timer of the sleep outlives the request that caused it, so it must not hold that request's context. */
  open(resetMs: number): void {
    this.options.resetTimeout = resetMs;
    runWithout(() => this.opossum.open());
  }

  close(): void {
    this.opossum.close();
  }

  shutdown(): void {
    this.opossum.shutdown();
  }
}
