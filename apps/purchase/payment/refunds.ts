import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Log } from '#log';
import { type Counter, Metrics } from '#metrics';
import { Problem } from '#problem';
import { Rounds, Storage } from '#storage';
import type { PaymentRefund } from './payment.row.js';
import { PaymentConfig } from './payment-section.js';
import { REFUNDS } from './payments.js';
import { PaymentProvider, type RefundWord } from './provider.js';
import { Sale } from './sale.js';

type Outcome = 'done' | 'refused' | 'unknown';

/**
 * Sends refunds to the provider until it says that they are done, with growing pauses, by whichever instance is there. One that it
 * refuses stays and is asked for again: the money is owed, and the log and the daily comparison say that somebody has to look.
 */
@Injectable()
export class Refunds implements OnModuleInit, OnModuleDestroy {
  private readonly rounds: Rounds;
  private readonly outcomes: Counter<'outcome'>;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(PaymentProvider) private readonly provider: PaymentProvider,
    @Inject(Sale) private readonly sale: Sale,
    @Inject(PaymentConfig) private readonly config: PaymentConfig,
    @Inject(Log) private readonly log: Log,
    @Inject(Metrics) metrics: Metrics,
  ) {
    const { drainMs } = config;
    this.rounds = new Rounds({ storage, log, drainMs, name: REFUNDS, next: () => this.next(), pollMs: () => config.pollMs });
    this.outcomes = metrics.counter('refunds_total', 'What became of refunds, and of asking for them', ['outcome']);
  }

  onModuleInit(): void {
    this.rounds.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.rounds.stop();
  }

  /**
   * Take the provider's word to the sale, in the open transaction.
   *
   * @returns false for a refund that we never asked for
   */
  async believe(refund: string, { id, state }: RefundWord): Promise<boolean> {
    return this.storage.transaction(async () => {
      const [known] = await this.storage.query<PaymentRefund>('SELECT * FROM payment_refund WHERE id = $1 FOR UPDATE', [refund]);
      if (!known) return false;
      if (known.state === 'done' || state !== 'done') return true;
      await this.storage.query(`UPDATE payment_refund SET state = 'done', "providerId" = $2, "settledAt" = now() WHERE id = $1`, [
        refund,
        id ?? null,
      ]);
      await this.sale.refunded(known.purchase, refund);
      this.outcomes.inc({ outcome: 'done' });
      this.log.info('refund done', { ...aboutOf(known), reason: known.reason, tries: known.tries });
      return true;
    });
  }

  /** @returns false when none is due */
  private async next(): Promise<boolean> {
    const refund = await this.take();
    if (!refund) return false;
    let word: RefundWord;
    try {
      word = await this.hear(refund);
    } catch (error) {
      this.failed(refund, error);
      return true;
    }
    await this.believe(refund.id, word);
    return true;
  }

  /** One that is due; nobody else gets it until the time for its answer and a pause are over. */
  private async take(): Promise<PaymentRefund | undefined> {
    const { askMs, retryMinMs, retryMaxMs } = this.config;
    const [refund] = await this.storage.query<PaymentRefund>(
      `UPDATE payment_refund SET tries = tries + 1, "nextAt" = now() + make_interval(
         secs => ($1::float8 + least($2::float8, $3::float8 * 2 ^ least(tries, 20)) * (1 - random() / 2)) / 1000)
       WHERE id = (SELECT id FROM payment_refund WHERE state = 'pending' AND "nextAt" <= now()
         ORDER BY "nextAt" LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING *`,
      [askMs, retryMaxMs, retryMinMs],
    );
    return refund;
  }

  private async hear({ id, tries, payment, amountMinor }: PaymentRefund): Promise<RefundWord> {
    const known = tries > 1 ? await this.provider.lookRefund(id) : undefined;
    return known ?? this.provider.refund({ reference: id, payment, amountMinor });
  }

  private failed(refund: PaymentRefund, error: unknown): void {
    const outcome: Outcome = error instanceof Problem && error.status < 500 ? 'refused' : 'unknown';
    this.outcomes.inc({ outcome });
    const about = { ...aboutOf(refund), tries: refund.tries, error };
    if (outcome === 'refused') this.log.error('the provider refuses a refund', about);
    else this.log[refund.tries === 1 ? 'warn' : 'debug']('no word on a refund, will ask again', about);
  }
}

const aboutOf = ({ id, payment, purchase }: PaymentRefund) => ({ refundId: id, paymentId: payment, purchaseId: purchase });
