import { below, some } from '../check/figures.js';
import type { DeedValue, Recorder } from '../check/history.js';
import type { Answer, Seller, Wish } from './seller.js';

/** How buyers crowd. */
export interface CrowdOptions {
  buyers: number;
  attempts: number;
  /** The crowd stays so long, whatever the attempts, ms. */
  atLeastMs?: number;
  /** Screenings, one after the other, each with as many attempts; all buyers want the same at the same time. */
  screenings: readonly string[];
  /** The seats of each. */
  seats: readonly string[];
  /** A basket has one to so many seats. */
  basket: number;
  luck: () => number;
  recorder: Recorder;
  /** Told after each attempt. */
  done?: (attempts: number) => void;
}

/** What came of it. */
export interface CrowdResult {
  seconds: number;
  outcomes: Record<string, number>;
  timesMs: number[];
  told: { purchase: string; screening: string; seats: readonly string[] }[];
  unknown: { purchase?: string; screening: string; seats: readonly string[] }[];
  asked: { screening: string; seat: string }[];
}

/** Names of seats, row by row: `A1` … */
export function seatNames(count: number): string[] {
  const PER_ROW = 20;
  return Array.from({ length: count }, (_, i) => `${String.fromCharCode(65 + Math.floor(i / PER_ROW))}${(i % PER_ROW) + 1}`);
}

/** Neighbours mostly, as people sit, in any order; sometimes from anywhere, so that baskets cross each other. */
function basketOf({ seats, basket, luck }: CrowdOptions): string[] {
  const count = 1 + below(luck, Math.min(basket, seats.length));
  if (luck() < 0.3) return some(luck, seats, count);
  const first = below(luck, seats.length - count + 1);
  return some(luck, seats.slice(first, first + count), count);
}

/** Let buyers take seats from each other until so many attempts are made, writing down what they are told. */
export async function crowd(seller: Seller, options: CrowdOptions): Promise<CrowdResult> {
  const { buyers, attempts, atLeastMs = 0, screenings, recorder, done = () => undefined } = options;
  const result: CrowdResult = { seconds: 0, outcomes: {}, timesMs: [], told: [], unknown: [], asked: [] };
  const startedMs = performance.now();
  let next = 0;
  let made = 0;
  const buyer = async (number: number) => {
    for (let process = number; next < attempts || performance.now() - startedMs < atLeastMs;) {
      const turn = Math.floor((next++ / attempts) * screenings.length);
      const screening = screenings[Math.min(turn, screenings.length - 1)]!;
      const wish: Wish = { screening, seats: basketOf(options) };
      for (const seat of wish.seats) result.asked.push({ screening, seat });
      const calledMs = performance.now();
      recorder.write(process, 'invoke', 'hold', wish);
      const answer = await seller.hold(wish, number);
      result.timesMs.push(performance.now() - calledMs);
      note(answer, wish, { process, recorder, result });
      if (answer.outcome === 'unknown') process += buyers;
      done(++made);
    }
  };
  await Promise.all(Array.from({ length: buyers }, (_, number) => buyer(number)));
  result.seconds = (performance.now() - startedMs) / 1000;
  return result;
}

function note(
  answer: Answer,
  wish: Wish,
  { process, recorder, result }: { process: number; recorder: Recorder; result: CrowdResult },
) {
  const outcome = 'error' in answer ? `${answer.outcome}: ${answer.error}` : answer.outcome;
  result.outcomes[outcome] = (result.outcomes[outcome] ?? 0) + 1;
  const write = (type: 'ok' | 'fail' | 'info', more: Partial<DeedValue>) =>
    recorder.write(process, type, 'hold', { ...wish, ...more });
  switch (answer.outcome) {
    case 'held': {
      const { purchase, until } = answer;
      result.told.push({ purchase, ...wish });
      return write('ok', { purchase, until: until === undefined ? undefined : recorder.at(until) });
    }
    case 'taken':
      return write('fail', { error: 'seat-taken', taken: answer.taken });
    case 'refused':
      return write('fail', { error: answer.error });
    case 'unknown':
      result.unknown.push({ purchase: answer.purchase, ...wish });
      return write('info', { error: answer.error });
  }
}
