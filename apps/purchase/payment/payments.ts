import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { environment } from '#config';
import { type InputError, invalidInput } from '#problem';
import { type Committed, markRound } from '#storage';
import type { Payment, RefundReason } from '../purchase.events.js';
import { PaymentConfig } from './payment-section.js';
import { PaymentProvider } from './provider.js';

/** What is paid for. */
export interface Payable {
  id: string;
  cinema: string;
  totalMinor: number;
  currency: string;
  /** What the buyer reads at the provider. */
  title: string;
}

/** How it is paid. */
export interface PaymentStart {
  purchase: Payable;
  /** Where the buyer comes back to from the provider's page. */
  returnUrl?: string;
  /** How the buyer pays; `sandbox:<scenario>` chooses what the sandbox provider does. */
  method?: string;
}

/** Money that is to go back to the payment it came by. */
export interface RefundStart {
  /** Of the refund. */
  id: string;
  purchase: string;
  payment: string;
  amountMinor: number;
  currency: string;
  reason: RefundReason;
}

/** What the rounds of refunds are called. */
export const REFUNDS = 'refunds';

const STARTED = 'payments.started';
const LONGEST_TITLE = 200;

/** The attempts to pay that were written in what was this transaction. */
export const startedIn = (tx: Committed): readonly string[] => (tx.queryRunner?.data[STARTED] as string[] | undefined) ?? [];

/**
 * Payments of purchases, as the rest of the sale sees them. What is written here is written in the caller's transaction; the
 * provider hears of it when that has committed, however often this process is killed in between.
 */
@Injectable()
export class Payments {
  private asker?: (payment: string) => Promise<void>;

  constructor(
    @Inject(PaymentProvider) private readonly provider: PaymentProvider,
    @Inject(PaymentConfig) private readonly config: PaymentConfig,
  ) {}

  /**
   * Write a new attempt to pay. The provider hears of it once `tx` is committed, at once; `ask` waits for its answer.
   *
   * @throws Problem `invalid-input` (400) for a way to pay that the provider has not, or a place that no buyer is sent back to
   */
  async start(tx: EntityManager, { purchase, returnUrl, method }: PaymentStart): Promise<Payment> {
    const faults = [...this.methodFaults(method), ...this.returnFaults(returnUrl)];
    if (faults.length > 0) throw invalidInput(faults);
    const id = uuidv7();
    const back = returnUrl === undefined ? null : new URL(returnUrl, environment().publicUrl).href;
    await tx.query(
      `INSERT INTO payment_attempt (id, purchase, cinema, "amountMinor", currency, title, "returnUrl", method, provider, state, "nextAt")
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', now() + make_interval(secs => $10::float8 / 1000))`,
      [
        ...[id, purchase.id, purchase.cinema, purchase.totalMinor, purchase.currency],
        ...[purchase.title.slice(0, LONGEST_TITLE), back, method ?? null, this.provider.name],
        this.config.askMs, // who began it asks now; the others look at it when they are late
      ],
    );
    if (tx.queryRunner) tx.queryRunner.data[STARTED] = [...startedIn(tx), id];
    return { id, provider: this.provider.name, state: 'pending' };
  }

  /**
   * Wait until the provider has answered and the sale has heard it, or until it did not answer in time. Safe to repeat, and not
   * needed: what nobody asks for is asked for all the same.
   */
  async ask(payment: string): Promise<void> {
    await this.asker?.(payment);
  }

  /** Queue a refund, in `tx`. It is sent until the provider has done it; a second one of a late payment is none. */
  async refund(tx: EntityManager, { id, purchase, payment, amountMinor, currency, reason }: RefundStart): Promise<void> {
    await tx.query(
      `INSERT INTO payment_refund (id, payment, purchase, "amountMinor", currency, reason, state)
       VALUES ($1, $2, $3, $4, $5, $6, 'pending') ON CONFLICT DO NOTHING`,
      [id, payment, purchase, amountMinor, currency, reason],
    );
    markRound(tx, REFUNDS);
  }

  /** Tell who asks the provider. */
  askedBy(asker: (payment: string) => Promise<void>): void {
    this.asker = asker;
  }

  private methodFaults(method: string | undefined): InputError[] {
    if (method === undefined || this.provider.accepts(method)) return [];
    return [{ pointer: '/method', detail: `is no way to pay at ${this.provider.name}` }];
  }

  /** A buyer trusts the address they come back to, so it is ours or one that we were told of. */
  private returnFaults(returnUrl: string | undefined): InputError[] {
    if (returnUrl === undefined) return [];
    const { publicUrl } = environment();
    const url = URL.parse(returnUrl, publicUrl);
    const ours = [publicUrl, ...(this.config.returnOrigins ?? [])].map((known) => new URL(known).origin);
    if (url && ours.includes(url.origin)) return [];
    return [{ pointer: '/returnUrl', detail: 'must be below the address of this site, or of one that it was told of' }];
  }
}
