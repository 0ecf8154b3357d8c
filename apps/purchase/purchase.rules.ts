import { Problem } from '#problem';
import type { Area, Category, Price, Tax } from '../cinema/cinema.events.js';
import type { Line, PurchaseDeed, PurchaseProgress, RefundReason, Step, Ticket } from './purchase.events.js';

/** Which state may follow which. */
const NEXT: Readonly<Record<PurchaseProgress, readonly PurchaseProgress[]>> = {
  // At the box office money is on the table: held becomes paid at once.
  held: ['paying', 'paid', 'expired', 'cancelled'],
  // Declined it is held again, while its time has not run out.
  paying: ['held', 'paid', 'expired', 'cancelled'],
  paid: ['refunded', 'exchanged'],
  refunded: [],
  exchanged: [],
  expired: [],
  cancelled: [],
};

/** Whether a purchase may go from one state to another. */
export const mayBecome = (from: PurchaseProgress, to: PurchaseProgress): boolean => NEXT[from].includes(to);

const MINUTE_MS = 60_000;

/** The seats are no longer this buyer's. */
export const holdExpired = (): Problem =>
  new Problem('hold-expired', 409, 'the seats were held too long without being paid: choose anew');

/**
 * Refuse what cannot follow.
 *
 * @throws Problem `hold-expired` (409) of an expired purchase, `purchase-state` (409) of any other
 */
export function checkNext(from: PurchaseProgress, to: PurchaseProgress): void {
  if (mayBecome(from, to)) return;
  if (from === 'expired') throw holdExpired();
  throw new Problem('purchase-state', 409, `this purchase is ${from}, and cannot become ${to}`, { state: from });
}

/** `history` with one more thing that happened. @param by  the user who did it, unless nobody or a guest did */
export function withStep(history: readonly Step[], at: string, what: PurchaseDeed, by?: string, detail?: string): Step[] {
  return [...history, { at, what, ...(by === undefined ? {} : { by }), ...(detail === undefined ? {} : { detail }) }];
}

/**
 * The tax in an amount that includes it, rounded half up to a minor unit.
 *
 * @param basisPoints  hundredths of a percent of the amount without it: 1800 is 18 %
 */
export function taxIn(amountMinor: number, basisPoints: number): number {
  const whole = 10_000 + basisPoints;
  return Math.floor((2 * amountMinor * basisPoints + whole) / (2 * whole));
}

/** One seat to be sold, and to whom. */
export interface Wanted {
  seat: string;
  area: Area;
  category: Category;
}

/** What a seat of an area costs a category; undefined when it is not sold to them. */
export const priceOf = (prices: readonly Price[], { area, category }: Pick<Wanted, 'area' | 'category'>): number | undefined =>
  prices.find((price) => price.area === area && price.category === category)?.amountMinor;

/** What is bought, line by line, in the order asked; the places of those that have no price are in `unpriced`. */
export function linesOf(wanted: readonly Wanted[], prices: readonly Price[], tax: Tax): { lines: Line[]; unpriced: number[] } {
  const unpriced: number[] = [];
  const lines = wanted.map((each, at): Line => {
    const amountMinor = priceOf(prices, each);
    if (amountMinor === undefined) unpriced.push(at);
    return { ...each, amountMinor: amountMinor ?? 0, taxMinor: taxIn(amountMinor ?? 0, tax.basisPoints) };
  });
  return { lines, unpriced };
}

/** The same for seats that were sold for one amount: each has an equal share, the first a minor unit more while there is one over. */
export function linesOfTotal(wanted: readonly Wanted[], totalMinor: number, { basisPoints }: Tax): Line[] {
  const [share, over] = [Math.floor(totalMinor / wanted.length), totalMinor % wanted.length];
  return wanted.map((each, at) => {
    const amountMinor = share + (at < over ? 1 : 0);
    return { ...each, amountMinor, taxMinor: taxIn(amountMinor, basisPoints) };
  });
}

/** The sums of lines: each line is rounded by itself, so that they add up on the receipt. */
export const totalsOf = (lines: readonly Line[]): { totalMinor: number; taxMinor: number } => ({
  totalMinor: lines.reduce((sum, { amountMinor }) => sum + amountMinor, 0),
  taxMinor: lines.reduce((sum, { taxMinor }) => sum + taxMinor, 0),
});

/** The times that a decision to sell or give back goes by. */
export interface Times {
  nowMs: number;
  /** UTC, ISO 8601. */
  startAt: string;
  /** UTC, ISO 8601. */
  endAt: string;
}

/** Whether seats are still sold. @param graceMinutes  after the start */
export const isOnSale = ({ nowMs, startAt }: Omit<Times, 'endAt'>, graceMinutes: number): boolean =>
  nowMs <= Date.parse(startAt) + graceMinutes * MINUTE_MS;

/**
 * Refuse to give a paid purchase back, or to exchange it, when it is too late: to buyers so long before the start, to staff once the
 * film is over. Who was let in has had what they paid for, but for what staff decides.
 *
 * @throws Problem `refund-too-late`, `ticket-used` (409)
 */
export function checkReturn(
  { nowMs, startAt, endAt }: Times,
  { isStaff, refundUntilMinutes, tickets = [] }: { isStaff: boolean; refundUntilMinutes: number; tickets?: readonly Ticket[] },
): void {
  const untilMs = isStaff ? Date.parse(endAt) : Date.parse(startAt) - refundUntilMinutes * MINUTE_MS;
  if (nowMs > untilMs)
    throw new Problem('refund-too-late', 409, 'it is too late to give this purchase back', {
      untilAt: new Date(untilMs).toISOString(),
    });
  const used = isStaff ? undefined : tickets.find(({ admittedAt }) => admittedAt !== undefined);
  if (used) throw new Problem('ticket-used', 409, `the ticket of seat ${used.seat} was used`, { admittedAt: used.admittedAt });
}

/**
 * What goes back to the buyer who takes other seats for those paid for. Dearer ones would need a second payment on one purchase, and
 * with it a state between: the buyer gives back what there is, or asks for seats that the money is enough for.
 *
 * @throws Problem `exchange-needs-payment` (409) with what is missing
 */
export function exchangeChange(paidMinor: number, totalMinor: number, currency: string): number {
  if (totalMinor <= paidMinor) return paidMinor - totalMinor;
  const missingMinor = totalMinor - paidMinor;
  throw new Problem('exchange-needs-payment', 409, 'the other seats cost more than those that were paid for', {
    missingMinor,
    currency,
  });
}

/** What a buyer is written about money that goes back. */
export const letterOf = (reason: RefundReason): 'cancelled' | 'refunded' =>
  reason === 'screening-cancelled' ? 'cancelled' : 'refunded';
