import { randomBytes } from 'node:crypto';
import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Log } from '#log';
import { Problem } from '#problem';
import { Rounds, Storage } from '#storage';
import { Notices } from './notices.js';
import { ProviderConfig, type Scenario } from './provider-section.js';
import type { PaymentProgress, ProviderPayment, ProviderRefund } from './provider.row.js';

/** A payment as a shop asks for it. */
export interface PaymentWish {
  reference: string;
  amountMinor: number;
  currency: string;
  description: string;
  returnUrl?: string;
  scenario?: Scenario;
}

/** A refund as a shop asks for it. */
export interface RefundWish {
  reference: string;
  /** The shop's reference of the payment. */
  payment: string;
  amountMinor: number;
}

/** One line of a day's money. */
export interface Settled {
  kind: 'payment' | 'refund';
  id: string;
  reference: string;
  amountMinor: number;
  currency: string;
  settledAt: Date;
}

/** What a scenario does to a new payment, and how often it is told. */
const BEGINNINGS: Readonly<Record<Scenario, { state: PaymentProgress; reason?: string; copies: number }>> = {
  approve: { state: 'approved', copies: 1 },
  decline: { state: 'declined', reason: 'insufficient-funds', copies: 1 },
  redirect: { state: 'pending', copies: 1 },
  slow: { state: 'approved', copies: 1 },
  twice: { state: 'approved', copies: 2 },
  silent: { state: 'pending', copies: 0 },
  late: { state: 'pending', copies: 1 },
};

const newId = (kind: 'pay' | 'ref') => `${kind}_${randomBytes(18).toString('base64url')}`;

const unknown = (what: string, reference: string) =>
  new Problem('not-found', 404, `there is no ${what} ${reference.slice(0, 100)}`);

/** Takes payments and gives refunds, or does as if. */
@Injectable()
export class Acquirer implements OnModuleInit, OnModuleDestroy {
  private readonly rounds: Rounds;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Notices) private readonly notices: Notices,
    @Inject(ProviderConfig) private readonly config: ProviderConfig,
    @Inject(Log) log: Log,
  ) {
    const { drainMs } = config;
    this.rounds = new Rounds({
      storage,
      log,
      drainMs,
      name: 'decisions',
      next: () => this.decideDue(),
      pollMs: () => config.pollMs,
    });
  }

  onModuleInit(): void {
    this.rounds.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.rounds.stop();
  }

  /** @throws Problem `reference-reused` (409) when the reference belongs to a payment of another amount */
  async start(wish: PaymentWish): Promise<ProviderPayment> {
    const { reference, amountMinor, currency, description, returnUrl = null, scenario = this.config.mode } = wish;
    const { state, reason = null, copies } = BEGINNINGS[scenario];
    const patienceMs = scenario === 'redirect' ? this.config.pageMinutes * 60_000 : this.config.lateMs;
    const waitMs = state === 'pending' ? patienceMs : null;
    return this.storage.transaction(async (tx) => {
      const [made] = await tx.query<ProviderPayment[]>(
        `INSERT INTO provider_payment (id, reference, "amountMinor", currency, description, "returnUrl", scenario, state, reason,
           "dueAt", "settledAt")
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10::float8 / 1000),
           CASE WHEN $10::float8 IS NULL THEN now() END)
         ON CONFLICT (reference) DO NOTHING RETURNING *`,
        [newId('pay'), reference, amountMinor, currency, description, returnUrl, scenario, state, reason, waitMs],
      );
      if (made) {
        if (made.state !== 'pending' && copies > 0) await this.tell(tx, made, copies);
        return made;
      }
      const known = await this.payment(reference);
      if (known.amountMinor !== amountMinor || known.currency !== currency) throw reused(reference);
      return known;
    });
  }

  /** @throws Problem `not-found` (404) when it was never asked for */
  async payment(reference: string): Promise<ProviderPayment> {
    const [known] = await this.storage.query<ProviderPayment>('SELECT * FROM provider_payment WHERE reference = $1', [reference]);
    if (!known) throw unknown('payment', reference);
    return known;
  }

  /** The payment whose page was opened. */
  async opened(id: string): Promise<ProviderPayment | undefined> {
    const [known] = await this.storage.query<ProviderPayment>('SELECT * FROM provider_payment WHERE id = $1', [id]);
    return known;
  }

  /** What the buyer, or nobody in time, decided. A payment that is decided stays as it is. */
  async decide(id: string, state: 'approved' | 'declined', reason: string | null = null): Promise<void> {
    await this.storage.transaction(async (tx) => {
      const [decided] = await this.storage.query<ProviderPayment>(
        `UPDATE provider_payment SET state = $2, reason = $3, "settledAt" = now(), "dueAt" = NULL
         WHERE id = $1 AND state = 'pending' RETURNING *`,
        [id, state, reason],
      );
      const copies = decided ? BEGINNINGS[decided.scenario].copies : 0;
      if (decided && copies > 0) await this.tell(tx, decided, copies);
    });
  }

  /**
   * Send money back, once for each reference.
   *
   * @throws Problem `not-found` (404), `payment-not-approved` (409), `refund-too-large` (409), `reference-reused` (409),
   *   `unavailable` (503) while the sandbox is told to be
   */
  async refund({ reference, payment, amountMinor }: RefundWish): Promise<ProviderRefund> {
    if (this.config.refunds === 'unavailable') throw new Problem('unavailable', 503, 'refunds are not to be had for now');
    return this.storage.transaction(async (tx) => {
      // One refund of a payment after the other, so that their sum is seen.
      const [paid] = await tx.query<ProviderPayment[]>('SELECT * FROM provider_payment WHERE reference = $1 FOR UPDATE', [
        payment,
      ]);
      if (!paid) throw unknown('payment', payment);
      const [known] = await tx.query<ProviderRefund[]>('SELECT * FROM provider_refund WHERE reference = $1', [reference]);
      if (known && (known.payment !== payment || known.amountMinor !== amountMinor)) throw reused(reference);
      if (known) return known;
      await this.checkRefund(tx, paid, amountMinor);
      const isLate = this.config.refunds === 'late';
      const [made] = await tx.query<ProviderRefund[]>(
        `INSERT INTO provider_refund (id, reference, payment, "amountMinor", state, "dueAt", "settledAt")
         VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6::float8 / 1000),
           CASE WHEN $6::float8 IS NULL THEN now() END) RETURNING *`,
        [newId('ref'), reference, payment, amountMinor, isLate ? 'pending' : 'done', isLate ? this.config.lateMs : null],
      );
      if (!isLate) await this.tellRefund(tx, made!);
      return made!;
    });
  }

  /** @throws Problem `not-found` (404) when it was never asked for */
  async refundOf(reference: string): Promise<ProviderRefund> {
    const [known] = await this.storage.query<ProviderRefund>('SELECT * FROM provider_refund WHERE reference = $1', [reference]);
    if (!known) throw unknown('refund', reference);
    return known;
  }

  /** All money that came and went on a day, UTC. @param day  `2026-03-28` */
  settlement(day: string): Promise<Settled[]> {
    const of = `>= $1::date AND %."settledAt" < $1::date + 1`;
    return this.storage.query<Settled>(
      `SELECT 'payment' AS kind, p.id, p.reference, p."amountMinor", p.currency, p."settledAt" FROM provider_payment p
       WHERE p.state = 'approved' AND p."settledAt" ${of.replace('%', 'p')}
       UNION ALL
       SELECT 'refund', r.id, r.reference, r."amountMinor", p.currency, r."settledAt" FROM provider_refund r
       JOIN provider_payment p ON p.reference = r.payment WHERE r.state = 'done' AND r."settledAt" ${of.replace('%', 'r')}
       ORDER BY "settledAt", id`,
      [day],
    );
  }

  private async checkRefund(tx: EntityManager, paid: ProviderPayment, amountMinor: number): Promise<void> {
    if (paid.state !== 'approved')
      throw new Problem('payment-not-approved', 409, `this payment is ${paid.state}: there is nothing to give back`);
    const [{ gone } = { gone: 0 }] = await tx.query<{ gone: number }[]>(
      'SELECT coalesce(sum("amountMinor"), 0)::int AS gone FROM provider_refund WHERE payment = $1',
      [paid.reference],
    );
    const leftMinor = paid.amountMinor - gone;
    if (amountMinor > leftMinor) throw new Problem('refund-too-large', 409, 'more would go back than was paid', { leftMinor });
  }

  /** Decide what is due. @returns false when nothing is */
  private async decideDue(): Promise<boolean> {
    return this.storage.transaction(async (tx) => {
      const due = `"dueAt" <= now() ORDER BY "dueAt" LIMIT 1 FOR UPDATE SKIP LOCKED`;
      const [payment] = await tx.query<ProviderPayment[]>(`SELECT * FROM provider_payment WHERE ${due}`);
      if (payment) {
        const isLapsed = payment.scenario === 'redirect';
        await (isLapsed ? this.decide(payment.id, 'declined', 'expired') : this.decide(payment.id, 'approved'));
        return true;
      }
      const [refund] = await this.storage.query<ProviderRefund>(
        `UPDATE provider_refund SET state = 'done', "settledAt" = now(), "dueAt" = NULL
         WHERE id = (SELECT id FROM provider_refund WHERE ${due}) RETURNING *`,
      );
      if (refund) await this.tellRefund(tx, refund);
      return refund !== undefined;
    });
  }

  private tell(tx: EntityManager, { id, reference, amountMinor, currency, state, reason }: ProviderPayment, copies: number) {
    const data = { reference, id, state, ...(reason === null ? {} : { reason }), amountMinor, currency };
    return this.notices.tell(tx, { type: state === 'approved' ? 'payment.approved' : 'payment.declined', data }, copies);
  }

  private tellRefund(tx: EntityManager, { id, reference, payment, amountMinor }: ProviderRefund) {
    return this.notices.tell(tx, { type: 'refund.done', data: { reference, id, payment, state: 'done', amountMinor } });
  }
}

const reused = (reference: string) =>
  new Problem('reference-reused', 409, `${reference.slice(0, 100)} was asked for before with another amount`);
