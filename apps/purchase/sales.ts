import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Problem } from '#problem';
import { isId, notFound, Rows } from '#resource';
import { Storage } from '#storage';
import { Claims } from './hold/claims.js';
import { Ledger } from './ledger/ledger.js';
import { Payments } from './payment/payments.js';
import type { Payment, PurchaseDeed, PurchaseProgress, PurchaseEvents, RefundReason, Ticket } from './purchase.events.js';
import { type PayRequest, Purchase } from './purchase.row.js';
import { checkNext, letterOf, withStep } from './purchase.rules.js';
import { Letters } from './ticket/letters.js';
import { Tickets } from './ticket/ticket.js';

/** The transaction of a change, and its time by the database's clock, UTC, ISO 8601. */
export interface Now {
  tx: EntityManager;
  at: string;
}

/** Who pays how. */
export interface PayOptions {
  /** The user who does it, if it is one. */
  by?: string;
  returnUrl?: string;
  method?: string;
  request?: PayRequest;
}

type After<N> = N extends `purchase.${infer Name}` ? Name : never;

/** What a change is called: in events, and in the purchase's history. */
interface Deed {
  event?: After<keyof PurchaseEvents>;
  what?: PurchaseDeed;
  by?: string;
  detail?: string;
}

/** Money that we hold ourselves, that is none, or that whoever sold for us gives back: no provider is asked for it. */
export const isOurs = (provider: string | undefined): boolean => ['cash', 'none', 'elsewhere'].includes(provider ?? '');

/**
 * The one place where a purchase changes its state once it is held. Each method is a part of the transaction that is open, or one of its
 * own; it has the purchase's row first, so that two never collide.
 */
@Injectable()
export class Sales {
  readonly rows: Rows<Purchase>;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Payments) private readonly payments: Payments,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(Letters) private readonly letters: Letters,
    @Inject(Claims) private readonly claims: Claims,
    @Inject(Ledger) private readonly ledger: Ledger,
  ) {
    this.rows = new Rows(Purchase, 'purchase', storage);
  }

  /**
   * Do `fn` with the purchase, which nobody else changes meanwhile.
   *
   * @throws Problem `not-found` (404), `stale` (412) when the request's `If-Match` names another version
   */
  change<T>(id: string, fn: (purchase: Purchase, now: Now) => Promise<T>): Promise<T> {
    if (!isId(id)) throw notFound('purchase', id);
    return this.storage.transaction(async (tx) => {
      const [locked] = await tx.query<{ at: Date }[]>('SELECT now() AS at FROM purchase WHERE id = $1 FOR UPDATE', [id]);
      return fn(await this.rows.find(id), { tx, at: (locked?.at ?? new Date(0)).toISOString() });
    });
  }

  /** Store a change, with its event and its step in the purchase's history. */
  async become(
    purchase: Purchase,
    state: PurchaseProgress,
    at: string,
    { event = state, what = state, by, detail }: Deed = {},
  ): Promise<Purchase> {
    purchase.state = state;
    purchase.history = withStep(purchase.history, at, what, by, detail);
    await this.rows.write(event, purchase);
    return purchase;
  }

  /**
   * From now on its seats are kept until the provider has answered. Of one that is being paid already nothing changes.
   *
   * @throws Problem `hold-expired`, `purchase-state`, `screening-cancelled` (409)
   */
  beginPayment(id: string, { by, returnUrl, method, request }: PayOptions = {}): Promise<Purchase> {
    return this.change(id, async (purchase, now) => {
      if (purchase.state === 'paying') return purchase;
      await this.toPay(purchase, now, 'paying');
      const { cinema, totalMinor, currency, show } = purchase;
      if (totalMinor === 0) return this.payAtOnce(purchase, now, 'none', by);
      const payable = { id, cinema, totalMinor, currency, title: show.title };
      purchase.payment = await this.payments.start(now.tx, { purchase: payable, returnUrl, method });
      purchase.payRequest = request;
      return this.become(purchase, 'paying', now.at, { by });
    });
  }

  /** Sold for money that is on the table. @throws Problem as `beginPayment` */
  payInCash(id: string, by: string): Promise<Purchase> {
    return this.change(id, async (purchase, now) => {
      await this.toPay(purchase, now, 'paid');
      return this.payAtOnce(purchase, now, 'cash', by);
    });
  }

  /** The provider has it, and the buyer goes on at a page of theirs. */
  pending(id: string, payment: Payment): Promise<void> {
    return this.change(id, async (purchase) => {
      if (purchase.state !== 'paying' || purchase.payment?.id !== payment.id) return;
      purchase.payment = payment;
      await this.rows.write('changed', purchase);
    });
  }

  /**
   * The provider has the money. When it can no longer become a sale it goes back, once.
   *
   * @returns 'known' when it was said before
   */
  approved(id: string, payment: string): Promise<'paid' | 'refunding' | 'known'> {
    return this.change(id, async (purchase, now) => {
      if (purchase.late.some((money) => money.payment === payment)) return 'known';
      const isLast = purchase.payment?.id === payment;
      if (isLast && ['paid', 'refunded', 'exchanged'].includes(purchase.state)) return 'known';
      const isWanted = isLast && purchase.state === 'paying';
      if (isWanted && !(await this.isCalledOff(purchase, now))) {
        await this.settle(purchase, now);
        return 'paid';
      }
      await this.giveBackLate(purchase, payment, now, isWanted);
      return 'refunding';
    });
  }

  /** The provider has refused: the buyer may try again while the seats are held, never longer than from the beginning. */
  declined(id: string, payment: string, reason: string): Promise<void> {
    return this.change(id, async (purchase, now) => {
      if (purchase.state !== 'paying' || purchase.payment?.id !== payment) return;
      const { redirectUrl: _over, ...last } = purchase.payment;
      purchase.payment = { ...last, state: 'declined', reason };
      const deed = { event: 'declined', what: 'declined', detail: reason } as const;
      if (purchase.heldUntilAt > now.at && !(await this.isCalledOff(purchase, now))) {
        await this.claims.holdUntil(now.tx, purchase, purchase.heldUntilAt);
        await this.become(purchase, 'held', now.at, deed);
        return;
      }
      const isLapsed = purchase.heldUntilAt <= now.at;
      purchase.history = withStep(purchase.history, now.at, 'declined', undefined, reason);
      await this.claims.free(now.tx, purchase);
      await this.become(purchase, isLapsed ? 'expired' : 'cancelled', now.at);
    });
  }

  /** Give a paid purchase back. @throws Problem `purchase-state` (409) when it is none */
  refund(id: string, reason: RefundReason, by?: string): Promise<Purchase> {
    return this.change(id, async (purchase, now) => {
      checkNext(purchase.state, 'refunded');
      await this.claims.free(now.tx, purchase);
      await this.ledger.refund(now.tx, purchase);
      await this.giveBack(purchase, now, purchase.totalMinor, reason);
      await this.letters.write(now.tx, letterOf(reason), purchase);
      // What others gave a receipt for is theirs to take back.
      if (purchase.receipt) purchase.refund!.creditNote = await this.ledger.number(now.tx, purchase.cinema, 'credit-note');
      return this.become(purchase, 'refunded', now.at, { by, detail: reason });
    });
  }

  /** The buyer has the money. */
  refunded(id: string, refund: string): Promise<void> {
    return this.change(id, async (purchase, now) => {
      const late = purchase.late.find((money) => money.refund === refund);
      const isLast = purchase.refund?.id === refund;
      if (late ? late.isDone : !isLast || purchase.refund?.state === 'done') return;
      const amountMinor = late ? purchase.totalMinor : purchase.refund!.amountMinor;
      if (late) purchase.late = purchase.late.map((money) => (money === late ? { ...money, isDone: true } : money));
      if (isLast) purchase.refund = { ...purchase.refund!, state: 'done' };
      await this.ledger.refundDone(now.tx, purchase, amountMinor, late && 'provider');
      await this.become(purchase, purchase.state, now.at, { event: 'changed', what: 'refund-done' });
    });
  }

  /** Let one in. @throws Problem `ticket-used`, `ticket-void` (409), `not-found` (404) */
  async admit(ticketId: string, by: string): Promise<{ purchase: Purchase; ticket: Ticket }> {
    const found = await this.storage.query<{ id: string }>(
      'SELECT id FROM purchase WHERE tickets @> $1::jsonb AND tickets IS NOT NULL',
      [JSON.stringify([{ id: ticketId }])],
    );
    if (!found[0]) throw notFound('ticket', ticketId);
    return this.change(found[0].id, async (purchase, { at }) => {
      const { seat, admittedAt, admittedBy } = purchase.tickets!.find(({ id }) => id === ticketId)!;
      if (purchase.state !== 'paid')
        throw new Problem('ticket-void', 409, `this ticket was given back: its purchase is ${purchase.state}`, {
          state: purchase.state,
        });
      if (admittedAt) throw new Problem('ticket-used', 409, 'this ticket was used already', { admittedAt, admittedBy });
      purchase.tickets = purchase.tickets!.map((each) =>
        each.id === ticketId ? { ...each, admittedAt: at, admittedBy: by } : each,
      );
      await this.become(purchase, 'paid', at, { event: 'admitted', what: 'admitted', by, detail: seat });
      return { purchase, ticket: purchase.tickets.find(({ id }) => id === ticketId)! };
    });
  }

  /** Let its seats go before they are paid. @throws Problem `purchase-state`, `hold-expired` (409) */
  cancel(id: string, by?: string): Promise<Purchase> {
    return this.change(id, async (purchase, now) => {
      // Of one that is being paid only the provider can say how it ends.
      if (purchase.state === 'paying') checkNext('paying', 'refunded');
      checkNext(purchase.state, 'cancelled');
      await this.claims.free(now.tx, purchase);
      return this.become(purchase, 'cancelled', now.at, { by });
    });
  }

  /** Its screening does not take place. What is being paid is given back once it is paid; what is over stays. */
  callOff(id: string): Promise<void> {
    return this.change(id, async ({ state }) => {
      if (state === 'held') await this.cancel(id);
      if (state === 'paid') await this.refund(id, 'screening-cancelled');
    });
  }

  /** Give `amountMinor` of a purchase's payment back: at once when it lies with us, else by the provider. */
  async giveBack(purchase: Purchase, { tx }: Now, amountMinor: number, reason: RefundReason): Promise<void> {
    const { id, currency, payment } = purchase;
    const isDone = amountMinor === 0 || isOurs(payment?.provider);
    const refund = uuidv7();
    purchase.refund = { id: refund, amountMinor, reason, state: isDone ? 'done' : 'pending' };
    if (isDone) await this.ledger.refundDone(tx, purchase, amountMinor);
    else await this.payments.refund(tx, { id: refund, purchase: id, payment: payment!.id, amountMinor, currency, reason });
  }

  private async giveBackLate(purchase: Purchase, payment: string, now: Now, isWanted: boolean): Promise<void> {
    const { id, totalMinor: amountMinor, currency } = purchase;
    const [refund, reason] = [uuidv7(), 'late-approval'] as const;
    await this.ledger.late(now.tx, purchase);
    await this.payments.refund(now.tx, { id: refund, purchase: id, payment, amountMinor, currency, reason });
    // What is still owed for the sale itself is told first.
    if (!purchase.refund || purchase.late.some((money) => money.refund === purchase.refund!.id))
      purchase.refund = { id: refund, amountMinor, reason, state: 'pending' };
    purchase.late = [...purchase.late, { payment, refund, isDone: false }];
    if (purchase.payment?.id === payment) purchase.payment = { ...purchase.payment, state: 'approved', redirectUrl: undefined };
    if (isWanted) await this.claims.free(now.tx, purchase);
    await this.letters.write(now.tx, isWanted ? 'cancelled' : 'refunded', purchase);
    const deed = { event: isWanted ? 'cancelled' : 'changed', what: 'late-approval' } as const;
    await this.become(purchase, isWanted ? 'cancelled' : purchase.state, now.at, deed);
  }

  private async toPay(purchase: Purchase, now: Now, next: 'paying' | 'paid'): Promise<void> {
    checkNext(purchase.state, next);
    if (await this.isCalledOff(purchase, now))
      throw new Problem('screening-cancelled', 409, 'this screening does not take place');
    await this.claims.keep(now.tx, purchase);
  }

  private payAtOnce(purchase: Purchase, now: Now, provider: 'cash' | 'none', by?: string): Promise<Purchase> {
    purchase.payment = { id: uuidv7(), provider, state: 'approved' };
    return this.settle(purchase, now, by);
  }

  /** Paid: from here on it is a sale. */
  async settle(purchase: Purchase, { tx, at }: Now, by?: string): Promise<Purchase> {
    const { redirectUrl: _over, reason: _none, ...payment } = purchase.payment!;
    Object.assign(purchase, {
      payment: { ...payment, state: 'approved' },
      paidAt: at,
      tickets: await this.tickets.issue(purchase),
    });
    await this.ledger.sale(tx, purchase);
    await this.letters.write(tx, 'tickets', purchase);
    purchase.receipt = await this.ledger.number(tx, purchase.cinema, 'receipt');
    return this.become(purchase, 'paid', at, { by });
  }

  private async isCalledOff({ screening }: Purchase, { tx }: Now): Promise<boolean> {
    const found = await tx.query<unknown[]>('SELECT 1 FROM known_screening WHERE id = $1 AND cancelled', [screening]);
    return found.length > 0;
  }
}
