import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { emit } from '#outbox';
import { type Answer, Rows } from '#resource';
import { Storage } from '#storage';
import type { PurchaseState } from '../purchase/purchase.events.js';
import type { UserState } from '../user/user.events.js';
import { CustomerConfig } from './customer-section.js';
import { ConsentsInput, Customer, CustomerConsent, CustomerPoints } from './customer.row.js';
import type { Consents, ConsentState } from './customer.events.js';

/** Something another resource told: whose it is, in which version. */
interface Told<T> {
  key: string;
  version: number;
  body: T;
}

const CONSENTS: readonly (keyof Consents)[] = ['newsletter', 'profiling'];
/** What an account and its customer both have. */
const COPIED = ['name', 'language'] as const;

/** What becomes of customers by what others tell of them. Who is nothing of it: this asks nobody. */
@Injectable()
export class Customers {
  private readonly rows: Rows<Customer>;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(CustomerConfig) private readonly config: CustomerConfig,
  ) {
    this.rows = new Rows(Customer, 'customer', storage);
  }

  /** Until the end of the transaction, let nobody else touch what there is of a customer: also of one whose row is still to come. */
  async alone(tx: EntityManager, customer: string): Promise<void> {
    await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('customer:' || lower($1), 0))`, [customer]);
  }

  /** Make a customer of a user, or copy what the account says and the customer did not set. */
  follow({ key, version, body }: Told<UserState>): Promise<void> {
    return this.storage.transaction(async (tx) => {
      await this.alone(tx, key);
      const known = await tx.findOneBy(Customer, { id: key });
      if (!known) return body.roles.includes('customer') ? this.make(tx, { key, version, body }) : undefined;
      if (known.erased || known.userVersion >= version) return;
      const copied = COPIED.filter((name) => !known.own.includes(name));
      const change = Object.fromEntries(copied.map((name) => [name, body[name] ?? null]));
      const isNews = copied.some((name) => (known[name] ?? null) !== change[name]);
      if (isNews) await this.rows.write('changed', Object.assign(known, change, { userVersion: version }));
      else await tx.update(Customer, { id: key }, { userVersion: version });
    });
  }

  /** Leave nothing personal of a customer: points and consents go, the row stays, so that nothing that comes late makes it anew. */
  erase({ key, version }: Told<UserState>): Promise<void> {
    return this.storage.transaction(async (tx) => {
      await this.alone(tx, key);
      const known = await tx.findOneBy(Customer, { id: key });
      if (known?.erased) return;
      const nothing = { name: null, phone: null, language: null, consents: {}, points: 0, own: [] };
      const gone = { ...nothing, erased: true, userVersion: version };
      await tx.delete(CustomerPoints, { customer: key });
      const [consents] = await tx.query<[{ id: string }[], number]>(
        'DELETE FROM customer_consent WHERE customer = $1 RETURNING id',
        [key],
      );
      // Nobody was told of who never was a customer.
      if (!known) return void (await tx.insert(Customer, Object.assign<Customer, object>(new Customer(), { ...gone, id: key })));
      await this.rows.erase(Object.assign<Customer, object>(known, gone));
      await emit(tx, ...consents.map(({ id }) => ({ name: 'customer.consentForgotten', key: id, version: 2, body: { id } })));
    });
  }

  /** Give the points of a purchase, or take them back. Told twice or late, it changes nothing. */
  count({ key, version, body: { customer, state, lines } }: Told<PurchaseState>): Promise<void> {
    if (customer === undefined) return Promise.resolve();
    return this.storage.transaction(async (tx) => {
      await this.alone(tx, customer);
      const known = await tx.findOneBy(Customer, { id: customer });
      if (known?.erased) return;
      const points = state === 'paid' ? lines.length * this.config.pointsPerSeat : 0;
      // What was earned stays what it is while the purchase stays paid.
      await tx.query(
        `INSERT INTO customer_points AS p (purchase, customer, points, version) VALUES ($1, $2, $3, $4)
         ON CONFLICT (purchase) DO UPDATE SET version = excluded.version,
           points = CASE WHEN excluded.points > 0 AND p.points > 0 THEN p.points ELSE excluded.points END
         WHERE p.version < excluded.version`,
        [key, customer, points, version],
      );
      if (!known) return; // they are counted once it comes to be
      const total = await this.total(tx, customer);
      if (total !== known.points) await this.rows.write('changed', Object.assign(known, { points: total }));
    });
  }

  /** Keep what a customer says about themselves, each change of a consent with its date; `alone` has been asked for. */
  async say(tx: EntityManager, customer: Customer, said: Partial<Customer>): Promise<Answer<Customer>> {
    const was = customer.consents;
    const own = new Set([...customer.own, ...COPIED.filter((name) => Object.hasOwn(said, name))]);
    const { newsletter, profiling } = said.consents ?? was;
    const next = Object.assign(
      new ConsentsInput(),
      newsletter == null ? {} : { newsletter },
      profiling == null ? {} : { profiling },
    );
    const answer = await this.rows.write('changed', Object.assign(customer, said, { consents: next, own: [...own] }));
    await this.date(tx, customer.id, was, next);
    return answer;
  }

  private async make(tx: EntityManager, { key: id, version: userVersion, body }: Told<UserState>): Promise<void> {
    const points = await this.total(tx, id);
    const { name, language, phone } = body;
    const made = { id, name, language, phone, points, consents: new ConsentsInput(), own: [], userVersion };
    await this.rows.write('created', Object.assign(new Customer(), made));
  }

  private async date(tx: EntityManager, customer: string, was: Consents, is: Consents): Promise<void> {
    const at = new Date();
    const changed = CONSENTS.filter((consent) => was[consent] !== is[consent]);
    const made = changed.map((consent) => ({ id: uuidv7(), customer, consent, given: is[consent] === true, at }));
    await tx.insert(CustomerConsent, made);
    const body = (each: (typeof made)[number]): ConsentState => ({
      ...{ customer, consent: each.consent, given: each.given, at: at.toISOString() },
    });
    await emit(tx, ...made.map((each) => ({ name: 'customer.consented', key: each.id, version: 1, body: body(each) })));
  }

  private async total(tx: EntityManager, customer: string): Promise<number> {
    const [sum] = await tx.query<[{ points: number }]>(
      'SELECT coalesce(sum(points), 0)::int AS points FROM customer_points WHERE customer = $1',
      [customer],
    );
    return sum.points;
  }
}
