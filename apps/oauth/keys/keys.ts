import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { Column, Entity, type EntityManager, PrimaryColumn } from 'typeorm';
import { environment } from '#config';
import { runWithout } from '#context';
import { Log } from '#log';
import { Storage } from '#storage';
import { OAuthConfig } from '../oauth-section.js';
import { sealedBy } from './seal.js';

/** A key that tokens are signed with. */
@Entity('signing_key')
export class SigningKey {
  @PrimaryColumn('varchar') kid: string;
  /** The private key; encrypted when there is a secret for it. */
  @Column('text') sealed: string;
  @Column('timestamptz', { name: 'created_at', default: () => 'now()' }) createdAt: Date;
  /** From when on it signs, until the next one does. */
  @Column('timestamptz', { name: 'signs_at' }) signsAt: Date;
}

/** A key that was made. */
export interface NewKey {
  kid: string;
  signsAt: Date;
}

type Row = { kid: string; sealed: string; signsInMs: number };

const CHANNEL = 'oauth_keys';
/** Timers take no more than 31 bits, ms. */
const FAR_MS = 2 ** 31 - 1;
/** For clocks of two hosts, s. */
const TOLERANCE_SECONDS = 60;

/** The signing keys of all instances: the one that signs now, those to come, and those whose tokens still live. */
@Injectable()
export class Keys implements OnModuleInit, OnModuleDestroy {
  private ring: JWK[] = [];
  private readonly told = new Set<() => void>();
  private readonly seal = sealedBy(environment().secret('OAUTH_KEY_SECRET'));
  private timer?: NodeJS.Timeout;
  private isClosed = false;
  private unlisten: () => Promise<void> = () => Promise.resolve();

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(OAuthConfig) private readonly config: OAuthConfig,
    @Inject(Log) private readonly log: Log,
  ) {}

  async onModuleInit() {
    this.unlisten = await this.storage.listen(CHANNEL, () => void this.refresh());
    await this.locked(async (tx) => {
      const [row] = await this.storage.query<{ some: boolean }>('SELECT EXISTS (SELECT 1 FROM signing_key) AS some');
      if (!row?.some) await this.make(tx, 0);
    });
    await this.load();
  }

  async onModuleDestroy() {
    this.isClosed = true;
    clearTimeout(this.timer);
    await this.unlisten();
  }

  /** Private keys, the one that signs in front. */
  all(): readonly JWK[] {
    return this.ring;
  }

  /** Call `told` whenever they change. */
  onChange(told: () => void): void {
    this.told.add(told);
  }

  /** Make the next key: published at once, it signs when every verifier has had the time to ask for it. */
  async rotate(): Promise<NewKey> {
    const made = await this.locked((tx) => this.make(tx, this.config.keySignsAfterSeconds));
    await this.load();
    this.log.info('signing key made', { kid: made.kid, signsAt: made.signsAt });
    return made;
  }

  /** Remove the keys that are over. */
  async clear(): Promise<void> {
    await this.storage.query(
      `DELETE FROM signing_key old WHERE EXISTS (
         SELECT 1 FROM signing_key next WHERE next.signs_at > old.signs_at AND next.signs_at < now() - make_interval(secs => $1))`,
      [this.keepSeconds()],
    );
  }

  /** Two instances that start together, or two that rotate, take turns. */
  private locked<T>(fn: (tx: EntityManager) => Promise<T>): Promise<T> {
    return this.storage.transaction(async (tx) => {
      await tx.query(`SELECT pg_advisory_xact_lock(hashtext('signing_key'))`);
      return fn(tx);
    });
  }

  private async make(tx: EntityManager, inSeconds: number): Promise<NewKey> {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const bare = await exportJWK(privateKey);
    const kid = await calculateJwkThumbprint(bare);
    const sealed = await this.seal.close({ ...bare, kid, alg: 'ES256', use: 'sig' });
    const [row] = await tx.query<{ signs_at: Date }[]>(
      'INSERT INTO signing_key (kid, sealed, signs_at) VALUES ($1, $2, now() + make_interval(secs => $3)) RETURNING signs_at',
      [kid, sealed, inSeconds],
    );
    await tx.query(`SELECT pg_notify($1, '')`, [CHANNEL]);
    return { kid, signsAt: row!.signs_at };
  }

  private async refresh() {
    try {
      await this.load();
    } catch (error) {
      this.log.warn('signing keys cannot be read; the known ones go on', { error });
      this.again(this.config.keyPollMs);
    }
  }

  private async load() {
    const rows = await this.storage.query<Row>(
      `SELECT kid, sealed, extract(epoch FROM signs_at - now())::float8 * 1000 AS "signsInMs" FROM signing_key ORDER BY signs_at`,
    );
    const { ring, nextMs } = order(rows, this.keepSeconds() * 1000);
    const jwks = await Promise.all(ring.map(({ sealed }) => this.seal.open(sealed)));
    if (this.isClosed) return;
    this.again(Math.min(this.config.keyPollMs, nextMs));
    if (jwks.map(({ kid }) => kid).join() === this.ring.map(({ kid }) => kid).join()) return;
    this.ring = jwks;
    for (const told of this.told) told();
  }

  private again(inMs: number) {
    clearTimeout(this.timer);
    if (this.isClosed) return;
    this.timer = runWithout(() => setTimeout(() => void this.refresh(), Math.min(FAR_MS, Math.max(1, Math.ceil(inMs)))));
  }

  /** As long as anything that an old key signed can live. */
  private keepSeconds() {
    return Math.max(this.config.accessTokenSeconds, this.config.idTokenSeconds) + TOLERANCE_SECONDS;
  }
}

/** Which keys count now, the one that signs in front, and in how long that changes. @param rows  by the time they begin to sign */
function order(rows: readonly Row[], keepMs: number): { ring: Row[]; nextMs: number } {
  // Of keys that are all to come, the first must sign already: it was made by a clock that is ahead.
  const signer = Math.max(
    0,
    rows.findLastIndex(({ signsInMs }) => signsInMs <= 0),
  );
  const old = rows.slice(0, signer).filter((_, i) => -rows[i + 1]!.signsInMs < keepMs);
  const toCome = rows.slice(signer + 1);
  const changes = [
    ...toCome.map(({ signsInMs }) => signsInMs),
    ...old.map((_, i) => keepMs + rows[signer - old.length + i + 1]!.signsInMs),
  ];
  return { ring: [rows[signer]!, ...toCome, ...old], nextMs: Math.min(Infinity, ...changes) };
}
