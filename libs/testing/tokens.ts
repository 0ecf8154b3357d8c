import { KeyObject } from 'node:crypto';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import type { TokenIssuer } from '#auth';
import { Problem } from '#problem';

/** How a token differs from a good one. */
type Over = Partial<{
  key: CryptoKey | Uint8Array;
  typ: string;
  alg: string;
  kid: string;
  iss: string;
  aud: string;
  /** null: for ever */ exp: number | null;
}>;

/** An issuer whose tokens can be made at will. */
export interface Forger {
  issuer: TokenIssuer;
  /** PEM of the public key. */
  publicPem: string;
  revoked: Set<string>;
  /** Nobody answers for keys. */
  isAway: boolean;
  /** How often a key was asked for. */
  asked(): number;
  token(claims?: object, over?: Over & { header?: object }): Promise<string>;
}

const URN = 'urn:cinemanzana:test';

/** Make an issuer with one key, `k1`. */
export async function forger(): Promise<Forger> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const key = KeyObject.from(publicKey);
  let asked = 0;
  const find = (kid: unknown, alg: unknown) => {
    asked++;
    if (made.isAway) return Promise.reject(new Problem('issuer-unavailable', 503, 'away', {}, { 'Retry-After': '1' }));
    return Promise.resolve(kid === 'k1' && alg === 'ES256' ? key : undefined);
  };
  const made: Forger = {
    issuer: {
      issuer: URN,
      audience: 'cinemanzana',
      keys: { find },
      revocations: { has: (ids) => Promise.resolve(ids.some((id) => made.revoked.has(id))) },
    },
    publicPem: await exportSPKI(publicKey),
    revoked: new Set(),
    isAway: false,
    asked: () => asked,
    token: (claims = {}, over = {}) => {
      const jwt = new SignJWT({ roles: ['manager'], client_id: 'web', sid: 's1', sub: 'u1', ...claims })
        .setProtectedHeader({ alg: over.alg ?? 'ES256', typ: over.typ ?? 'at+jwt', kid: over.kid ?? 'k1', ...over.header })
        .setIssuer(over.iss ?? URN)
        .setAudience(over.aud ?? 'cinemanzana')
        .setIssuedAt();
      if (over.exp !== null) jwt.setExpirationTime(over.exp ?? '5m');
      return jwt.sign(over.key ?? privateKey);
    },
  };
  return made;
}

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const otherKey = async () => (await generateKeyPair('ES256', { extractable: true })).privateKey;

/** Tokens that neither a service nor the gateway may accept, each with how it is made. */
export const FORGERIES: readonly [string, (forger: Forger) => Promise<string>][] = [
  ['signed by another key', async ({ token }) => token({}, { key: await otherKey() })],
  ['of another issuer', ({ token }) => token({}, { iss: 'urn:else' })],
  ['for another audience', ({ token }) => token({}, { aud: 'else' })],
  ['expired beyond the tolerance', ({ token }) => token({}, { exp: Math.floor(Date.now() / 1000) - 31 })],
  ['of another kind', ({ token }) => token({}, { typ: 'JWT' })],
  ['signed with the public key as a secret', ({ token, publicPem }) => token({}, { alg: 'HS256', key: Buffer.from(publicPem) })],
  [
    'without a signature, algorithm none',
    ({ issuer: { issuer, audience } }) =>
      Promise.resolve(new UnsecuredJWT({ sub: 'u1', roles: ['manager'] }).setIssuer(issuer).setAudience(audience).encode()),
  ],
  ['whose signature was cut off', async ({ token }) => (await token()).replace(/[^.]+$/, '')],
  [
    'with claims changed after signing',
    async ({ token }) => {
      const [head, body, signature] = (await token()).split('.') as [string, string, string];
      const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
      return [head, part({ ...claims, sub: 'u2' }), signature].join('.');
    },
  ],
  ['whose key id is a path', ({ token }) => token({}, { kid: '../../../../etc/passwd' })],
  ['whose key id is an address', ({ token }) => token({}, { kid: 'http://127.0.0.1:1/jwks' })],
  [
    'that brings its own key',
    async ({ token }) => {
      const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
      return token({}, { key: privateKey, header: { jwk: await exportJWK(publicKey) } });
    },
  ],
  [
    'that says where its key lies',
    async ({ token }) => token({}, { key: await otherKey(), kid: 'k2', header: { jku: 'http://127.0.0.1:1/jwks', x5u: 'http://127.0.0.1:1/x' } }), // prettier-ignore
  ],
  ['that never expires', ({ token }) => token({}, { exp: null })],
  ['that is no token', () => Promise.resolve('nonsense')],
  ['with a header that is no JSON', () => Promise.resolve('bm9wZQ.e30.AAAA')],
];
