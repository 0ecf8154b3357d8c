import { setTimeout as sleep } from 'node:timers/promises';
import { basketFaults } from '../check/basket.js';
import { operationsOf } from '../check/history.js';
import { lostFaults } from '../check/kept.js';
import { bookFaults } from '../check/ledger.js';
import { seatFaults } from '../check/seat.js';
import { BookKeeper } from './books.js';
import { parsed, type Reply, slugOf } from './http.js';
import { decide, note, type Shop, type Unanswered } from './shopper.js';
import { insist } from './sure.js';

/** What is true when the shop is closed. */
export interface Closing {
  purchases: number;
  paid: number;
  acknowledged: number;
  /** Requests that nobody answered at first, and how each was answered in the end. */
  repeated: Record<string, number>;
  faults: string[];
}

/** For payments and refunds to come to their end by themselves, ms: the slowest the provider has, twice, and the looks in between. */
const SETTLED_WITHIN_MS = 150_000;
const LOOK_MS = 500;
/** All is up again by now. */
const PATIENCE = { pauseMs: 300, untilMs: 60_000 };

/** The same request twice more with its key: both must say the same, and the first is written down as its answer. */
async function repeat(shop: Shop, { process, f, value, order }: Unanswered): Promise<{ outcome: string; fault?: string }> {
  const settled = async () => {
    for (const end = performance.now() + SETTLED_WITHIN_MS; ; await sleep(LOOK_MS)) {
      const reply = await insist(shop.callers, order, PATIENCE);
      if (!reply || reply.status !== 202 || performance.now() > end) return reply;
      await decide(shop.callers, reply, 'approve');
    }
  };
  const [first, second] = [await settled(), await settled()];
  if (!first || !second) return { outcome: 'unanswered', fault: `unanswered: ${f} ${order.key} has no answer` };
  note(shop, process, { f, value }, first);
  const outcome = first.status < 400 ? `${f} ${first.status}` : `${f} ${slugOf(first)}`;
  return { outcome, fault: isSame(first, second) ? undefined : `answers: ${f} ${order.key} was answered ${told(first)}, then ${told(second)}` }; // prettier-ignore
}

const told = (reply: Reply) => `${reply.status} ${reply.status < 400 ? String(parsed(reply).id) : slugOf(reply)}`;

/** A refusal says how things are just now; a success is one, for ever. */
const isSame = (first: Reply, second: Reply) =>
  first.status >= 400 || (first.status === second.status && parsed(first).id === parsed(second).id);

/** Ask again for all that was not answered, wait until all is settled, and look whether everything is true that buyers were told. */
export async function close(
  shop: Shop,
  {
    adminUrl,
    holdMs,
    calledOff,
    say,
  }: { adminUrl: string; holdMs: number; calledOff?: ReadonlySet<string>; say: (text: string) => void },
): Promise<Closing> {
  const keeper = await BookKeeper.open(adminUrl);
  try {
    const faults: string[] = [];
    const repeated: Record<string, number> = {};
    say(`repeating ${shop.unanswered.length} requests that nobody answered`);
    for (const { outcome, fault } of await Promise.all(shop.unanswered.map((each) => repeat(shop, each)))) {
      repeated[outcome] = (repeated[outcome] ?? 0) + 1;
      if (fault) faults.push(fault);
    }
    const open = await settled(keeper, say);
    if (open) faults.push(`unsettled: ${open} after ${SETTLED_WITHIN_MS / 1000} s`);
    const [books, seats] = [await keeper.books(), await keeper.seats()];
    const operations = operationsOf(shop.recorder.history);
    faults.push(...lostFaults(operations, new Map(books.purchases.map(({ id, state }) => [id, state])), calledOff));
    faults.push(...bookFaults(books));
    // Each claim belongs to a live purchase, and what is live has all its seats.
    faults.push(...basketFaults({ told: seats.live, ...seats }).map(({ kind, sentence }) => `${kind}: ${sentence}`));
    faults.push(...seatFaults(operations, holdMs).map(({ sentence }) => `impossible: ${sentence}`));
    const acknowledged = operations.filter(({ type }) => type === 'ok').length;
    const paid = books.purchases.filter(({ state }) => state === 'paid').length;
    return { purchases: books.purchases.length, paid, acknowledged, repeated, faults };
  } finally {
    await keeper.close();
  }
}

async function settled(keeper: BookKeeper, say: (text: string) => void): Promise<string> {
  for (const end = performance.now() + SETTLED_WITHIN_MS; ; await sleep(LOOK_MS)) {
    const open = await keeper.unsettled();
    if (open === '' || performance.now() > end) return open;
    say(`waiting for ${open}`);
  }
}
