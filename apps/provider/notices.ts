import { createHmac, randomBytes } from 'node:crypto';
import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Client } from '#client';
import { environment } from '#config';
import { newContext, runWith } from '#context';
import { Log } from '#log';
import { backoffMs, markRound, Rounds, Storage } from '#storage';
import { ProviderConfig } from './provider-section.js';
import type { ProviderNotice } from './provider.row.js';

/** What a webhook tells. */
export interface Told {
  type: 'payment.approved' | 'payment.declined' | 'refund.done';
  /** The shop's reference, and what else it can read of the payment or refund. */
  data: { reference: string } & Record<string, unknown>;
}

/** The secret that the shop and we share. It signs webhooks; the shop's API key is derived from it. */
export function sharedKey(): string {
  const key = environment().secret('PROVIDER_KEY');
  if (!key) throw new Error('the secret PROVIDER_KEY is gone');
  return key;
}

/**
 * `t=<unix seconds>,v1=<hex>` over `<t>.<body>`, so that neither body nor time can be changed.
 *
 * @source https://docs.stripe.com/webhooks#verify-manually
 */
export function signature(body: string, atMs: number, key: string): string {
  const t = Math.floor(atMs / 1000);
  return `t=${t},v1=${createHmac('sha256', key).update(`${t}.${body}`).digest('hex')}`;
}

const NAME = 'webhooks';

type Waiting = ProviderNotice & { ageHours: number };

/** Webhooks. They are written with what they tell of, and sent until the shop has taken them. */
@Injectable()
export class Notices implements OnModuleInit, OnModuleDestroy {
  private readonly rounds: Rounds;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Client) private readonly client: Client,
    @Inject(ProviderConfig) private readonly config: ProviderConfig,
    @Inject(Log) private readonly log: Log,
  ) {
    const { drainMs } = config;
    this.rounds = new Rounds({ storage, log, drainMs, name: NAME, next: () => this.next(), pollMs: () => config.pollMs });
  }

  onModuleInit(): void {
    this.rounds.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.rounds.stop();
  }

  /** Tell the shop, `copies` times, once `tx` is committed. */
  async tell(tx: EntityManager, { type, data }: Told, copies = 1): Promise<void> {
    const id = `evt_${randomBytes(15).toString('base64url')}`;
    const body = { id, type, at: new Date().toISOString(), data };
    await tx.query('INSERT INTO provider_notice (id, body, copies) VALUES ($1, $2, $3)', [id, JSON.stringify(body), copies]);
    markRound(tx, NAME);
  }

  private async next(): Promise<boolean> {
    const { notifyTimeoutMs, notifyMinMs } = this.config;
    // Nobody else takes it until its time to be sent is over.
    const [notice] = await this.storage.query<Waiting>(
      `UPDATE provider_notice SET tries = tries + 1, "dueAt" = now() + make_interval(secs => $1 / 1000.0)
       WHERE id = (SELECT id FROM provider_notice WHERE "dueAt" <= now() ORDER BY "dueAt", id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING *, (extract(epoch FROM now() - "madeAt") / 3600)::float8 AS "ageHours"`,
      [notifyTimeoutMs + notifyMinMs],
    );
    if (!notice) return false;
    const error = await this.send(notice).then(
      () => undefined,
      (error: unknown) => error,
    );
    await (error === undefined ? this.sent(notice) : this.failed(notice, error));
    return true;
  }

  private async send({ body }: Waiting): Promise<void> {
    const { notifyService, notifyPath: path, notifyTimeoutMs: timeoutMs } = this.config;
    const headers = { 'payment-signature': signature(JSON.stringify(body), Date.now(), sharedKey()) };
    const call = { method: 'POST', path, body, headers, timeoutMs, isAnonymous: true } as const;
    await runWith(newContext(), () => this.client.call(notifyService, call));
  }

  private async sent({ id }: Waiting): Promise<void> {
    await this.storage.query(
      `WITH last AS (DELETE FROM provider_notice WHERE id = $1 AND copies <= 1 RETURNING id)
       UPDATE provider_notice SET copies = copies - 1, tries = 0, "dueAt" = now()
       WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM last)`,
      [id],
    );
  }

  private async failed({ id, tries, ageHours }: Waiting, error: unknown): Promise<void> {
    const { notifyMinMs: retryMinMs, notifyMaxMs: retryMaxMs, notifyGiveUpHours } = this.config;
    const about = { noticeId: id, tries, error };
    if (ageHours >= notifyGiveUpHours) {
      this.log.error('webhook given up', about);
      await this.storage.query('DELETE FROM provider_notice WHERE id = $1', [id]);
      return;
    }
    if (tries === 1) this.log.warn('webhook not taken, will try again', about);
    const waitMs = backoffMs(tries - 1, { retryMinMs, retryMaxMs });
    await this.storage.query('UPDATE provider_notice SET "dueAt" = now() + make_interval(secs => $2 / 1000.0) WHERE id = $1', [
      id,
      waitMs,
    ]);
  }
}
