import type { Payment } from '../purchase.events.js';

/** What the sale, `Sales`, is told of its payments. Each joins the caller's transaction, and changes nothing when it is told again. */
export abstract class Sale {
  /** The provider has it, and the buyer goes on at a page of theirs. */
  abstract pending(purchase: string, payment: Payment): Promise<void>;

  /** It is paid. @returns `refunding` when there was nothing left to sell */
  abstract approved(purchase: string, payment: string): Promise<'paid' | 'refunding' | 'known'>;

  /** It will not be paid by this. */
  abstract declined(purchase: string, payment: string, reason: string): Promise<void>;

  /** The money is back. */
  abstract refunded(purchase: string, refund: string): Promise<void>;
}
