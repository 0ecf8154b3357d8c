import { setTimeout as sleep } from 'node:timers/promises';
import { below } from '../check/figures.js';
import { unbalanced } from '../check/ledger.js';
import { methodOf } from '../kill/kill.js';
import type { Finding, Progress } from '../report/report.js';
import { BookKeeper } from '../shop/books.js';
import { close } from '../shop/closing.js';
import { type OpenShop, openShop } from '../shop/open.js';
import { type Mine, Shopper, sideBySide } from '../shop/shopper.js';

/** How the drill goes. */
export interface LedgerOptions {
  minutes: number;
  buyers: number;
  seed: number;
  history?: string;
}

const SEATS = 100;
const SCREENINGS = 24;
/** Fewer than these are not cancelled any more: people must have something to buy. */
const KEPT_SCREENINGS = 6;
const HOLD_SECONDS = 60;
const CUSTOMERS = 4;
const MINUTE_MS = 60_000;
/** Between two looks at the books, ms. */
const AUDIT_MS = 500;

/** What everybody needs to know. */
interface Day {
  open: OpenShop;
  isOver: () => boolean;
  /** Screenings that still take place. */
  on: string[];
  calledOff: Set<string>;
  did: Record<string, number>;
}

const count = (day: Day, what: string) => void (day.did[what] = (day.did[what] ?? 0) + 1);
const anyOf = ({ open: { shop }, on }: Day) => on[below(shop.luck, on.length)]!;

/** Buys, gives back, exchanges, pays in cash at the box office, or goes away. */
async function buyer(day: Day): Promise<void> {
  const { open } = day;
  const { shop, stage, staff, somebody } = open;
  const { luck } = shop;
  while (!day.isOver()) {
    const isCash = luck() < 0.1;
    const shopper = new Shopper(shop, isCash ? staff.boxOffice() : somebody());
    const mine = await shopper.hold(anyOf(day), sideBySide(luck, stage.seats, 5));
    if (!mine) continue;
    count(day, 'held');
    if (luck() < 0.1) count(day, (await shopper.cancel(mine)) ? 'cancelled' : 'refused');
    else await payAndMore(day, shopper, mine, isCash ? 'cash' : methodOf(luck));
  }
}

async function payAndMore(day: Day, shopper: Shopper, mine: Mine, method: string): Promise<void> {
  const { luck } = day.open.shop;
  const outcome = (await shopper.pay(mine, method)) ?? 'unanswered';
  count(day, outcome);
  if (outcome !== 'paid') return;
  const wish = luck();
  if (wish < 0.3) count(day, (await shopper.refund(mine)) ? 'refunded' : 'not refunded');
  else if (wish < 0.6) {
    // As many seats or fewer: dearer ones are refused.
    const next = await shopper.exchange(mine, anyOf(day), sideBySide(luck, day.open.stage.seats, mine.seats.length));
    count(day, next ? 'exchanged' : 'not exchanged');
    if (next && luck() < 0.3) count(day, (await shopper.refund(next)) ? 'refunded' : 'not refunded');
  }
}

/** Cancels a screening now and then. */
async function manager(day: Day, everyMs: number): Promise<void> {
  const { staff, shop } = day.open;
  while (!day.isOver() && day.on.length > KEPT_SCREENINGS) {
    await sleep(everyMs / 2 + shop.luck() * everyMs);
    const [screening] = day.on.splice(below(shop.luck, day.on.length), 1);
    day.calledOff.add(screening!);
    const { status, text } = await staff.post(`/api/screenings/${screening}/cancel`, { reason: 'A drill' });
    if (status !== 200) throw new Error(`a screening cannot be cancelled: ${status} ${text.slice(0, 300)}`);
    count(day, 'screenings cancelled');
  }
}

/** Looks at the books all the time: at every moment each sum must be zero. @returns what was not */
async function auditor(day: Day, progress: Progress): Promise<{ looks: number; faults: string[] }> {
  const keeper = await BookKeeper.open(day.open.mesh.adminUrl);
  const faults = new Set<string>();
  let looks = 0;
  try {
    for (; !day.isOver(); await sleep(AUDIT_MS)) {
      const books = await keeper.books();
      for (const fault of unbalanced(books)) faults.add(fault);
      looks++;
      const did = Object.entries(day.did).map(([what, times]) => `${times} ${what}`).join(', '); // prettier-ignore
      progress.show(`${books.entries.length} entries, ${faults.size} faults; ${did}`);
    }
    return { looks, faults: [...faults] };
  } finally {
    await keeper.close();
  }
}

/** Purchases, declines, refunds, exchanges and cancelled screenings by chance, while the books are looked at all the time. */
export async function ledgerDrill(options: LedgerOptions, progress: Progress): Promise<Finding> {
  const { minutes, buyers, seed, history } = options;
  const people = { customers: CUSTOMERS, sockets: buyers * 2, forgetful: 0, history };
  const open = await openShop({ seed, fold: [], seats: SEATS, screenings: SCREENINGS, holdSeconds: HOLD_SECONDS, ...people }, progress); // prettier-ignore
  const endsMs = performance.now() + minutes * MINUTE_MS;
  try {
    const isOver = () => performance.now() > endsMs;
    const day: Day = { open, isOver, on: [...open.stage.screenings], calledOff: new Set(), did: {} };
    const everyMs = (minutes * MINUTE_MS) / (SCREENINGS - KEPT_SCREENINGS);
    const buying = Promise.all(Array.from({ length: buyers }, () => buyer(day)));
    const [audit] = await Promise.all([auditor(day, progress), buying, manager(day, everyMs)]);
    const { adminUrl } = open.mesh;
    const { calledOff } = day;
    const closing = await close(open.shop, {
      adminUrl,
      holdMs: HOLD_SECONDS * 1000,
      calledOff,
      say: (text) => progress.show(text),
    });
    const { faults, ...rest } = closing;
    const details = { buyers, did: day.did, looks: audit.looks, ...rest };
    progress.line(`${audit.looks} looks at the books; ${Object.entries(day.did).map(([what, times]) => `${times} ${what}`).join(', ')}`, details); // prettier-ignore
    return { n: closing.purchases, ms: open.figures(), faults: [...audit.faults, ...faults], details };
  } finally {
    progress.show('stopping the mesh');
    await open.close();
  }
}
