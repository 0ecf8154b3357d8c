import { Injectable, type OnModuleInit } from '@nestjs/common';
import { createLocalJWKSet, errors, type JWK, jwtVerify, SignJWT } from 'jose';
import { v7 as uuidv7 } from 'uuid';
import { Problem } from '#problem';
import type { PurchaseState, Ticket } from '../purchase.events.js';
import { type TicketKey, ticketKeys } from './key.js';

/** What a code says that is ours. */
export interface TicketFacts {
  ticket: string;
  purchase: string;
  screening: string;
  cinema: string;
  seat: string;
}

const ALG = 'EdDSA';
/** Says that it is a ticket and nothing else that is signed anywhere. */
const TYP = 'ticket';
const AUDIENCE = 'door';
/** For a door whose clock is wrong, and a film that ends late. */
const KEPT_MS = 24 * 3_600_000;

const secondsOf = (ms: number) => Math.floor(ms / 1000);

/** Tickets: signed for a paid purchase, and read at the door. Whoever has the public key can read them without asking. */
@Injectable()
export class Tickets implements OnModuleInit {
  private keys: readonly [TicketKey, ...TicketKey[]];
  private known: ReturnType<typeof createLocalJWKSet>;

  async onModuleInit(): Promise<void> {
    this.keys = await ticketKeys();
    this.known = createLocalJWKSet({ keys: this.publicKeys() });
  }

  /** One for each line of the purchase, in their order. */
  issue({ id: purchase, cinema, screening, lines, show }: PurchaseState & { id: string }): Promise<Ticket[]> {
    const [{ kid, privateKey }] = this.keys;
    const about = { pur: purchase, scr: screening, cin: cinema };
    return Promise.all(
      lines.map(async ({ seat }) => {
        const id = uuidv7();
        const code = await new SignJWT({ ...about, seat })
          .setProtectedHeader({ alg: ALG, typ: TYP, kid })
          .setJti(id)
          .setAudience(AUDIENCE)
          .setIssuedAt()
          .setExpirationTime(secondsOf(Date.parse(show.endAt) + KEPT_MS))
          .sign(privateKey);
        return { id, seat, code };
      }),
    );
  }

  /**
   * What a code says, once its signature has been checked.
   *
   * @throws Problem `ticket-forged` (400) when we did not sign it as a ticket, `screening-over` (409) a day after its screening
   */
  async read(code: string): Promise<TicketFacts> {
    try {
      const options = { algorithms: [ALG], typ: TYP, audience: AUDIENCE, requiredClaims: ['jti', 'exp'] };
      const { payload } = await jwtVerify(code, this.known, options);
      return factsOf(payload);
    } catch (error) {
      if (error instanceof errors.JWTExpired)
        throw new Problem('screening-over', 409, 'the screening of this ticket is long over');
      if (!(error instanceof errors.JOSEError)) throw error;
      throw new Problem('ticket-forged', 400, 'this is no ticket of ours');
    }
  }

  /** The public halves of the keys, for doors that check without asking. */
  publicKeys(): JWK[] {
    return this.keys.map(({ publicJwk }) => publicJwk);
  }
}

/** What is signed by our key and of our type was written by `issue`. */
const factsOf = (payload: Readonly<Record<string, unknown>>): TicketFacts => {
  const { jti, pur, scr, cin, seat } = payload as Record<string, string>;
  return { ticket: jti!, purchase: pur!, screening: scr!, cinema: cin!, seat: seat! };
};
