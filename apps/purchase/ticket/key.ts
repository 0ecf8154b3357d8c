import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { environment } from '#config';

/** A key that tickets are signed by. */
export interface TicketKey {
  /** Its thumbprint, the same wherever it is computed. @source RFC 7638 */
  kid: string;
  privateKey: KeyObject;
  /** What a door needs to know of it. @source RFC 8037 §2 */
  publicJwk: JWK;
}

/** The key of now, and, while its tickets are still about, the one before. */
const NAMES = ['TICKET_KEY', 'TICKET_KEY_BEFORE'] as const;
const SEED_BYTES = 32;
/** What stands before the seed in the private key's ASN.1. @source RFC 8410 §7 */
const BEFORE_SEED = Buffer.from('302e020100300506032b657004220420', 'hex');

async function keyOf(name: string, secret: string): Promise<TicketKey> {
  const seed = Buffer.from(secret, 'base64url');
  if (seed.length !== SEED_BYTES) throw new Error(`the secret ${name} must be ${SEED_BYTES} bytes in base64url`);
  const privateKey = createPrivateKey({ key: Buffer.concat([BEFORE_SEED, seed]), format: 'der', type: 'pkcs8' });
  const { kty, crv, x } = createPublicKey(privateKey).export({ format: 'jwk' });
  const bare = { kty, crv, x } as JWK;
  const kid = await calculateJwkThumbprint(bare);
  return { kid, privateKey, publicJwk: { ...bare, kid, alg: 'EdDSA', use: 'sig' } };
}

/** The keys as their secrets are now, the one to sign by first. @throws Error when there is none, or one that is no seed of 32 bytes */
export async function ticketKeys(): Promise<[TicketKey, ...TicketKey[]]> {
  const { secret } = environment();
  const given = NAMES.map((name) => ({ name, text: secret(name) })).filter(({ text }) => text !== undefined);
  const [current, ...before] = await Promise.all(given.map(({ name, text }) => keyOf(name, text!)));
  if (!current || given[0]!.name !== NAMES[0]) throw new Error(`the secret ${NAMES[0]} is missing: no ticket can be signed`);
  return [current, ...before];
}
