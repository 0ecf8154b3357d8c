import { Inject, Injectable } from '@nestjs/common';
import { IsOptional, IsString, Length } from 'class-validator';
import { invalidInput, Problem } from '#problem';
import { type Asked, keyReused } from '#resource';
import { Storage } from '#storage';
import { Payments } from '../payment/payments.js';
import { Purchase } from '../purchase.row.js';
import type { Returner } from './returns.js';
import { Sales } from '../sales.js';

const CASH = 'cash';

/** How a buyer pays. */
export class PayChoice {
  /** Where the buyer comes back to from the provider's page. */
  @IsOptional() @IsString() @Length(1, 2000) returnUrl?: string;
  /** `cash` at the box office; else as the provider names it. */
  @IsOptional() @IsString() @Length(1, 100) method?: string;
}

/** Where purchases are paid. */
@Injectable()
export class Checkout {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Sales) private readonly sales: Sales,
    @Inject(Payments) private readonly payments: Payments,
  ) {}

  /**
   * Pay, and wait for the provider's first word. The same request again begins nothing anew, and tells what has become of it by now;
   * nor does another one of a purchase that is paid, or being paid.
   *
   * @throws Problem `payment-declined`, `hold-expired`, `purchase-state`, `screening-cancelled` (409), `idempotency-key-reused` (422)
   */
  async pay(id: string, choice: PayChoice, asked: Asked, who: Returner): Promise<Purchase> {
    if (choice.method === CASH && !who.isStaff)
      throw invalidInput([{ pointer: '/method', detail: 'cash is taken at the box office alone' }]);
    const begun = await this.begin(id, choice, asked, who);
    if (begun.state !== 'paying') return told(begun);
    // The attempt is stored: that its answer does not come in time changes nothing.
    await this.payments.ask(begun.payment!.id);
    return told(await this.storage.db.manager.findOneByOrFail(Purchase, { id: begun.id }));
  }

  private begin(
    id: string,
    { returnUrl, method }: PayChoice,
    { scope, request: whole }: Asked,
    { by }: Returner,
  ): Promise<Purchase> {
    const request = { scope, request: whole };
    return this.sales.change(id, async (purchase) => {
      const { state, payRequest } = purchase;
      const isAgain = payRequest?.scope === request.scope;
      if (isAgain && payRequest.request !== request.request) throw keyReused();
      if (isAgain || state === 'paid' || state === 'paying') return purchase;
      return method === CASH ? this.sales.payInCash(id, by!) : this.sales.beginPayment(id, { by, returnUrl, method, request });
    });
  }
}

/** @throws Problem `payment-declined` (409) when that is what became of it */
function told(purchase: Purchase): Purchase {
  const { state, payment, heldUntilAt } = purchase;
  if (payment?.state !== 'declined') return purchase;
  const detail = state === 'held' ? 'the payment was declined: the seats are still held, try again' : 'the payment was declined';
  throw new Problem('payment-declined', 409, detail, { reason: payment.reason, state, heldUntilAt });
}
