/** What a visitor can do, and by which request. */
export interface Step {
  method: 'GET' | 'POST';
  /** With a colon before what is filled in. */
  route: string;
  /** What is filled in, and what is sent. */
  about: string;
}

/** Everything that visitors do. */
export const STEPS = {
  cinemas: { method: 'GET', route: '/api/cinemas', about: 'limit=20' },
  board: { method: 'GET', route: '/api/cinemas/:cinema/board', about: 'a cinema of the list' },
  programme: { method: 'GET', route: '/api/screenings', about: 'cinema=<it>, from=<now>, limit=50' },
  search: { method: 'GET', route: '/api/movies', about: 'q=<a word of a title that is on, one letter wrong in a third>' },
  movie: { method: 'GET', route: '/api/movies/:movie', about: 'the film of a screening' },
  seats: { method: 'GET', route: '/api/screenings/:screening/seats', about: 'a screening of the programme' },
  hold: {
    method: 'POST',
    route: '/api/purchases',
    about: 'screening, best: { seats: { adult: 1 to 4 } }, email; Idempotency-Key',
  },
  pay: { method: 'POST', route: '/api/purchases/:purchase/pay', about: 'method sandbox:approve; Access-Key, Idempotency-Key' },
  tickets: { method: 'GET', route: '/api/purchases/:purchase', about: 'Access-Key, Min-Version: the version that pay answered' },
  cancel: { method: 'POST', route: '/api/purchases/:purchase/cancel', about: 'Access-Key, Idempotency-Key' },
} as const satisfies Record<string, Step>;
export type StepName = keyof typeof STEPS;

/** A kind of visitor: what it does, one step after the other. */
export interface Kind {
  kind: string;
  /** So many of a hundred visitors. */
  weight: number;
  steps: readonly StepName[];
}

/** How visitors behave. Whoever drives the same by another tool reads this. */
export interface Profile {
  /** Visitors come by chance, independent of each other: the times between them are exponential. */
  arrivals: 'poisson';
  /** Before each step but the first, exponential, mean and most, ms. */
  thinkMs: { mean: number; most: number };
  kinds: readonly Kind[];
  steps: Readonly<Record<string, Step>>;
}

/** Most look, some search, few buy: of those who ask for seats a fifth goes away again. */
export const PROFILE: Profile = {
  arrivals: 'poisson',
  thinkMs: { mean: 2000, most: 10_000 },
  kinds: [
    { kind: 'passer-by', weight: 35, steps: ['cinemas', 'board'] },
    { kind: 'looker', weight: 25, steps: ['cinemas', 'programme', 'movie', 'seats'] },
    { kind: 'searcher', weight: 18, steps: ['search', 'movie', 'programme', 'seats'] },
    { kind: 'buyer', weight: 12, steps: ['cinemas', 'programme', 'seats', 'hold', 'pay', 'tickets'] },
    { kind: 'undecided', weight: 6, steps: ['programme', 'seats', 'seats', 'hold', 'cancel'] },
    { kind: 'quitter', weight: 4, steps: ['programme', 'seats', 'hold'] },
  ],
  steps: STEPS,
};

/** A kind of visitor by its weight. */
export function kindOf(luck: () => number, kinds: readonly Kind[]): Kind {
  let left = luck() * kinds.reduce((sum, { weight }) => sum + weight, 0);
  return kinds.find(({ weight }) => (left -= weight) < 0) ?? kinds[0]!;
}

/** A time by chance with that mean: between arrivals, and to think. */
export const exponential = (luck: () => number, mean: number): number => -Math.log(1 - luck()) * mean;
