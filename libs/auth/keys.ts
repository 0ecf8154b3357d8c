import { createPublicKey, type KeyObject } from 'node:crypto';
import type { JSONWebKeySet, JWK } from 'jose';
import { Problem } from '#problem';
import type { AuthConfig } from './auth-section.js';

/** Algorithms that tokens may be signed with, whatever their header says. */
export const ALGORITHMS = ['ES256', 'RS256'] as const;

/** Where keys to verify tokens with come from. */
export interface Keys {
  /** The key of that id for that algorithm. @throws Problem `issuer-unavailable` (503) while no keys are known */
  find(kid: unknown, alg: unknown): Promise<KeyObject | undefined>;
}

const idOf = (kid: unknown, alg: unknown) => `${String(alg)} ${String(kid)}`;

function read({ keys }: JSONWebKeySet): Map<string, KeyObject> {
  const signing = keys.filter(({ use = 'sig', kid }: JWK) => use === 'sig' && kid !== undefined);
  return new Map(
    signing.flatMap((jwk) => {
      const alg = jwk.alg ?? (jwk.kty === 'EC' ? 'ES256' : 'RS256');
      if (!ALGORITHMS.some((known) => known === alg)) return [];
      return [[idOf(jwk.kid, alg), createPublicKey({ key: jwk, format: 'jwk' })]];
    }),
  );
}

/**
 * The issuer's keys, fetched when first needed and when a token names one that is not known, but never more often than
 * `keysMinAgeMs` however many such tokens arrive. An issuer must publish a key for longer than that before it signs with it.
 */
export class KeySet implements Keys {
  private known = new Map<string, KeyObject>();
  private fetchedAtMs = -Infinity;
  private triedAtMs = -Infinity;
  private fetching?: Promise<void>;

  /** @param fetch  gets the published set; @param now  a clock that never runs backwards, ms */
  constructor(
    private readonly fetch: () => Promise<JSONWebKeySet>,
    private readonly config: Pick<AuthConfig, 'keysMinAgeMs' | 'keysMaxAgeMs' | 'retryMs'>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  async find(kid: unknown, alg: unknown): Promise<KeyObject | undefined> {
    const id = idOf(kid, alg);
    const ageMs = this.now() - this.fetchedAtMs;
    if (!this.known.has(id)) await this.refresh();
    else if (ageMs > this.config.keysMaxAgeMs) void this.refresh(); // a key that was withdrawn goes with the next answer
    return this.known.get(id);
  }

  /** Fetch, unless that was done just now. @throws Problem `issuer-unavailable` (503) when there are no keys after it */
  private async refresh(): Promise<void> {
    const pauseMs = this.fetchedAtMs === -Infinity ? this.config.retryMs : this.config.keysMinAgeMs;
    if (!this.fetching && this.now() - this.triedAtMs >= pauseMs) {
      this.triedAtMs = this.now();
      this.fetching = this.fetch()
        .then((set) => {
          this.known = read(set);
          this.fetchedAtMs = this.now();
        })
        .catch(() => undefined) // #client and its breaker said it; who asks is told below
        .finally(() => (this.fetching = undefined));
    }
    await this.fetching;
    if (this.fetchedAtMs === -Infinity) throw unavailable();
  }
}

/** 503: nobody can say yet whether a token is good. */
export const unavailable = (): Problem =>
  new Problem('issuer-unavailable', 503, 'the keys that tokens are verified with are not there yet', {}, { 'Retry-After': '1' });
