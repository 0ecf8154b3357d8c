/** What a balancer knows of an instance. */
export interface Loaded {
  /** Requests under way there. */
  readonly underWay: number;
  /** Moving average of the time to an answer's head, ms; 0 before the first. */
  readonly averageMs: number;
}

/** @param all  not empty @param turn  grows by one with each choice */
type Balancer = <T extends Loaded>(all: readonly T[], turn: number) => T;

const anyOf = <T>(all: readonly T[]): T => all[Math.floor(Math.random() * all.length)]!;

const roundRobin: Balancer = (all, turn) => all[turn % all.length]!;

/**
 * The slower an instance, the less it gets: the weight of one is the average of all together without its own.
 * Until each has answered once, they take turns.
 *
 * @source Ribbon, WeightedResponseTimeRule
 */
const weightedResponseTime: Balancer = (all, turn) => {
  let total = 0;
  for (const { averageMs } of all) {
    if (averageMs === 0) return roundRobin(all, turn);
    total += averageMs;
  }
  if (all.length === 1) return all[0]!;
  let at = Math.random() * total * (all.length - 1);
  return all.find(({ averageMs }) => (at -= total - averageMs) < 0) ?? all[0]!;
};

/**
 * Of two taken at random the one with fewer requests under way: nearly as good as knowing the best,
 * and unlike it without a rush of all callers to the same one.
 *
 * @source Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001
 */
const leastLoaded: Balancer = (all) => {
  if (all.length === 1) return all[0]!;
  const first = Math.floor(Math.random() * all.length);
  const second = (first + 1 + Math.floor(Math.random() * (all.length - 1))) % all.length;
  const [one, other] = [all[first]!, all[second]!];
  return other.underWay < one.underWay ? other : one;
};

export const BALANCER_NAMES = ['round-robin', 'random', 'weighted-response-time', 'least-loaded'] as const;
/** A way to choose an instance, as the configuration names it. */
export type BalancerName = (typeof BALANCER_NAMES)[number];

/** The ways to choose an instance, by the name they have in the configuration. */
export const BALANCERS: Readonly<Record<BalancerName, Balancer>> = {
  'round-robin': roundRobin,
  random: anyOf,
  'weighted-response-time': weightedResponseTime,
  'least-loaded': leastLoaded,
};
