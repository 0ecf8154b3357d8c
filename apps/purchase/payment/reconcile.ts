import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Log } from '#log';
import { type Gauge, Metrics } from '#metrics';
import { invalidInput } from '#problem';
import { isId } from '#resource';
import { Rounds, Storage } from '#storage';
import type { DifferenceKind } from './payment.row.js';
import { PaymentConfig } from './payment-section.js';
import { PaymentProvider, type Settled } from './provider.js';
import { Settle } from './settle.js';

/** Where both sides do not agree about one payment or refund. */
export interface Difference {
  subject: Settled['kind'];
  reference: string;
  kind: DifferenceKind;
  ours?: string;
  theirs?: string;
}

/** What the comparison of a day found. */
export interface Comparison {
  day: string;
  /** Payments and refunds on either side. */
  compared: number;
  differences: Difference[];
}

interface Ours {
  subject: Settled['kind'];
  reference: string;
  amountMinor: number;
  state: string;
}

/** In which state money has moved. */
const MOVED = { payment: 'approved', refund: 'done' } as const;
const LEASE_MINUTES = 10;

/**
 * Compares the provider's settlement of a day with our own books: each day on the next, the days that were missed, and whenever
 * somebody asks. What differs is kept for people to look at; a payment that was taken and that nobody told us of is taken to the
 * sale as if its webhook had come now.
 */
@Injectable()
export class Reconciliation implements OnModuleInit, OnModuleDestroy {
  private readonly rounds: Rounds;
  private readonly found: Gauge<'kind'>;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(PaymentProvider) private readonly provider: PaymentProvider,
    @Inject(Settle) private readonly settle: Settle,
    @Inject(PaymentConfig) private readonly config: PaymentConfig,
    @Inject(Log) private readonly log: Log,
    @Inject(Metrics) metrics: Metrics,
  ) {
    const { drainMs } = config;
    const [name, pollMs] = ['comparisons with the provider', () => config.reconcilePollMs];
    this.rounds = new Rounds({ storage, log, drainMs, name, next: () => this.next(), pollMs });
    this.found = metrics.gauge('payment_differences', 'Differences that the last comparison found', ['kind']);
  }

  onModuleInit(): void {
    this.rounds.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.rounds.stop();
  }

  /**
   * @param day  of the provider's, UTC
   * @throws Problem `invalid-input` (400) for a day that has not begun, or none at all; what the provider throws when it does not answer
   */
  async compare(day: string): Promise<Comparison> {
    const today = new Date().toISOString().slice(0, 10);
    if (day > today || !new Date(`${day}T00:00Z`).toJSON()?.startsWith(day))
      throw invalidInput([{ pointer: '/day', detail: 'must be a day, and no later than today (UTC)' }]);
    const theirs = await this.provider.settlement(day);
    const ours = new Map((await this.ours(day, theirs)).map((one) => [one.reference, one]));
    const heard = new Set(theirs.map(({ reference }) => reference));
    const unheard = [...ours.values()].filter(({ reference }) => !heard.has(reference));
    const differences = [
      ...theirs.flatMap((one) => differenceOf(one, ours.get(one.reference))),
      ...(await Promise.all(unheard.map((one) => this.missing(one)))).flat(),
    ];
    await this.keep(day, differences);
    await this.mend(differences);
    return { day, compared: theirs.length + unheard.length, differences };
  }

  /** Ours of what they list, whenever it was, and what moved that day by our own clock. */
  private ours(day: string, theirs: readonly Settled[]): Promise<Ours[]> {
    const references = theirs.map(({ reference }) => reference).filter(isId);
    const of = (subject: Settled['kind'], table: string) =>
      `SELECT '${subject}' AS subject, id AS reference, "amountMinor", state FROM ${table}
       WHERE id = ANY ($2::uuid[])
          OR (state = '${MOVED[subject]}' AND "settledAt" >= $1::date AND "settledAt" < $1::date + 1)`;
    return this.storage.query<Ours>(`${of('payment', 'payment_attempt')} UNION ALL ${of('refund', 'payment_refund')}`, [
      day,
      references,
    ]);
  }

  /** What we have and the day's list has not: it may be on the list of the day before or after, by a second. */
  private async missing({ subject, reference, amountMinor }: Ours): Promise<Difference[]> {
    const ours = `${MOVED[subject]} ${amountMinor}`;
    const word = await (subject === 'payment' ? this.provider.look(reference) : this.provider.lookRefund(reference));
    if (!word) return [{ subject, reference, kind: 'missing-there', ours }];
    return word.state === MOVED[subject] ? [] : [{ subject, reference, kind: 'state', ours, theirs: word.state }];
  }

  private async keep(day: string, differences: readonly Difference[]): Promise<void> {
    await this.storage.transaction(async () => {
      await this.storage.query('DELETE FROM payment_difference WHERE day = $1', [day]);
      await this.storage.query(
        `INSERT INTO payment_difference (day, reference, kind, subject, ours, theirs)
         SELECT $1, d.reference, d.kind, d.subject, d.ours, d.theirs
         FROM json_to_recordset($2::json) AS d (reference text, kind text, subject text, ours text, theirs text)
         ON CONFLICT DO NOTHING`,
        [day, JSON.stringify(differences)],
      );
      await this.storage.query(
        `INSERT INTO payment_reconciliation (day, "startedAt", "doneAt", differences) VALUES ($1, now(), now(), $2)
         ON CONFLICT (day) DO UPDATE SET "doneAt" = now(), differences = excluded.differences`,
        [day, differences.length],
      );
    });
    for (const kind of ['missing-there', 'missing-here', 'amount', 'state'] as const)
      this.found.set({ kind }, differences.filter((one) => one.kind === kind).length);
    const about = { day, differences: differences.length };
    if (differences.length > 0) this.log.error('the provider’s settlement differs from our payments', about);
    else this.log.info('the provider’s settlement agrees with our payments', about);
  }

  /** Money that was taken and is not in the sale: it becomes tickets, or goes back. */
  private async mend(differences: readonly Difference[]): Promise<void> {
    for (const { subject, kind, reference } of differences)
      if (subject === 'payment' && kind === 'state') {
        const word = await this.provider.look(reference);
        if (word) await this.settle.believe(reference, word);
      }
  }

  /** Compare the next day that nobody has compared. @returns false when there is none, or it is too early in the day */
  private async next(): Promise<boolean> {
    const { timeZone, reconcileHour, reconcileDays, rememberDays } = this.config;
    const [due] = await this.storage.query<{ day: string }>(
      `INSERT INTO payment_reconciliation AS r (day, "startedAt")
       SELECT d.day, now() FROM (
         SELECT (now() AT TIME ZONE 'UTC')::date - n AS day FROM generate_series(1, $3::int) AS n) d
       LEFT JOIN payment_reconciliation known ON known.day = d.day
       WHERE extract(hour FROM now() AT TIME ZONE $1::text) >= $2::int AND known."doneAt" IS NULL
         AND (known.day IS NULL OR known."startedAt" < now() - make_interval(mins => ${LEASE_MINUTES}))
       ORDER BY d.day LIMIT 1
       ON CONFLICT (day) DO UPDATE SET "startedAt" = now()
         WHERE r."doneAt" IS NULL AND r."startedAt" < now() - make_interval(mins => ${LEASE_MINUTES})
       RETURNING day::text AS day`,
      [timeZone, reconcileHour, reconcileDays],
    );
    if (!due) return false;
    try {
      await this.compare(due.day);
    } catch (error) {
      await this.storage.query('DELETE FROM payment_reconciliation WHERE day = $1 AND "doneAt" IS NULL', [due.day]);
      throw error;
    }
    await this.storage.query('DELETE FROM webhook_seen WHERE at < now() - make_interval(days => $1::int)', [rememberDays]);
    return true;
  }
}

function differenceOf({ kind: subject, reference, amountMinor }: Settled, ours: Ours | undefined): Difference[] {
  const theirs = `${MOVED[subject]} ${amountMinor}`;
  if (ours?.subject !== subject) return [{ subject, reference, kind: 'missing-here', theirs }];
  const about = { subject, reference, ours: `${ours.state} ${ours.amountMinor}`, theirs };
  return [
    ...(ours.amountMinor === amountMinor ? [] : [{ ...about, kind: 'amount' as const }]),
    ...(ours.state === MOVED[subject] ? [] : [{ ...about, kind: 'state' as const }]),
  ];
}
