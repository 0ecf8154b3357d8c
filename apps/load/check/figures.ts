/** The smallest value that so many percent of the others do not exceed. */
export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1))] ?? NaN;
}

/** What is told of times, ms. */
export interface Percentiles {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/** Percentiles of times, ms, to a hundredth; null of none, as JSON has no other word. */
export function percentilesOf(times: readonly number[]): Percentiles {
  const sorted = Float64Array.from(times).sort();
  const at = (percent: number) => Math.round(percentile(sorted as unknown as number[], percent) * 100) / 100;
  return { count: times.length, p50: at(50), p90: at(90), p99: at(99), max: at(100) };
}

/** How sure a bound is. */
const CONFIDENCE = 0.95;
const STEPS = 200;

/** ln of the chance of at most `failures` in `n`, each failing with chance `rate`. */
function chanceOfAtMost(failures: number, n: number, rate: number): number {
  let term = n * Math.log1p(-rate);
  let most = term;
  const terms = [term];
  for (let k = 1; k <= failures; k++) {
    term += Math.log((n - k + 1) / k) + Math.log(rate) - Math.log1p(-rate);
    terms.push(term);
    most = Math.max(most, term);
  }
  return Math.exp(most) * terms.reduce((sum, each) => sum + Math.exp(each - most), 0);
}

/**
 * The failure rate that is not exceeded, as far as so many trials can tell with 95 % confidence.
 *
 * @source Clopper & Pearson (1934), one-sided; of no failure it is about 3/n, the rule of three
 */
export function upperBound(failures: number, n: number): number {
  if (n <= 0 || failures >= n) return 1;
  let [low, high] = [failures / n, 1];
  for (let i = 0; i < STEPS; i++) {
    const middle = (low + high) / 2;
    if (chanceOfAtMost(failures, n, middle) > 1 - CONFIDENCE) low = middle;
    else high = middle;
  }
  return high;
}

/** Chance that can be had again: mulberry32. @returns numbers in [0, 1) */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of the numbers below. */
export const below = (luck: () => number, bound: number): number => Math.floor(luck() * bound);

/** So many of them, in an order of chance. */
export function some<T>(luck: () => number, all: readonly T[], count: number): T[] {
  const left = [...all];
  return Array.from({ length: Math.min(count, all.length) }, () => left.splice(below(luck, left.length), 1)[0]!);
}
