import { createLocalJWKSet, errors, type JWK, jwtVerify } from 'jose';
import type { AdapterPayload } from 'oidc-provider';
import type { Keys } from '../keys/keys.js';
import type { Revocations } from '../store/revocations.js';

export const AUDIENCE = 'cinemanzana';
export const RESOURCE = 'urn:cinemanzana:api';
export const ALGORITHM = 'ES256';

/** The public half of a key. */
const publicHalf = ({ kty, crv, x, y, kid, alg, use }: JWK): JWK => ({ kty, crv, x, y, kid, alg, use });

/** Ids under which an access token may be revoked. */
const idsOf = (claims: Record<string, unknown>): string[] =>
  ['sid', 'gid', 'jti'].flatMap((name) => (typeof claims[name] === 'string' ? [`${name}:${claims[name]}`] : []));

/** Reads our own access tokens (RFC 9068) back, for the parts of oidc-provider that know only tokens it has stored. */
export class AccessTokens {
  constructor(
    private readonly issuer: string,
    private readonly keys: Keys,
    private readonly revocations: Revocations,
  ) {}

  /**
   * What oidc-provider would have stored of a token.
   *
   * @param model  `AccessToken` of users, `ClientCredentials` of clients themselves
   * @returns undefined when it is not ours, expired, revoked, or of the other model
   */
  async find(model: string, token: string): Promise<AdapterPayload | undefined> {
    const claims = await this.verified(token);
    if (!claims || (claims.gid === undefined) !== (model === 'ClientCredentials')) return undefined;
    if (await this.revocations.has(idsOf(claims))) return undefined;
    const { jti, sub, iat, exp, scope, client_id: clientId, gid: grantId, sid: sessionUid, roles } = claims;
    const ofUser = { accountId: sub, grantId, ...(sessionUid ? { sessionUid, expiresWithSession: true } : {}) };
    return {
      ...{ kind: model, jti, iat, exp, scope: scope ?? '', clientId, extra: { roles } },
      ...(model === 'AccessToken' ? ofUser : {}),
    } as unknown as AdapterPayload;
  }

  private async verified(token: string): Promise<Record<string, unknown> | undefined> {
    if (token.split('.').length !== 3) return undefined;
    try {
      const keys = createLocalJWKSet({ keys: this.keys.all().map(publicHalf) });
      const expected = { issuer: this.issuer, audience: AUDIENCE, typ: 'at+jwt', algorithms: [ALGORITHM] };
      return (await jwtVerify(token, keys, expected)).payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }
}
