import { Inject, Injectable } from '@nestjs/common';
import { Problem } from '#problem';
import { Claims } from '../hold/claims.js';
import { Holds } from '../hold/holds.js';
import type { Choice } from '../hold/order.js';
import { Programme } from '../hold/programme.js';
import { Ledger } from '../ledger/ledger.js';
import { Purchase } from '../purchase.row.js';
import { checkNext, checkReturn, exchangeChange } from '../purchase.rules.js';
import { type Now, Sales } from '../sales.js';
import { Letters } from '../ticket/letters.js';
import { Tickets } from '../ticket/ticket.js';

/** Who gives something back. */
export interface Returner {
  isStaff: boolean;
  /** The user, if it is one. */
  by?: string;
}

/** What buyers do with what they have paid for: give it back, or take something else for it. */
@Injectable()
export class Returns {
  constructor(
    @Inject(Sales) private readonly sales: Sales,
    @Inject(Holds) private readonly holds: Holds,
    @Inject(Programme) private readonly programme: Programme,
    @Inject(Claims) private readonly claims: Claims,
    @Inject(Ledger) private readonly ledger: Ledger,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(Letters) private readonly letters: Letters,
  ) {}

  /** @throws Problem `refund-too-late`, `ticket-used`, `purchase-state` (409) */
  refund(id: string, returner: Returner): Promise<Purchase> {
    return this.sales.change(id, async (purchase) => {
      checkNext(purchase.state, 'refunded');
      await this.check(purchase, returner);
      return this.sales.refund(id, returner.isStaff ? 'staff' : 'customer', returner.by);
    });
  }

  /**
   * Other seats, or another screening of the same cinema, for what was paid: the old sale is taken back by a credit note, the new one
   * has a receipt, and what it costs less goes back. All in one transaction, so that the buyer has the one or the other.
   *
   * @throws Problem as `refund` and as a hold; `exchange-elsewhere`, `exchange-needs-payment` (409)
   */
  exchange(id: string, choice: Choice, returner: Returner): Promise<Purchase> {
    return this.sales.change(id, async (old, now) => {
      checkNext(old.state, 'exchanged');
      await this.check(old, returner);
      const there = await this.programme.find(choice.screening);
      if (there && there.screening.cinema !== old.cinema)
        throw new Problem('exchange-elsewhere', 409, 'another cinema has its own till: give this back and buy there');
      await this.claims.free(now.tx, old);
      const next = await this.hold(old, choice, returner, now);
      return this.swap(old, next, returner, now);
    });
  }

  private async hold(old: Purchase, choice: Choice, { isStaff, by }: Returner, { tx }: Now): Promise<Purchase> {
    const { customer, email, accessKeyHash, soldBy } = old;
    const known = { customer: customer ?? undefined, email: email ?? undefined, soldBy: soldBy ?? undefined };
    // A guest keeps the key.
    const guest = { isGuest: Boolean(accessKeyHash), accessKeyHash: accessKeyHash ?? undefined };
    const { answer } = await this.holds.takeIn(tx, choice, { ...known, ...guest, isStaff, by, isUncounted: true });
    return tx.findOneByOrFail(Purchase, { id: answer.id });
  }

  private async swap(old: Purchase, next: Purchase, { by }: Returner, now: Now): Promise<Purchase> {
    const { tx, at } = now;
    const changeMinor = exchangeChange(old.totalMinor, next.totalMinor, old.currency);
    await this.claims.keep(tx, next);
    Object.assign(next, { payment: old.payment, paidAt: at, exchangeOf: old.id });
    next.tickets = await this.tickets.issue(next);
    await this.ledger.exchange(tx, old, next);
    await this.sales.giveBack(old, now, changeMinor, 'exchange');
    await this.letters.write(tx, 'tickets', next);
    if (old.receipt) {
      next.receipt = await this.ledger.number(tx, next.cinema, 'receipt');
      old.refund!.creditNote = await this.ledger.number(tx, old.cinema, 'credit-note');
    }
    old.exchangedFor = next.id;
    await this.sales.become(old, 'exchanged', at, { by });
    return this.sales.become(next, 'paid', at, { by });
  }

  private async check({ screening, show: { startAt, endAt }, tickets }: Purchase, { isStaff }: Returner): Promise<void> {
    const known = await this.programme.find(screening);
    const refundUntilMinutes = known?.screening.policy.refundUntilMinutes ?? 0;
    checkReturn({ nowMs: Date.now(), startAt, endAt }, { isStaff, refundUntilMinutes, tickets: tickets ?? [] });
  }
}
