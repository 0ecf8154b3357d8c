import { percentile, type Percentiles } from '../check/figures.js';

/** What is measured in turns, so that noise of the machine meets all of it. Each is answers per second. */
export interface Round {
  /** What PostgreSQL can do: claim, purchase and event of one seat in one prepared statement. */
  limit: number;
  /** Seats held, joint claims on. */
  joint: number;
  /** Seats held, one claim a statement. */
  single: number;
  /** Answers to a crowd at one screening. */
  crowd: number;
  /** Answers to a request that is refused before the database is asked. */
  refused: number;
}

/** What must hold. */
export const BOUNDS = { jointPercent: 60, singlePercent: 30, crowdPercent: 60, p99Ms: 250 } as const;

/** The rounds as one, and what is wrong with it. */
export interface Verdict {
  /** Of each kind the median of all rounds. */
  perSecond: Round;
  /** Medians of each round's own ratio: what disturbs a round disturbs both of its sides. */
  jointPercent: number;
  singlePercent: number;
  crowdPercent: number;
  isEnough: boolean;
  faults: string[];
}

/** The middle one; of an even count the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

const tenths = (value: number) => Math.round(value * 10) / 10;

/** How the till does. @param paced  from arrival to answer, at half of what it does at most */
export function verdictOf(rounds: readonly Round[], paced: Pick<Percentiles, 'p99'>, odd: readonly string[] = []): Verdict {
  const rate = (kind: keyof Round) => Math.round(median(rounds.map((round) => round[kind])));
  const share = (part: keyof Round, of: keyof Round) => tenths(median(rounds.map((round) => (100 * round[part]) / round[of])));
  const jointPercent = share('joint', 'limit');
  const singlePercent = share('single', 'limit');
  const crowdPercent = share('crowd', 'refused');
  const low = (what: string, is: number, bound: number) => (is >= bound ? [] : [`${what}: ${is} %, must be ${bound}`]);
  const faults = [
    ...low('joint holds, of the limit', jointPercent, BOUNDS.jointPercent),
    ...low('holds one by one, of the limit', singlePercent, BOUNDS.singlePercent),
    ...low('a crowd at one screening, of what is refused before the database', crowdPercent, BOUNDS.crowdPercent),
    ...(paced.p99 < BOUNDS.p99Ms ? [] : [`at half of the load p99 is ${paced.p99} ms, must be below ${BOUNDS.p99Ms}`]),
    ...odd,
  ];
  const perSecond = { limit: rate('limit'), joint: rate('joint'), single: rate('single'), crowd: rate('crowd'), refused: rate('refused') }; // prettier-ignore
  return { perSecond, jointPercent, singlePercent, crowdPercent, isEnough: faults.length === 0, faults };
}

/** How far values lie apart, percent of their median: how quiet the machine was. */
export function spreadPercent(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round((100 * (percentile(sorted, 100) - sorted[0]!)) / median(sorted));
}
