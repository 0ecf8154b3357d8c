import { IsInt, IsOptional, IsString, Max, Min } from 'class-validator';
import { Section } from '#config';
import { runWithout } from '#context';
import type { Log } from '#log';
import type { Counter, Gauge, Metrics } from '#metrics';
import { Problem } from '#problem';
import { Circuit, isAnswer, isOpenError, isShutdownError, isTimeout, type State, type Try } from './circuit.js';
import { type Latencies, type Outcome, RollingWindow, type WindowShape } from './window.js';

export type { State, Try } from './circuit.js';
export { OUTCOMES, type Latencies, type Outcome } from './window.js';

/** When a breaker opens, and for how long. Every field may change while calls run. */
@Section('breaker')
export class BreakerConfig {
  /** A try that takes longer to its answer's head is a failure, ms. */
  @IsInt() @Min(50) @Max(600_000) timeoutMs: number;
  /** Calls in the window below which it never opens. */
  @IsInt() @Min(1) minCalls: number;
  /** Errors at or above which it opens, percent of the calls in the window. */
  @IsInt() @Min(1) @Max(100) errorPercent: number;
  /** How far back it looks, s. */
  @IsInt() @Min(1) @Max(600) windowSeconds: number;
  /** Steps in which the window forgets. */
  @IsInt() @Min(1) @Max(100) windowBuckets: number;
  /** Latencies kept of each step for the percentiles. */
  @IsInt() @Min(1) @Max(10_000) latencySamples: number;
  /** How long it stays open before one call is let through, ms. */
  @IsInt() @Min(10) resetMs: number;
  /** Calls under way at once; more are refused. */
  @IsInt() @Min(1) maxConcurrent: number;
  /** Names of breakers held open by hand; none without. */
  @IsOptional() @IsString({ each: true }) forceOpen?: string[];
  /** Names of breakers held closed by hand; what is also held open is open. */
  @IsOptional() @IsString({ each: true }) forceClosed?: string[];
}

/** What a dependency declares different from the section; it stays, whatever the section says. */
export type Overrides = Partial<Pick<BreakerConfig, 'timeoutMs' | 'minCalls' | 'errorPercent' | 'resetMs' | 'maxConcurrent'>>;

/** How one call differs from the others of its breaker. */
export interface FireOptions<T> {
  /** To the head of the answer, ms; the section's without. */
  timeoutMs?: number;
  /** What to give instead of failing. It marks its answer as one itself. */
  fallback?: (error: Problem) => T | Promise<T>;
}

/**
 * Thrown by a try that tells nothing about the service: its caller went away, or another instance is asked instead.
 * It is not counted. In half-open it is no success, so the breaker opens again, as Hystrix' does for a call given up.
 *
 * @source Hystrix, AbstractCommand.unsubscribeCommandCleanup
 */
export class Inconclusive extends Error {
  constructor(override readonly cause: unknown) {
    super('the try tells nothing about the service', { cause });
  }
}

interface Surroundings {
  config: BreakerConfig;
  log: Log;
  metrics: Metrics;
  /** A clock that never runs backwards, ms. */
  now?: () => number;
}

const STATE_VALUE: Readonly<Record<State, number>> = { closed: 0, 'half-open': 1, open: 2 };

/** Stops calling what is failing. One for each dependency, made by `Breakers`. */
export class Breaker {
  private readonly circuit: Circuit;
  private readonly now: () => number;
  private readonly stateGauge: Gauge<'name'>;
  private readonly calls: Counter<'name' | 'outcome'>;
  private rolling: RollingWindow;
  private openedAtMs = 0;
  private underWay = 0;

  constructor(
    readonly name: string,
    private readonly around: Surroundings,
    public overrides: Overrides,
  ) {
    this.now = around.now ?? (() => performance.now());
    this.rolling = new RollingWindow(this.shape(), this.now);
    this.circuit = new Circuit(name, (state) => this.changed(state));
    this.stateGauge = around.metrics.gauge('breaker_state', 'Breaker: 0 closed, 1 half-open, 2 open', ['name']);
    this.calls = around.metrics.counter('breaker_calls_total', 'What became of the calls', ['name', 'outcome']);
    this.stateGauge.set({ name }, STATE_VALUE.closed);
  }

  /** What it does with the next call. */
  get state(): State {
    if (this.isForced('forceOpen')) return 'open';
    return this.isForced('forceClosed') ? 'closed' : this.circuit.state;
  }

  /** How long a refused caller should wait, whole seconds, at least 1: a zero would turn `Retry-After` into a busy loop. */
  get retryAfterSeconds(): number {
    return Math.max(1, Math.ceil((this.openedAtMs + this.setting('resetMs') - this.now()) / 1000));
  }

  /** Calls under way. */
  get concurrent(): number {
    return this.underWay;
  }

  /** What became of the calls of the last `windowSeconds`. */
  counts(): Record<Outcome, number> & { calls: number; errors: number; errorPercent: number } {
    const { calls, errors, errorPercent } = this.rolling;
    return { ...this.rolling.counts(), calls, errors, errorPercent };
  }

  /** How long they took, ms. */
  latencies(): Latencies {
    return this.rolling.latencies();
  }

  /** A setting as it is now: the dependency's own, or the section's. */
  setting(key: keyof Overrides): number {
    return this.overrides[key] ?? this.around.config[key];
  }

  /**
   * Make one call, unless this breaker is open or its bulkhead full.
   *
   * @throws Problem `breaker-open` (503, with `Retry-After`), `bulkhead-full` (503), `timeout` (504), or what the call threw
   */
  async fire<T>(call: Try<T>, { timeoutMs, fallback }: FireOptions<T> = {}): Promise<T> {
    try {
      return await this.attempt(call, timeoutMs ?? this.setting('timeoutMs'));
    } catch (error) {
      if (fallback && error instanceof Problem && !isAnswer(error)) return await this.fallBack(fallback, error);
      if (!isAnswer(error) && !(error instanceof Inconclusive)) this.rolling.add('exceptionThrown');
      throw error;
    }
  }

  /** Close it and forget what was counted: for when there is news of the service that the past calls do not know, a new instance. */
  reset(): void {
    this.circuit.close();
  }

  shutdown(): void {
    this.circuit.shutdown();
  }

  private async attempt<T>(call: Try<T>, timeoutMs: number): Promise<T> {
    if (this.isForced('forceOpen')) throw this.refuse();
    if (this.isForced('forceClosed')) this.circuit.close();
    // Checked here, not by opossum: its capacity is fixed for life, and a full bulkhead would use up the one trial in half-open.
    if (this.circuit.state !== 'open' && this.underWay >= this.setting('maxConcurrent')) throw this.full();
    const startedAt = this.now();
    this.underWay++;
    try {
      const value = await this.circuit.fire(call, timeoutMs, this.setting('resetMs'));
      this.count('success', this.now() - startedAt);
      return value;
    } catch (error) {
      throw this.settle(error, this.now() - startedAt, timeoutMs);
    } finally {
      this.underWay--;
    }
  }

  /** Count a call that did not succeed. @returns what its caller is told */
  private settle(error: unknown, latencyMs: number, timeoutMs: number): unknown {
    if (error instanceof Inconclusive) return error;
    if (isOpenError(error)) return this.refuse();
    if (isShutdownError(error)) return new Problem('unavailable', 503, 'this process is stopping', {}, { 'Retry-After': '1' });
    if (isAnswer(error)) {
      this.count('badRequest', latencyMs);
      return error;
    }
    const isLate = isTimeout(error);
    this.count(isLate ? 'timeout' : 'failure', latencyMs);
    if (!isLate || error instanceof Problem) return error;
    return new Problem('timeout', 504, `${this.name} did not answer within ${timeoutMs} ms`, { dependency: this.name });
  }

  private refuse(): Problem {
    this.count('shortCircuited');
    const seconds = this.retryAfterSeconds;
    const detail = `${this.name} is failing and is not called for now`;
    return new Problem('breaker-open', 503, detail, { dependency: this.name }, { 'Retry-After': String(seconds) });
  }

  private full(): Problem {
    this.count('semaphoreRejected');
    const detail = `${this.setting('maxConcurrent')} calls to ${this.name} are under way, more are not taken`;
    return new Problem('bulkhead-full', 503, detail, { dependency: this.name }, { 'Retry-After': '1' });
  }

  private async fallBack<T>(fallback: NonNullable<FireOptions<T>['fallback']>, error: Problem): Promise<T> {
    try {
      const value = await fallback(error);
      this.count('fallbackSuccess');
      return value;
    } catch (thrown) {
      this.count('fallbackFailure');
      this.rolling.add('exceptionThrown');
      throw thrown;
    }
  }

  private count(outcome: Outcome, latencyMs?: number) {
    const shape = this.shape();
    if (!sameShape(shape, this.rolling.shape)) this.rolling = new RollingWindow(shape, this.now);
    this.rolling.add(outcome, latencyMs);
    this.calls.inc({ name: this.name, outcome });
    this.judge();
  }

  /** Hystrix looks at every count: a success too can be the call that makes enough of them. */
  private judge() {
    if (this.rolling.errors === 0 || this.circuit.state !== 'closed' || this.isForced('forceClosed')) return;
    if (this.rolling.calls < this.setting('minCalls') || this.rolling.errorPercent < this.setting('errorPercent')) return;
    this.circuit.open(this.setting('resetMs'));
  }

  private changed(state: State) {
    this.stateGauge.set({ name: this.name }, STATE_VALUE[state]);
    const { calls, errorPercent } = this.rolling;
    if (state === 'open') {
      this.openedAtMs = this.now();
      this.around.log.warn('breaker opened', { breaker: this.name, calls, errorPercent: Math.floor(errorPercent) });
    }
    if (state !== 'closed') return;
    // Else one failure after recovery would open it again, on what was counted before.
    this.rolling.clear();
    this.around.log.info('breaker closed', { breaker: this.name });
  }

  private shape(): WindowShape {
    const { windowSeconds, windowBuckets, latencySamples } = this.around.config;
    return { windowMs: windowSeconds * 1000, buckets: windowBuckets, samples: latencySamples };
  }

  private isForced(how: 'forceOpen' | 'forceClosed') {
    return this.around.config[how]?.includes(this.name) ?? false;
  }
}

const sameShape = (a: WindowShape, b: WindowShape) =>
  a.windowMs === b.windowMs && a.buckets === b.buckets && a.samples === b.samples;

/** The breakers of one process, one for each dependency by its name. */
export class Breakers {
  private readonly byName = new Map<string, Breaker>();

  constructor(private readonly around: Surroundings) {}

  /** The breaker of that name, made on first use; `overrides`, when given, hold from then on. */
  of(name: string, overrides?: Overrides): Breaker {
    const known = this.byName.get(name);
    if (known) {
      if (overrides) known.overrides = overrides;
      return known;
    }
    // It outlives the request that happens to need it first.
    const made = runWithout(() => new Breaker(name, this.around, overrides ?? {}));
    this.byName.set(name, made);
    return made;
  }

  all(): Breaker[] {
    return [...this.byName.values()];
  }

  /** Refuse all further calls and end all timers. */
  close(): void {
    for (const breaker of this.byName.values()) breaker.shutdown();
    this.byName.clear();
  }
}
