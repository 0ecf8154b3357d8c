/**
 * What can become of a call, by Hystrix' names.
 *
 * `badRequest` is a refusal that the caller can mend (a problem below 500): the service answered, so it says nothing about its health.
 * `fallbackSuccess`, `fallbackFailure` and `exceptionThrown` are counted beside the outcome that led to them.
 */
export const OUTCOMES = [
  'success',
  'failure',
  'timeout',
  'badRequest',
  'shortCircuited',
  'semaphoreRejected',
  'fallbackSuccess',
  'fallbackFailure',
  'exceptionThrown',
] as const;
/** One of `OUTCOMES`. */
export type Outcome = (typeof OUTCOMES)[number];

const PLACE = Object.fromEntries(OUTCOMES.map((outcome, i) => [outcome, i])) as Readonly<Record<Outcome, number>>;

// Only what tells whether the service works opens a breaker; a bulkhead of ours that is full does not.
const isError = (outcome: Outcome) => outcome === 'failure' || outcome === 'timeout';
const isCall = (outcome: Outcome) => outcome === 'success' || isError(outcome);

/** Mean and percentiles of the latencies in a window, ms. */
export interface Latencies {
  meanMs: number;
  /** @param percent  0–100 @returns ms, 0 when nothing was measured */
  percentileMs(percent: number): number;
}

export interface WindowShape {
  /** How far back it remembers, ms. */
  windowMs: number;
  /** In how many steps it forgets. */
  buckets: number;
  /** Latencies kept of each bucket, the last ones. */
  samples: number;
}

/**
 * What became of the calls of the last seconds. It forgets bucket by bucket when it is next asked, so it needs no timer,
 * and keeps running sums, so that counting a call costs the same however long the window is.
 *
 * @source Hystrix, HealthCountsStream and HystrixRollingPercentile
 */
export class RollingWindow {
  private readonly counted: Uint32Array;
  private readonly sampled: Float64Array;
  /** Latencies ever written to each bucket; the ring holds the last `samples` of them. */
  private readonly written: Uint32Array;
  private readonly bucketMs: number;
  private step: number;
  private callsInAll = 0;
  private errorsInAll = 0;

  /** @param now  a clock that never runs backwards, ms */
  constructor(
    readonly shape: Readonly<WindowShape>,
    private readonly now: () => number = () => performance.now(),
  ) {
    const { windowMs, buckets, samples } = shape;
    this.counted = new Uint32Array(buckets * OUTCOMES.length);
    this.sampled = new Float64Array(buckets * samples);
    this.written = new Uint32Array(buckets);
    this.bucketMs = windowMs / buckets;
    this.step = this.stepNow();
  }

  /** @param latencyMs  for calls that were made; none for those refused before */
  add(outcome: Outcome, latencyMs?: number): void {
    const bucket = this.advance();
    this.counted[bucket * OUTCOMES.length + PLACE[outcome]]!++;
    if (isCall(outcome)) this.callsInAll++;
    if (isError(outcome)) this.errorsInAll++;
    if (latencyMs === undefined) return;
    const { samples } = this.shape;
    this.sampled[bucket * samples + (this.written[bucket]! % samples)] = latencyMs;
    this.written[bucket]!++;
  }

  /** Calls that say something about the service's health: successes, failures and time-outs. */
  get calls(): number {
    this.advance();
    return this.callsInAll;
  }

  get errors(): number {
    this.advance();
    return this.errorsInAll;
  }

  /** 0–100; 0 without calls. */
  get errorPercent(): number {
    return this.calls === 0 ? 0 : (this.errorsInAll / this.callsInAll) * 100;
  }

  /** How often each outcome came about in the window. */
  counts(): Record<Outcome, number> {
    this.advance();
    const sums = OUTCOMES.map((_, place) => {
      let sum = 0;
      for (let i = place; i < this.counted.length; i += OUTCOMES.length) sum += this.counted[i]!;
      return sum;
    });
    return Object.fromEntries(OUTCOMES.map((outcome, place) => [outcome, sums[place]!])) as Record<Outcome, number>;
  }

  /** Sorted when asked for, not when counted: someone looks once a second, calls come by thousands. */
  latencies(): Latencies {
    this.advance();
    const { buckets, samples } = this.shape;
    const sorted = Float64Array.from(
      Array.from({ length: buckets }, (_, b) => [
        ...this.sampled.subarray(b * samples, b * samples + Math.min(samples, this.written[b]!)),
      ]).flat(),
    ).sort();
    const meanMs = sorted.length === 0 ? 0 : sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length;
    return { meanMs, percentileMs: (percent) => sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0 };
  }

  clear(): void {
    for (let bucket = 0; bucket < this.shape.buckets; bucket++) this.empty(bucket);
  }

  private stepNow() {
    return Math.floor(this.now() / this.bucketMs);
  }

  /** Forget what is too old. @returns the current bucket */
  private advance(): number {
    const { buckets } = this.shape;
    const step = this.stepNow();
    const passed = Math.min(step - this.step, buckets);
    for (let i = 0; i < passed; i++) this.empty((step - i) % buckets);
    if (passed > 0) this.step = step;
    return this.step % buckets;
  }

  private empty(bucket: number) {
    const from = bucket * OUTCOMES.length;
    for (const outcome of OUTCOMES) {
      const count = this.counted[from + PLACE[outcome]]!;
      if (isCall(outcome)) this.callsInAll -= count;
      if (isError(outcome)) this.errorsInAll -= count;
    }
    this.counted.fill(0, from, from + OUTCOMES.length);
    this.written[bucket] = 0;
  }
}
