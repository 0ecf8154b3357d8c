import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { runWithout } from '#context';
import { Log } from '#log';
import { Storage } from '#storage';
import { OAuthConfig } from '../oauth-section.js';

/** A session, a grant or a token that ended before its time. */
@Entity('revocation')
@Index('revocation_at', ['at'])
export class Revocation {
  /** Drawn under a lock that is held until the commit, so that nobody sees a number before a smaller one. */
  @PrimaryColumn('bigint', { generated: 'identity', generatedIdentity: 'ALWAYS' }) seq: string;
  /** `sid:…`, `gid:…` or `jti:…`. */
  @Column('varchar') id: string;
  @Column('timestamptz', { default: () => 'now()' }) at: Date;
}

/** What verifiers are told. */
export interface Revoked {
  /** The number to ask on from. */
  last: number;
  ids: string[];
}

const CHANNEL = 'oauth_revoked';

/** What ended before its time, for as long as a token of it may still live. */
@Injectable()
export class Revocations implements OnModuleInit, OnModuleDestroy {
  private readonly waiting = new Set<() => void>();
  private seen = '';
  private isOver = false;
  private timer?: NodeJS.Timeout;
  private unlisten: () => Promise<void> = () => Promise.resolve();

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(OAuthConfig) private readonly config: OAuthConfig,
    @Inject(Log) private readonly log: Log,
  ) {}

  async onModuleInit() {
    this.unlisten = await this.storage.listen(CHANNEL, () => this.wake());
    runWithout(() => this.look());
  }

  async onModuleDestroy() {
    this.end();
    clearTimeout(this.timer);
    await this.unlisten();
  }

  /** Tell every verifier, in the open transaction if there is one. */
  async add(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.storage.transaction(async (tx) => {
      await tx.query(`SELECT pg_advisory_xact_lock(hashtext('revocation'))`);
      await tx.query('INSERT INTO revocation (id) SELECT unnest($1::text[])', [ids]);
      await tx.query(`SELECT pg_notify($1, '')`, [CHANNEL]);
    });
  }

  /** What was revoked after number `after`. One that was never given, since the tables are an older copy, means from the beginning. */
  async after(after: number): Promise<Revoked> {
    const rows = await this.storage.query<{ from: string; seq: string | null; id: string }>(
      `SELECT given.from, r.seq, r.id
       FROM (SELECT CASE WHEN $1::bigint > last_value THEN 0 ELSE $1::bigint END AS from FROM revocation_seq_seq) given
       LEFT JOIN revocation r ON r.seq > given.from AND r.at > now() - make_interval(secs => $2) ORDER BY r.seq`,
      [after, this.config.revocationSeconds],
    );
    const news = rows.filter(({ seq }) => seq !== null);
    return { last: Number(news.at(-1)?.seq ?? rows[0]?.from ?? 0), ids: news.map(({ id }) => id) };
  }

  /** The same, and when there is nothing, as soon as there is; empty after `waitMs`. */
  async news(after: number, waitMs: number): Promise<Revoked> {
    const endsAtMs = Date.now() + waitMs;
    for (;;) {
      // Before the look, or what comes during it would be slept over.
      const bell = this.bell(endsAtMs - Date.now());
      try {
        const found = await this.after(after);
        if (found.ids.length > 0 || this.isOver || Date.now() >= endsAtMs) return found;
        await bell.rung;
      } finally {
        bell.ring();
      }
    }
  }

  /** Whether one of these ids is revoked. */
  async has(ids: readonly string[]): Promise<boolean> {
    const rows = await this.storage.query('SELECT 1 FROM revocation WHERE id = ANY($1) LIMIT 1', [ids]);
    return rows.length > 0;
  }

  /** Remove what no token outlives. */
  async clear(): Promise<void> {
    await this.storage.query('DELETE FROM revocation WHERE at < now() - make_interval(secs => $1)', [
      this.config.revocationSeconds,
    ]);
  }

  /** Let everybody who waits go, now and from now on. */
  end(): void {
    this.isOver = true;
    this.wake();
  }

  /** Rings when there is news, or after `waitMs`. */
  private bell(waitMs: number): { rung: Promise<void>; ring: () => void } {
    const { promise: rung, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => ring(), Math.max(0, waitMs));
    const ring = () => {
      clearTimeout(timer);
      this.waiting.delete(ring);
      resolve();
    };
    this.waiting.add(ring);
    return { rung, ring };
  }

  private wake() {
    for (const ring of [...this.waiting]) ring();
  }

  /** One look for all who wait, since a notification may get lost. */
  private look() {
    this.timer = setTimeout(() => {
      this.newest()
        .catch((error: unknown) => this.log.debug('revocations cannot be read', { error }))
        .finally(() => {
          if (!this.isOver) this.look();
        });
    }, this.config.revocationPollMs);
  }

  private async newest() {
    if (this.waiting.size === 0) return;
    const [row] = await this.storage.query<{ newest: string | null }>('SELECT max(seq) AS newest FROM revocation');
    if (row?.newest && row.newest !== this.seen) this.wake();
    this.seen = row?.newest ?? '';
  }
}
