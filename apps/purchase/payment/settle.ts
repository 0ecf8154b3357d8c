import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { runWithout } from '#context';
import { Log } from '#log';
import { type Counter, Metrics } from '#metrics';
import { Problem } from '#problem';
import { Rounds, Storage } from '#storage';
import type { PaymentAttempt } from './payment.row.js';
import { PaymentConfig } from './payment-section.js';
import { Payments, startedIn } from './payments.js';
import { PaymentProvider, type Word } from './provider.js';
import { Sale } from './sale.js';

/** How often a payment is tried to be settled while its row is taken, each as long as a lock may be waited for. */
const PATIENCE = 5;
const isSlow = (error: unknown) => error instanceof Problem && error.type === 'storage-slow';

type Outcome = 'approved' | 'declined' | 'unknown' | 'late';

/**
 * Asks the provider about attempts to pay, and tells the sale. A new attempt is asked at once; one whose answer did not come, was
 * "pending", or was lost with the process, is asked again with growing pauses by whichever instance is there, until the provider has
 * said its final word. Nothing else ends it: money may have moved that nobody here has heard of.
 */
@Injectable()
export class Settle implements OnModuleInit, OnModuleDestroy {
  private readonly asking = new Map<string, Promise<void>>();
  private readonly rounds: Rounds;
  private readonly outcomes: Counter<'outcome'>;
  private unhook?: () => void;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Payments) private readonly payments: Payments,
    @Inject(PaymentProvider) private readonly provider: PaymentProvider,
    @Inject(Sale) private readonly sale: Sale,
    @Inject(PaymentConfig) private readonly config: PaymentConfig,
    @Inject(Log) private readonly log: Log,
    @Inject(Metrics) metrics: Metrics,
  ) {
    const { drainMs } = config;
    this.rounds = new Rounds({ storage, log, drainMs, name: 'payments', next: () => this.next(), pollMs: () => config.pollMs });
    this.outcomes = metrics.counter('payments_total', 'What became of attempts to pay, and of asking for them', ['outcome']);
  }

  onModuleInit(): void {
    this.payments.askedBy((payment) => this.ask(payment));
    this.unhook = this.storage.onCommit((tx) => {
      for (const payment of startedIn(tx)) void this.ask(payment);
    });
    this.rounds.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.unhook?.();
    await this.rounds.stop();
    await Promise.all(this.asking.values());
  }

  /** Ask about one, unless it is decided, or asked about already and not due again. Never throws: what fails is tried again. */
  ask(payment: string): Promise<void> {
    const known = this.asking.get(payment);
    if (known) return known;
    const asked = runWithout(() => this.once(payment)).finally(() => this.asking.delete(payment));
    this.asking.set(payment, asked);
    return asked;
  }

  /**
   * Take the provider's word to the sale, in the open transaction. Words come more than once and in any order: an approval ends
   * everything, a decline ends what was pending, and what is older than that changes nothing.
   *
   * @returns false for a payment that we never asked for
   */
  async believe(payment: string, word: Word): Promise<boolean> {
    return this.storage.transaction(async () => {
      const [attempt] = await this.storage.query<PaymentAttempt>('SELECT * FROM payment_attempt WHERE id = $1 FOR UPDATE', [
        payment,
      ]);
      if (!attempt) return false;
      if (word.state === 'pending') await this.pending(attempt, word);
      else if (word.state === 'approved' && attempt.state !== 'approved') await this.approved(attempt, word);
      else if (word.state === 'declined' && attempt.state === 'pending') await this.declined(attempt, word);
      else if (word.state !== attempt.state) this.log.error('the provider took an approval back', aboutOf(attempt));
      return true;
    });
  }

  private async once(payment: string): Promise<void> {
    try {
      const attempt = await this.take('id = $4 AND (tries = 0 OR "nextAt" <= now())', [payment]);
      if (attempt) await this.settle(attempt);
    } catch (error) {
      this.log.warn('payment not settled, will try again', { paymentId: payment, error });
    }
  }

  /** @returns false when none is due */
  private async next(): Promise<boolean> {
    const attempt = await this.take();
    if (!attempt) return false;
    const asked = runWithout(() => this.settle(attempt)).finally(() => this.asking.delete(attempt.id));
    this.asking.set(attempt.id, asked.catch(() => undefined)); // prettier-ignore
    await asked;
    return true;
  }

  /** One that is due; nobody else gets it until the time for its answer and a pause are over. */
  private async take(which = `"nextAt" <= now()`, params: readonly unknown[] = []): Promise<PaymentAttempt | undefined> {
    const { askMs, retryMinMs, retryMaxMs } = this.config;
    const [attempt] = await this.storage.query<PaymentAttempt>(
      `UPDATE payment_attempt SET tries = tries + 1, "nextAt" = now() + make_interval(
         secs => ($1::float8 + least($2::float8, $3::float8 * 2 ^ least(tries, 20)) * (1 - random() / 2)) / 1000)
       WHERE id = (SELECT id FROM payment_attempt WHERE state = 'pending' AND ${which}
         ORDER BY "nextAt" LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING *`,
      [askMs, retryMaxMs, retryMinMs, ...params],
    );
    return attempt;
  }

  private async settle(attempt: PaymentAttempt): Promise<void> {
    const word = await this.hear(attempt).catch((error: unknown) => this.unheard(attempt, error));
    if (word) await this.insist(attempt.id, word);
  }

  /** A webhook may be telling the same at this moment: who asked waits for it to be done, not for the next question. */
  private async insist(payment: string, word: Word): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.believe(payment, word);
        return;
      } catch (error) {
        if (!isSlow(error) || tries === PATIENCE) throw error;
      }
    }
  }

  /** No answer is no decline. */
  private unheard(attempt: PaymentAttempt, error: unknown): void {
    this.outcomes.inc({ outcome: 'unknown' });
    const level = attempt.tries === 1 ? 'warn' : 'debug';
    this.log[level]('no word on a payment, will ask again', { ...aboutOf(attempt), tries: attempt.tries, error });
  }

  /** What was asked for before may have arrived, so it is looked for first: not every provider knows a reference again for ever. */
  private async hear({ id, tries, amountMinor, currency, title, returnUrl, method }: PaymentAttempt): Promise<Word> {
    const known = tries > 1 ? await this.provider.look(id) : undefined;
    if (known) return known;
    return this.provider.start({
      ...{ reference: id, amountMinor, currency, description: title },
      ...(returnUrl === null ? {} : { returnUrl }),
      ...(method === null ? {} : { method }),
    });
  }

  private async pending(attempt: PaymentAttempt, { id, redirectUrl }: Word): Promise<void> {
    if (attempt.state !== 'pending') return;
    const isNews = redirectUrl !== undefined && redirectUrl !== attempt.redirectUrl;
    await this.storage.query(
      `UPDATE payment_attempt SET "heardAt" = coalesce("heardAt", now()), "providerId" = coalesce($2, "providerId"),
         "redirectUrl" = coalesce($3, "redirectUrl") WHERE id = $1`,
      [attempt.id, id ?? null, redirectUrl ?? null],
    );
    if (isNews)
      await this.sale.pending(attempt.purchase, { id: attempt.id, provider: attempt.provider, state: 'pending', redirectUrl });
  }

  private async approved(attempt: PaymentAttempt, word: Word): Promise<void> {
    await this.close(attempt, word);
    const became = await this.sale.approved(attempt.purchase, attempt.id);
    this.tell(attempt, became === 'refunding' ? 'late' : 'approved');
  }

  private async declined(attempt: PaymentAttempt, { reason = 'declined', ...word }: Word): Promise<void> {
    await this.close(attempt, { ...word, reason });
    await this.sale.declined(attempt.purchase, attempt.id, reason);
    this.tell(attempt, 'declined', reason);
  }

  private async close({ id }: PaymentAttempt, word: Word): Promise<void> {
    await this.storage.query(
      `UPDATE payment_attempt SET state = $2, reason = $3, "providerId" = coalesce($4, "providerId"), "redirectUrl" = NULL,
         "heardAt" = coalesce("heardAt", now()), "settledAt" = now() WHERE id = $1`,
      [id, word.state, word.reason ?? null, word.id ?? null],
    );
  }

  private tell(attempt: PaymentAttempt, outcome: Outcome, reason?: string): void {
    this.outcomes.inc({ outcome });
    this.log.info('payment settled', { ...aboutOf(attempt), outcome, reason, tries: attempt.tries });
  }
}

const aboutOf = ({ id, purchase }: PaymentAttempt) => ({ paymentId: id, purchaseId: purchase });
