import { hkdfSync } from 'node:crypto';
import { compactDecrypt, CompactEncrypt, type JWK } from 'jose';

/** How private keys lie in the database. */
export interface Seal {
  close(jwk: JWK): Promise<string>;
  /** @throws Error when it was closed with another secret */
  open(text: string): Promise<JWK>;
}

/**
 * Private keys encrypted with a key that is derived from `secret`, so that a copy of the database signs nothing. Without a secret
 * they lie open; what was written so is read in any case, so that a secret may be given later.
 *
 * @source RFC 5869, RFC 7516
 */
export function sealedBy(secret: string | undefined): Seal {
  const key = secret === undefined ? undefined : new Uint8Array(hkdfSync('sha256', secret, '', 'cinemanzana signing keys', 32));
  return {
    close: (jwk) => {
      const text = JSON.stringify(jwk);
      if (!key) return Promise.resolve(text);
      return new CompactEncrypt(new TextEncoder().encode(text)).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' }).encrypt(key);
    },
    open: async (text) => {
      if (text.startsWith('{')) return JSON.parse(text) as JWK;
      const wrong = 'the signing keys in the database were written with another OAUTH_KEY_SECRET than this process has';
      if (!key) throw new Error(wrong);
      const { plaintext } = await compactDecrypt(text, key).catch((cause: unknown) => {
        throw new Error(wrong, { cause });
      });
      return JSON.parse(new TextDecoder().decode(plaintext)) as JWK;
    },
  };
}
