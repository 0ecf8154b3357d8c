import { createPublicKey } from 'node:crypto';
import { Injectable, type Provider } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import type { Caller } from '#context';
import type { Environment } from '#config';

/** Whose tokens are accepted, and how they are verified. */
export interface TokenIssuer {
  issuer: string;
  audience: string;
  algorithms: ('RS256' | 'ES256')[];
  /** PEM of the public key. */
  publicKey: string;
}

interface Claims {
  sub?: unknown;
  roles?: unknown;
  client_id?: unknown;
}

interface CompleteToken {
  header: { typ?: string };
  payload: Claims;
}

/** Clocks of two hosts differ; more than this is a fault of theirs, seconds. */
const CLOCK_TOLERANCE_SECONDS = 30;

/**
 * Who a verified token speaks for. A token of another kind (an id token, say) is not an access token, whoever signed it.
 *
 * @returns undefined when it is no access token of ours
 * @source RFC 9068 §2.1, §4
 */
function callerOf({ header, payload }: CompleteToken): Caller | undefined {
  const { sub, roles, client_id: client } = payload;
  if (header.typ?.toLowerCase().replace(/^application\//, '') !== 'at+jwt' || typeof sub !== 'string') return undefined;
  const strings = Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : [];
  return { id: sub, roles: strings, ...(typeof client === 'string' ? { client } : {}) };
}

/** The passport-jwt strategy under `name`. */
export function jwtStrategy(name: string, { issuer, audience, algorithms, publicKey }: TokenIssuer): Provider {
  @Injectable()
  class AccessToken extends PassportStrategy(Strategy, name) {
    constructor() {
      super({
        jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
        secretOrKey: publicKey,
        issuer,
        audience,
        algorithms,
        // The complete token, since its header's `typ` tells an access token from others of the same issuer.
        jsonWebTokenOptions: { complete: true, clockTolerance: CLOCK_TOLERANCE_SECONDS },
      });
    }

    validate(token: CompleteToken): Caller | false {
      return callerOf(token) ?? false;
    }
  }
  return AccessToken;
}

/**
 * The issuer of development tokens. Only the dev profile on the embedded PostgreSQL has one: whoever could read the launcher's
 * file could read that database too, so it opens nothing that was closed.
 */
export function developmentIssuer({ profile, databaseIsEmbedded, runtime }: Environment): TokenIssuer | undefined {
  if (profile !== 'dev' || !databaseIsEmbedded || !runtime?.devToken) return undefined;
  const key = createPublicKey({ key: runtime.devToken.publicJwk, format: 'jwk' });
  return {
    issuer: 'urn:cinemanzana:dev',
    audience: 'cinemanzana',
    algorithms: ['ES256'],
    publicKey: key.export({ type: 'spki', format: 'pem' }).toString(),
  };
}
