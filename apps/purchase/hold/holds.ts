import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { context, remainingMs } from '#context';
import { invalidInput, Problem } from '#problem';
import { type Asked, inFlight, keyReused, ResourceConfig } from '#resource';
import { Storage } from '#storage';
import type { Line } from '../purchase.events.js';
import { PurchaseConfig } from '../purchase-section.js';
import { Purchase, type PurchaseAnswer } from '../purchase.row.js';
import { isOnSale, totalsOf } from '../purchase.rules.js';
import { Claims } from './claims.js';
import { AccessKeys } from './keys.js';
import { best, type Choice, chosen, countOf, priced } from './order.js';
import { type OnSale, Programme } from './programme.js';
import { holdIn, type HoldOutcome, type HoldRequest } from './statement.js';
import { Till } from './till.js';

/** For whom seats are taken, and what they may. */
export interface Buyer {
  customer?: string;
  /** A guest's, or what the box office was told. */
  email?: string;
  /** The hash of the key that a guest has already; a new one's key is made from the purchase. */
  accessKeyHash?: string;
  /** Neither a customer's nor sold at the box office. */
  isGuest: boolean;
  /** The member of staff who sells. */
  soldBy?: string;
  /** May have house seats. */
  isStaff: boolean;
  /** The user who does it. */
  by?: string;
  /** True when what they hold is not counted: at the box office, and when they give back as they take. */
  isUncounted?: boolean;
}

/** A purchase as it is held, or as it was when the same request came first. */
export interface Held {
  answer: PurchaseAnswer;
  isRepeated: boolean;
}

/** The purchase as it will be, and what is asked for it. */
export interface Draft {
  request: HoldRequest;
  /** What a guest is told, if it is a new key. */
  accessKey?: string;
}

type Way = (request: HoldRequest) => Promise<HoldOutcome>;

/** Holds seats for those who will pay for them. */
@Injectable()
export class Holds {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Programme) private readonly programme: Programme,
    @Inject(Claims) private readonly claims: Claims,
    @Inject(AccessKeys) private readonly keys: AccessKeys,
    @Inject(Till) private readonly till: Till,
    @Inject(PurchaseConfig) private readonly config: PurchaseConfig,
    @Inject(ResourceConfig) private readonly resource: ResourceConfig,
  ) {}

  /**
   * Take the seats, in the queue of all who want some.
   *
   * @throws Problem of the choice (400, 409), `seat-taken`, `too-many-held`, `idempotency-in-flight` (409), `idempotency-key-reused` (422),
   *   `too-busy` (503)
   */
  take(choice: Choice, buyer: Buyer, asked: Asked): Promise<Held> {
    return this.hold(choice, buyer, (request) => this.till.hold(request), asked);
  }

  /** The same as a part of `tx`. @param asked  when the answer is to be kept with it */
  takeIn(tx: EntityManager, choice: Choice, buyer: Buyer, asked?: Asked): Promise<Held> {
    return this.hold(choice, buyer, (request) => holdIn(tx, request), asked);
  }

  /**
   * Take seats as a part of `tx` at prices that are no choice of the buyer.
   *
   * @throws Problem `seat-taken`, `stale` (409) when the screening is no longer that one
   */
  async takeLines(tx: EntityManager, onSale: OnSale, lines: Line[], buyer: Buyer): Promise<Held> {
    const draft = this.draft(onSale, lines, buyer);
    return this.held(draft, await holdIn(tx, draft.request), buyer);
  }

  private async hold(choice: Choice, buyer: Buyer, way: Way, asked?: Asked): Promise<Held> {
    const until = performance.now() + Math.min(this.resource.idempotencyWaitMs, remainingMs());
    for (let tries = 1; ; tries++) {
      let draft: Draft;
      try {
        draft = await this.prepare(choice, buyer, asked);
      } catch (error) {
        return this.repeated(error, buyer, asked);
      }
      // From here on it is the database that refuses, and it has looked for an earlier answer first.
      const result = await way(draft.request);
      const isLast = tries >= this.config.bestTries;
      if (result.outcome === 'in-flight' && performance.now() < until) await sleep(this.resource.idempotencyPollMs);
      else if (result.outcome === 'stale' && !isLast) this.programme.forget(choice.screening);
      else if (result.outcome !== 'taken' || isLast || (choice.seats && result.said)) return this.held(draft, result, buyer);
    }
  }

  private async prepare(choice: Choice, buyer: Buyer, asked?: Asked): Promise<Draft> {
    const onSale = await this.onSale(choice, countOf(choice));
    return this.draft(onSale, await this.lines(choice, onSale, buyer), buyer, asked);
  }

  /** @throws Problem `invalid-input` (400), `screening-cancelled`, `screening-over`, `too-many-seats` (409) */
  private async onSale({ screening: id }: Choice, count: number): Promise<OnSale> {
    const onSale = await this.programme.find(id);
    if (!onSale) throw invalidInput([{ pointer: '/screening', detail: 'there is no such screening' }]);
    this.checkOnSale(onSale);
    const most = onSale.screening.policy.seatsPerPurchase;
    if (count > most) throw new Problem('too-many-seats', 409, `one purchase has at most ${most} seats`, { most });
    return onSale;
  }

  /** @throws Problem `screening-cancelled`, `screening-over` (409) */
  checkOnSale({ screening: { startAt, cancelledAt } }: OnSale): void {
    if (cancelledAt !== undefined) throw new Problem('screening-cancelled', 409, 'this screening does not take place');
    if (!isOnSale({ nowMs: Date.now(), startAt }, this.config.saleAfterStartMinutes))
      throw new Problem('screening-over', 409, 'no more seats are sold for this screening', { startAt });
  }

  private async lines({ seats, best: wish }: Choice, onSale: OnSale, { isStaff }: Buyer): Promise<Line[]> {
    const wanted = seats ? chosen(seats, onSale, isStaff) : best(wish!, onSale, await this.claims.taken(onSale.id));
    return priced(wanted, onSale, seats === undefined);
  }

  private draft({ id: screening, version, screening: state }: OnSale, lines: Line[], buyer: Buyer, asked?: Asked): Draft {
    const id = randomUUIDv7();
    const { chain, cinema, tax, currency, policy, movie, title, cinemaName, city, auditoriumName } = state;
    const { startAt, endAt, timeZone, format, language } = state;
    const show = { movie, title, cinemaName, city, auditoriumName, startAt, endAt, timeZone, format, language };
    const { customer, soldBy, email, by, isUncounted = false } = buyer;
    const whose = { ...(customer === undefined ? {} : { customer }), ...(soldBy === undefined ? {} : { soldBy }) };
    const body = { chain, cinema, screening, ...whose, state: 'held', ...totalsOf(lines), currency, lines, tax, show };
    const accessKey = buyer.isGuest && buyer.accessKeyHash === undefined ? this.keys.of(id) : undefined;
    const request: HoldRequest = {
      ...{
        id,
        event: randomUUIDv7(),
        screening,
        screeningVersion: version,
        seats: lines.map(({ seat }) => seat),
        body,
        email,
        by,
      },
      ...{ overAt: endAt, holdSeconds: policy.holdSeconds, ...asked, keptSeconds: this.resource.idempotencyTtlSeconds },
      ...(isUncounted ? {} : { holder: customer ?? email?.toLowerCase(), mostHeld: policy.seatsHeldAtOnce }),
      accessKeyHash: accessKey === undefined ? (buyer.isGuest ? buyer.accessKeyHash : undefined) : this.keys.hash(accessKey),
      trace: context()?.traceId,
    };
    return { request, accessKey };
  }

  private held({ request, accessKey }: Draft, result: HoldOutcome, buyer: Buyer): Held {
    switch (result.outcome) {
      case 'held': {
        const { at, heldUntilAt } = result.said;
        const step = { at, what: 'held' as const, ...(request.by === undefined ? {} : { by: request.by }) };
        const answer = { id: request.id, version: 1, heldUntilAt, history: [step], ...request.body } as unknown as PurchaseAnswer;
        return { answer: accessKey === undefined ? answer : { ...answer, accessKey }, isRepeated: false };
      }
      case 'kept':
        return { answer: this.withKey(result.said.body as unknown as PurchaseAnswer, buyer), isRepeated: true };
      case 'reused':
        throw keyReused();
      case 'in-flight':
        throw inFlight();
      case 'stale':
        throw new Problem('stale', 409, 'the screening changes just now: try again');
      case 'too-many-held': {
        const most = request.mostHeld;
        const detail = `at most ${most} seats are held for one buyer; ${result.said} are, until they are paid or let go`;
        throw new Problem('too-many-held', 409, detail, { most, held: result.said });
      }
      case 'taken': {
        const taken = result.said ?? request.seats;
        throw new Problem('seat-taken', 409, `${taken.join(', ')} cannot be had any more`, { taken });
      }
    }
  }

  /** A guest who gets a new key is told it, each time the same. */
  private withKey(answer: PurchaseAnswer, { isGuest, accessKeyHash }: Buyer): PurchaseAnswer {
    return isGuest && accessKeyHash === undefined ? { ...answer, accessKey: this.keys.of(answer.id) } : answer;
  }

  /** What was answered before counts, though the same could not be done once more. */
  private async repeated(error: unknown, buyer: Buyer, asked?: Asked): Promise<Held> {
    if (!asked || !(error instanceof Problem) || error.status >= 500 || error.status === 422) throw error;
    const [kept] = await this.storage.query<{ isSame: boolean; body: PurchaseAnswer }>(
      'SELECT request = $3 AS "isSame", body FROM idempotency WHERE scope = $1 AND "keptAt" > now() - make_interval(secs => $2)',
      [asked.scope, this.resource.idempotencyTtlSeconds, asked.request],
    );
    if (!kept) throw error;
    if (!kept.isSame) throw keyReused();
    return { answer: this.withKey(kept.body, buyer), isRepeated: true };
  }
}

/** A held purchase as its row is. */
export const rowOf = (answer: PurchaseAnswer): Purchase => Object.assign(new Purchase(), answer);
