import { createHash } from 'node:crypto';
import { Injectable, type Provider } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { decodeProtectedHeader, errors, jwtVerify, type KeyObject } from 'jose';
import { LRUCache } from 'lru-cache';
import { ExtractJwt, Strategy } from 'passport-jwt';
import type { Caller } from '#context';
import { Problem } from '#problem';
import { ALGORITHMS, type Keys } from './keys.js';
import { invalidToken } from './refusal.js';
import type { Revocations } from './revocations.js';

/** Whose tokens are accepted, and how they are verified. */
export interface TokenIssuer {
  issuer: string;
  audience: string;
  keys: Keys;
  revocations: Revocations;
}

interface Claims {
  sub?: unknown;
  roles?: unknown;
  client_id?: unknown;
  exp?: unknown;
  sid?: unknown;
  gid?: unknown;
  jti?: unknown;
}

/** Clocks of two hosts differ; more than this is a fault of theirs, seconds. */
const CLOCK_TOLERANCE_SECONDS = 30;
/** A token of another kind (an id token, say) is not an access token, whoever signed it. */
const TYPE = 'at+jwt';

const isText = (value: unknown): value is string => typeof value === 'string';

/** Who a verified token speaks for. @source RFC 9068 §2.2 */
function callerOf({ sub, roles, client_id: client, sid }: Claims): Caller {
  if (!isText(sub)) throw invalidToken('it names nobody');
  return {
    id: sub,
    roles: Array.isArray(roles) ? roles.filter(isText) : [],
    ...(isText(client) ? { client } : {}),
    ...(isText(sid) ? { sessionId: sid } : {}),
  };
}

/** Under which names a token may have been revoked. */
const namesOf = ({ sid, gid, jti }: Claims): string[] =>
  Object.entries({ sid, gid, jti }).flatMap(([kind, id]) => (isText(id) ? [`${kind}:${id}`] : []));

const revoked = () => invalidToken('its session is over');

interface CompleteToken {
  header: { typ?: string };
  payload: Claims;
}

const typeOf = ({ typ }: CompleteToken['header']) => typ?.toLowerCase().replace(/^application\//, '');

/** The passport-jwt strategy under `name`. */
export function jwtStrategy(name: string, { issuer, audience, keys, revocations }: TokenIssuer): Provider {
  const provide = async (token: string): Promise<KeyObject> => {
    const { kid, alg } = headerOf(token);
    const key = await keys.find(kid, alg);
    if (!key) throw invalidToken('its key is not one of the issuer’s');
    return key;
  };

  @Injectable()
  class AccessToken extends PassportStrategy(Strategy, name) {
    constructor() {
      super({
        jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
        secretOrKeyProvider: (_request, token: string, done) => {
          provide(token).then(
            (key) => done(null, key as unknown as Buffer),
            (error: unknown) => done(error),
          );
        },
        issuer,
        audience,
        algorithms: [...ALGORITHMS],
        // The complete token, since its header's `typ` tells an access token from others of the same issuer.
        jsonWebTokenOptions: { complete: true, clockTolerance: CLOCK_TOLERANCE_SECONDS },
      });
    }

    async validate({ header, payload }: CompleteToken): Promise<Caller> {
      if (typeOf(header) !== TYPE) throw invalidToken('it is no access token');
      if (typeof payload.exp !== 'number') throw invalidToken('it never expires');
      const caller = callerOf(payload);
      if (await revocations.has(namesOf(payload))) throw revoked();
      return caller;
    }
  }
  return AccessToken;
}

function headerOf(token: string) {
  try {
    return decodeProtectedHeader(token);
  } catch {
    throw invalidToken('it is malformed');
  }
}

interface Verified {
  caller: Caller;
  names: string[];
  expiresAtMs: number;
}

/**
 * Verifies tokens outside of Nest, each once: what was found is kept under the token's hash, within a bound, never past its
 * expiry, and asked anew whether it was revoked each time.
 */
export class Verifier {
  private readonly cache: LRUCache<string, Verified>;

  /** @param entries  how many tokens are remembered; @param now  ms since the epoch */
  constructor(
    private readonly issuer: TokenIssuer,
    entries: number,
    private readonly now: () => number = Date.now,
  ) {
    // With `max` it would take the room of all entries at once, in every process.
    this.cache = new LRUCache({ maxSize: entries, sizeCalculation: () => 1 });
  }

  /** How many tokens are remembered. */
  get size(): number {
    return this.cache.size;
  }

  /** Who a token speaks for. @throws Problem `unauthenticated` (401), `issuer-unavailable` (503) */
  async verify(token: string): Promise<Caller> {
    const hash = createHash('sha256').update(token).digest('base64');
    const kept = this.cache.get(hash);
    const isFresh = kept !== undefined && kept.expiresAtMs > this.now();
    const { caller, names } = isFresh ? kept : await this.examine(token, hash);
    if (await this.issuer.revocations.has(names)) {
      this.cache.delete(hash);
      throw revoked();
    }
    return caller;
  }

  private async examine(token: string, hash: string): Promise<Verified> {
    const { issuer, audience, keys } = this.issuer;
    try {
      const find = async ({ kid, alg }: { kid?: string; alg?: string }) => {
        const key = await keys.find(kid, alg);
        if (!key) throw invalidToken('its key is not one of the issuer’s');
        return key;
      };
      const rules = { issuer, audience, algorithms: [...ALGORITHMS], typ: TYPE, clockTolerance: CLOCK_TOLERANCE_SECONDS };
      const { payload } = await jwtVerify<Claims>(token, find, { ...rules, requiredClaims: ['exp', 'sub'] });
      const verified = { caller: callerOf(payload), names: namesOf(payload), expiresAtMs: Number(payload.exp) * 1000 };
      this.cache.set(hash, verified);
      return verified;
    } catch (error) {
      this.cache.delete(hash);
      if (error instanceof Problem) throw error;
      throw invalidToken(error instanceof errors.JWTExpired ? 'it has expired' : 'it is not valid');
    }
  }
}
