import type { JSONWebKeySet } from 'jose';
import type { Client } from '#client';
import { runWithout } from '#context';
import type { AuthConfig } from './auth-section.js';
import { KeySet } from './keys.js';
import { RevocationFeed, type Revoked } from './revocations.js';
import type { TokenIssuer } from './token.js';

/** Beyond the time the issuer holds an answer back, ms: for the way there and back. */
const FEED_SPARE_MS = 2000;

/**
 * The mesh's own issuer, the service `oauth`: its keys and its revocations are asked for by name through discovery, from the first
 * token on.
 *
 * @param publicUrl  what the outside calls the gateway
 * @returns the issuer, and how to stop following it
 */
export function meshIssuer(publicUrl: string, client: Pick<Client, 'call'>, config: AuthConfig): TokenIssuer & { close(): void } {
  const get = async <T>(path: string, query: Record<string, number> = {}, timeoutMs = config.firstWordMs): Promise<T> => {
    const { body } = await client.call<T>('oauth', { method: 'GET', path, query, timeoutMs, isAnonymous: true });
    return body;
  };
  // Keys are everybody's: the request that happens to ask first has no say in how long that may take.
  const keys = new KeySet(() => runWithout(() => get<JSONWebKeySet>('/oauth/jwks')), config);
  const revocations = new RevocationFeed((after, waitSeconds) => {
    const timeoutMs = waitSeconds * 1000 + FEED_SPARE_MS;
    return get<Revoked>('/internal/revocations', { after, waitSeconds }, timeoutMs);
  }, config);
  return { issuer: `${publicUrl}/oauth`, audience: 'cinemanzana', keys, revocations, close: () => revocations.close() };
}
