import type { Payment } from '../purchase.events.js';

/** A payment as the provider is asked for it. */
export interface Asked {
  /** Ours. It is the provider's idempotency key: asking twice with one is asking once. */
  reference: string;
  amountMinor: number;
  currency: string;
  /** What the buyer reads there. */
  description: string;
  /** Where the buyer comes back to. */
  returnUrl?: string;
  /** How the buyer pays, in words that the provider knows. */
  method?: string;
}

/** What the provider says of a payment. */
export interface Word {
  /** What the provider calls it. */
  id?: string;
  state: Payment['state'];
  /** While it is pending: the page (Webpay, PSE, 3-D Secure) or code (Pix) by which the buyer goes on. */
  redirectUrl?: string;
  /** Why it was declined, a word for programs. */
  reason?: string;
}

/** A refund as the provider is asked for it. */
export interface RefundAsked {
  /** Ours, and the idempotency key, as a payment's. */
  reference: string;
  /** Our reference of the payment. */
  payment: string;
  amountMinor: number;
}

/** What the provider says of a refund. */
export interface RefundWord {
  id?: string;
  state: 'pending' | 'done';
}

/** One line of the provider's settlement: money that came or went. */
export interface Settled {
  kind: 'payment' | 'refund';
  reference: string;
  amountMinor: number;
}

/** What a webhook tells, once its signature is found good. */
export interface Notice {
  /** Of the event: the same when it is sent again. */
  id: string;
  /** Undefined for what does not concern us. */
  news?: { kind: 'payment'; reference: string; word: Word } | { kind: 'refund'; reference: string; word: RefundWord };
}

/**
 * Who takes the money. All that the sale needs of a provider, in the terms of those there are here: the buyer goes to a page of
 * theirs or scans a code, so a payment may be pending for as long as they let it; what became of it is told by signed webhooks that
 * come late, twice, in any order or not at all, so it can be asked for as well; and no card number comes near us.
 *
 * | here | Webpay, PSE, 3-D Secure | Pix | Stripe, Mercado Pago |
 * | --- | --- | --- | --- |
 * | `start` | create a transaction, its page | create a charge, its code | create an intent with an idempotency key |
 * | `look` | status by order number | charge by txid | by reference |
 * | `read` | the return, confirmed by status | webhook over mTLS | signed webhook |
 * | `refund` | reversal | devolução by id | refund with an idempotency key |
 * | `settlement` | the day's file | list by period | balance report |
 *
 * Every method but `read` throws when there is no answer. No answer is no decline: the money may have moved.
 */
export abstract class PaymentProvider {
  /** What it is called in a purchase's payment. */
  abstract readonly name: string;

  /** Whether a buyer can pay so. */
  abstract accepts(method: string): boolean;

  /** Ask for a payment, or for what became of it when it was asked for before. */
  abstract start(asked: Asked): Promise<Word>;

  /** What became of a payment. @returns undefined when the provider never heard of it */
  abstract look(reference: string): Promise<Word | undefined>;

  /** Ask for a refund, or for what became of it when it was asked for before. */
  abstract refund(asked: RefundAsked): Promise<RefundWord>;

  /** What became of a refund. @returns undefined when the provider never heard of it */
  abstract lookRefund(reference: string): Promise<RefundWord | undefined>;

  /** All money that came and went on a day of the provider's, UTC. @param day  `2026-03-28` */
  abstract settlement(day: string): Promise<Settled[]>;

  /**
   * Read a webhook.
   *
   * @param header  of the request, by its name in lower case
   * @param bytes   its body exactly as it came: that is what was signed
   * @throws Problem `webhook-forged` (401), `webhook-stale` (401), `bad-request` (400)
   */
  abstract read(header: (name: string) => string | undefined, bytes: Buffer): Notice;
}
