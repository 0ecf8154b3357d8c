import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { type Adapter, type AdapterPayload, errors } from 'oidc-provider';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { Storage } from '#storage';
import { Revocations } from './revocations.js';

/** What oidc-provider keeps: sessions, grants, codes, refresh tokens and sign-ins under way. */
@Entity('oidc_record')
@Index('oidc_record_grant', ['grantId'])
@Index('oidc_record_uid', ['uid'])
@Index('oidc_record_account', ['accountId'])
@Index('oidc_record_expiry', ['expiresAt'])
export class OidcRecord {
  @PrimaryColumn('varchar') model: string;
  /** Of what is a secret by itself (a refresh token, a code, a session's cookie) only the hash is kept. */
  @PrimaryColumn('varchar') id: string;
  @Column('jsonb') payload: object;
  @Column('varchar', { name: 'grant_id', nullable: true }) grantId: string | null;
  @Column('varchar', { nullable: true }) uid: string | null;
  @Column('varchar', { name: 'user_code', nullable: true }) userCode: string | null;
  @Column('varchar', { name: 'account_id', nullable: true }) accountId: string | null;
  @Column('timestamptz', { name: 'created_at', default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz', { name: 'expires_at', nullable: true }) expiresAt: Date | null;
  @Column('timestamptz', { name: 'consumed_at', nullable: true }) consumedAt: Date | null;
}

/** Models whose ids open something to whoever holds them. */
const BEARERS: ReadonlySet<string> = new Set(['RefreshToken', 'AuthorizationCode', 'Session', 'Interaction']);

const hash = (id: string) => createHash('sha256').update(id).digest('base64url');

type Found = { payload: AdapterPayload; consumed: number | null };

/** oidc-provider's adapter over one table, so that any number of instances serve the same sessions. */
@Injectable()
export class Records {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Revocations) private readonly revocations: Revocations,
  ) {}

  /** The adapter of one model. */
  adapter(model: string): Adapter {
    const key = (id: string) => (BEARERS.has(model) ? hash(id) : id);
    return {
      upsert: (id, payload, expiresIn) => this.upsert(model, key(id), payload, expiresIn),
      find: async (id) => {
        const found = await this.one(`id = $2`, model, key(id));
        return found && { ...found, jti: id };
      },
      findByUid: (uid) => this.one(`uid = $2`, model, uid),
      findByUserCode: (code) => this.one(`user_code = $2`, model, code),
      consume: (id) => this.consume(model, key(id)),
      destroy: async (id) => {
        await this.storage.query('DELETE FROM oidc_record WHERE model = $1 AND id = $2', [model, key(id)]);
      },
      revokeByGrantId: async (grantId) => {
        await this.storage.query('DELETE FROM oidc_record WHERE model = $1 AND grant_id = $2', [model, grantId]);
      },
    };
  }

  /** End a grant and all that came of it, and tell every verifier. */
  async endGrant(grantId: string): Promise<void> {
    await this.storage.transaction(async (tx) => {
      await tx.query(`DELETE FROM oidc_record WHERE grant_id = $1 OR (model = 'Grant' AND id = $1)`, [grantId]);
      await this.revocations.add([`gid:${grantId}`]);
    });
  }

  /**
   * End every session and grant of an account that began before `before`. A session begins at a full second, which a sign-in after
   * `before` sets past it.
   */
  async endAccount(accountId: string, before: Date): Promise<void> {
    await this.storage.transaction(async (tx) => {
      const second = Math.floor(before.getTime() / 1000);
      const ended = await this.storage.query<{ model: string; id: string; uid: string }>(
        `DELETE FROM oidc_record WHERE account_id = $1 AND CASE model
           WHEN 'Session' THEN (payload->>'loginTs')::bigint <= $2 WHEN 'Grant' THEN created_at < $3 ELSE false END
         RETURNING model, id, uid`,
        [accountId, second, before],
      );
      const grants = ended.filter(({ model }) => model === 'Grant').map(({ id }) => id);
      await tx.query('DELETE FROM oidc_record WHERE grant_id = ANY($1)', [grants]);
      await this.revocations.add(ended.map(({ model, id, uid }) => (model === 'Grant' ? `gid:${id}` : `sid:${uid}`)));
    });
  }

  /** Remove what is over. */
  async clear(): Promise<void> {
    await this.storage.query('DELETE FROM oidc_record WHERE expires_at < now()');
  }

  private async one(where: string, model: string, value: string): Promise<AdapterPayload | undefined> {
    const [row] = await this.storage.query<Found>(
      `SELECT payload, extract(epoch FROM consumed_at)::bigint::int AS consumed FROM oidc_record
       WHERE model = $1 AND ${where} AND (expires_at IS NULL OR expires_at > now())`,
      [model, value],
    );
    return row && { ...row.payload, ...(row.consumed === null ? {} : { consumed: row.consumed }) };
  }

  private async upsert(model: string, id: string, { jti, ...payload }: AdapterPayload, expiresIn?: number) {
    const kept = BEARERS.has(model) ? withoutCookie(payload) : { ...payload, jti };
    const { uid = null, userCode = null, accountId = null } = payload;
    // A sign-in under way names the grant it found, but goes on without it.
    const grantId = model === 'Interaction' ? null : (payload.grantId ?? null);
    await this.storage.query(
      `INSERT INTO oidc_record (model, id, payload, grant_id, uid, user_code, account_id, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))
       ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload, grant_id = excluded.grant_id, uid = excluded.uid,
         user_code = excluded.user_code, account_id = excluded.account_id, expires_at = excluded.expires_at`,
      [model, id, JSON.stringify(kept), grantId, uid, userCode, accountId, expiresIn ?? null],
    );
  }

  /** Use up what can be used once. Of two who try at once one comes too late, and that is a reuse like any other. */
  private async consume(model: string, id: string) {
    const rows = await this.storage.query<{ grantId: string | null; isFirst: boolean }>(
      `UPDATE oidc_record now SET consumed_at = coalesce(was.consumed_at, now()) FROM (
         SELECT consumed_at FROM oidc_record WHERE model = $1 AND id = $2 FOR UPDATE) was
       WHERE now.model = $1 AND now.id = $2 RETURNING now.grant_id AS "grantId", was.consumed_at IS NULL AS "isFirst"`,
      [model, id],
    );
    if (rows[0]?.isFirst) return;
    if (rows[0]?.grantId) await this.endGrant(rows[0].grantId);
    throw new errors.InvalidGrant('already used');
  }
}

/** A sign-in under way names the cookie of the session it began in; the session's own id says as much. */
function withoutCookie(payload: AdapterPayload): AdapterPayload {
  const { session } = payload;
  return session ? { ...payload, session: { ...session, cookie: '' } } : payload;
}
