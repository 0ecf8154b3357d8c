import { Inject, Injectable } from '@nestjs/common';
import { createHash, randomBytes } from 'node:crypto';
import { Column, Entity, type EntityManager, Index, PrimaryColumn } from 'typeorm';
import { Problem } from '#problem';
import { Storage } from '#storage';

/** What a link in an e-mail lets its reader do. */
export type LinkKind = 'confirm' | 'reset';

/** A link that was sent. Whoever reads this table cannot follow it: only the token's hash is kept. */
@Entity('link')
export class Link {
  @PrimaryColumn('bytea') hash: Buffer;
  @Column('varchar') kind: LinkKind;
  @Index('link_user') @Column('uuid') userId: string;
  @Column('timestamptz', { default: () => 'now()' }) madeAt: Date;
  @Column('timestamptz') expiresAt: Date;
}

const TOKEN_BYTES = 32;
// Drawn from 256 bits, so a plain hash is as good as a slow one.
const hashOf = (token: string) => createHash('sha256').update(token).digest();
const expired = () => new Problem('link-expired', 410, 'this link has been used, or is too old: ask for another one');

/** Links in e-mails: each works once, and not for long. */
@Injectable()
export class Links {
  constructor(@Inject(Storage) private readonly storage: Storage) {}

  /** @returns the token of a new link */
  async make(kind: LinkKind, userId: string, ttlSeconds: number): Promise<string> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    await this.storage.query(
      'INSERT INTO link (hash, kind, "userId", "expiresAt") VALUES ($1, $2, $3, now() + make_interval(secs => $4))',
      [hashOf(token), kind, userId, ttlSeconds],
    );
    return token;
  }

  /** Whose link it is, without using it up. @throws Problem `link-expired` (410) */
  async read(kind: LinkKind, token: string): Promise<string> {
    const [found] = await this.storage.query<{ userId: string }>(
      'SELECT "userId" FROM link WHERE hash = $1 AND kind = $2 AND "expiresAt" > now()',
      [hashOf(token), kind],
    );
    if (!found) throw expired();
    return found.userId;
  }

  /** Use the link up, in `tx`, the transaction that does what it is for. @returns whose it is @throws Problem `link-expired` (410) */
  async redeem(tx: EntityManager, kind: LinkKind, token: string): Promise<string> {
    const [rows] = await tx.query<[{ userId: string; isGood: boolean }[], number]>(
      'DELETE FROM link WHERE hash = $1 AND kind = $2 RETURNING "userId", "expiresAt" > now() AS "isGood"',
      [hashOf(token), kind],
    );
    if (!rows[0]?.isGood) throw expired();
    return rows[0].userId;
  }

  /** Let no link of that user work any more; with `kind`, none of that kind. */
  async revoke(tx: EntityManager, userId: string, kind?: LinkKind): Promise<void> {
    await tx.query('DELETE FROM link WHERE "userId" = $1 AND kind = coalesce($2, kind)', [userId, kind ?? null]);
  }

  /** Whether one was made for that user within so many seconds. */
  async isRecent(kind: LinkKind, userId: string, seconds: number): Promise<boolean> {
    const found = await this.storage.query(
      'SELECT 1 FROM link WHERE "userId" = $1 AND kind = $2 AND "madeAt" > now() - make_interval(secs => $3) LIMIT 1',
      [userId, kind, seconds],
    );
    return found.length > 0;
  }

  /** Throw away what is too old to work. */
  async clear(): Promise<void> {
    await this.storage.query('DELETE FROM link WHERE "expiresAt" < now()');
  }
}
