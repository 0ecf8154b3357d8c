import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { Records } from '../store/records.js';
import type { Revocations } from '../store/revocations.js';
import { mayIntrospect, mayRevoke, NOT_YOURS } from './configuration.js';
import { AUDIENCE } from './tokens.js';

/**
 * Introspection and revocation of JWT access tokens. The library authenticates the client, reads its form, and then refuses any JWT;
 * here its refusal is turned into an answer, so that who may ask is decided in one place.
 */
export class StructuredTokens {
  private readonly refused = new WeakSet<KoaContextWithOIDC>();

  constructor(
    private readonly records: Records,
    private readonly revocations: Revocations,
  ) {}

  /** The library refused this request. */
  note(ctx: KoaContextWithOIDC, error: unknown): void {
    if (error instanceof errors.UnsupportedTokenType && ctx.oidc.client) this.refused.add(ctx);
  }

  /** Answer it after all. */
  async answer(ctx: KoaContextWithOIDC): Promise<void> {
    if (!this.refused.has(ctx)) return;
    ctx.status = 200;
    if (ctx.oidc.route === 'introspection') ctx.body = await this.introspect(ctx);
    else await this.revoke(ctx);
  }

  /** @source RFC 7662 §2.2 */
  private async introspect({ oidc }: KoaContextWithOIDC): Promise<object> {
    const token = await find(oidc);
    const client = oidc.client!;
    if (!token || !mayIntrospect(client, token.clientId)) return { active: false };
    const { accountId, grantId } = token as { accountId?: string; grantId?: string };
    if (grantId) {
      const grant = await oidc.provider.Grant.find(grantId);
      if (!grant || grant.clientId !== token.clientId || grant.accountId !== accountId) return { active: false };
    }
    const { jti, iat, exp, scope, clientId, extra, sessionUid: sid } = token as typeof token & { sessionUid?: string };
    const about = { sub: accountId ?? clientId, client_id: clientId, iss: oidc.provider.issuer, aud: AUDIENCE, jti, iat, exp };
    return { active: true, token_type: 'Bearer', ...about, ...(scope ? { scope } : {}), ...(sid ? { sid } : {}), ...extra };
  }

  /** End the grant that the token came of; a client's own token has none, and is ended itself. @source RFC 7009 §2.1, §2.2 */
  private async revoke(ctx: KoaContextWithOIDC): Promise<void> {
    ctx.body = '';
    const token = await find(ctx.oidc);
    if (!token) return;
    const may = mayRevoke(ctx.oidc.client!, token.clientId);
    if (may === 'never') {
      ctx.status = 400;
      ctx.body = { error: 'invalid_request', error_description: NOT_YOURS };
    }
    if (may !== 'yes') return;
    const { grantId } = token as { grantId?: string };
    if (grantId) await this.records.endGrant(grantId);
    else await this.revocations.add([`jti:${token.jti}`]);
  }
}

async function find({ provider, params }: KoaContextWithOIDC['oidc']) {
  const token = String(params?.token);
  return (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
}
