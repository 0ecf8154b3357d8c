import { Controller, Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Ctx, EventPattern } from '@nestjs/microservices';
import type { EntityManager } from 'typeorm';
import type { BusContext } from '#bus';
import { Log } from '#log';
import { emit } from '#outbox';
import { isUnavailable, markRound, Rounds, Storage } from '#storage';
import { PurchaseConfig } from '../purchase-section.js';
import { Purchase } from '../purchase.row.js';
import { Sales } from '../sales.js';
import { Claims } from './claims.js';

/** Of purchases whose screening was cancelled, each in a transaction of its own: so many are looked up at a time. */
const PAGE = 100;
const LAPSES = 'lapses';

/**
 * What becomes of purchases without anybody asking: holds lapse, screenings are cancelled, guests are forgotten. What there is to do
 * is read from the tables each time, so that nothing is lost, and nothing done twice, however often it is begun.
 */
@Injectable()
export class Lapses implements OnModuleInit, OnModuleDestroy {
  private readonly rounds: Rounds;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(PurchaseConfig) private readonly config: PurchaseConfig,
    @Inject(Sales) private readonly sales: Sales,
    @Inject(Claims) private readonly claims: Claims,
    @Inject(Log) private readonly log: Log,
  ) {
    const next = () => this.sweep();
    const { sweepDrainMs: drainMs } = config;
    this.rounds = new Rounds({ storage, log, name: LAPSES, next, pollMs: () => config.sweepMs, drainMs });
  }

  onModuleInit(): void {
    this.rounds.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.rounds.stop();
  }

  /** @returns whether there is more of it */
  private async sweep(): Promise<boolean> {
    const lapsed = await this.expire();
    await this.callOff();
    const forgotten = await this.forget();
    return Math.max(lapsed, forgotten) >= this.config.sweepPurchases;
  }

  /** Tell that holds have lapsed: their seats could be had without it. @returns how many */
  private expire(): Promise<number> {
    return this.background(async (tx) => {
      const [rows] = await tx.query<[Purchase[], number]>(
        `UPDATE purchase SET state = 'expired', version = version + 1, history = history || jsonb_build_object('what', 'expired',
           'at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
         WHERE id IN (SELECT id FROM purchase WHERE state = 'held' AND "heldUntilAt" <= now()
           ORDER BY "heldUntilAt" LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING *`,
        [this.config.sweepPurchases],
      );
      if (rows.length === 0) return 0;
      await this.claims.free(tx, ...rows);
      const events = rows.map((row) => ({
        name: 'purchase.expired',
        key: row.id,
        version: row.version,
        body: Purchase.state(row),
      }));
      await emit(tx, ...events);
      return rows.length;
    });
  }

  private async callOff(): Promise<void> {
    for (let after = '00000000-0000-0000-0000-000000000000'; ;) {
      const found = await this.storage.query<{ id: string }>(
        // Screening by screening: cancelled ones are few, purchases are many.
        `SELECT p.id FROM known_screening k CROSS JOIN LATERAL (SELECT id FROM purchase
           WHERE screening = k.id AND state IN ('held', 'paid') AND id > $1 ORDER BY id LIMIT $2) p
         WHERE k.cancelled ORDER BY p.id LIMIT $2`,
        [after, PAGE],
      );
      for (const { id } of found) await this.callOffOne(id);
      if (found.length < PAGE) return;
      after = found.at(-1)!.id;
    }
  }

  /** One that cannot be done now must not keep the others from their money: the next look tries it again. */
  private async callOffOne(id: string): Promise<void> {
    try {
      await this.sales.callOff(id);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      this.log.warn('a purchase of a cancelled screening stays for now', { purchaseId: id, error });
    }
  }

  /** Forget guests' addresses some time after the show. @returns how many */
  private forget(): Promise<number> {
    return this.background(async (tx) => {
      const [, count] = await tx.query<[unknown[], number]>(
        // In the order of the index: without it all that are sold may be looked through for some that are old.
        `UPDATE purchase SET email = NULL WHERE id IN (SELECT id FROM purchase
           WHERE email IS NOT NULL AND "overAt" < now() - make_interval(days => $1)
           ORDER BY "overAt" LIMIT $2 FOR UPDATE SKIP LOCKED)`,
        [this.config.emailDays, this.config.sweepPurchases],
      );
      return count;
    });
  }

  private background<T>(fn: (tx: EntityManager) => Promise<T>): Promise<T> {
    const { sweepStatementMs: timeoutMs } = this.config;
    return this.storage.background({ statementTimeoutMs: timeoutMs, lockTimeoutMs: timeoutMs }, fn);
  }
}

/** Hears that a screening was cancelled. What there is to do is found in what was learnt of it, whether or not this was heard. */
@Controller()
export class Cancellations {
  @EventPattern<string>('screening.cancelled')
  cancelled(@Ctx() { tx }: BusContext): void {
    markRound(tx, LAPSES);
  }
}
