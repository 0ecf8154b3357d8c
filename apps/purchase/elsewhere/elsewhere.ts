import { Inject, Injectable } from '@nestjs/common';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsInt,
  IsISO8601,
  IsOptional,
  IsString,
  IsUUID,
  Length,
  Matches,
  Max,
  Min,
} from 'class-validator';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { currentCaller } from '#auth';
import { type InputError, invalidInput, Problem } from '#problem';
import { readInput, ShapeEach } from '#resource';
import { Staff } from '#staff';
import { Storage } from '#storage';
import { type Held, Holds, rowOf } from '../hold/holds.js';
import { chosen, priced } from '../hold/order.js';
import { type OnSale, Programme } from '../hold/programme.js';
import { Claims } from '../hold/claims.js';
import { Ledger } from '../ledger/ledger.js';
import type { Line } from '../purchase.events.js';
import { linesOfTotal } from '../purchase.rules.js';
import { Sales } from '../sales.js';
import { Tickets } from '../ticket/ticket.js';

/** As much as the columns of amounts hold. */
const MOST_MINOR = 2_000_000_000;
const MOST_SEATS = 100;

/** Seats that somebody else has sold, and has the money for. */
export class ElsewhereSale {
  @IsUUID() screening: string;

  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MOST_SEATS)
  @ArrayUnique()
  @IsString({ each: true })
  @Length(2, 20, { each: true })
  seats: string[];

  /** What the seller calls the sale: a second one of that name in the cinema is the same. */
  @IsString()
  @Length(1, 100)
  @Matches(/^[^\p{Cc}]*\S[^\p{Cc}]*$/u, { message: 'reference must not be blank, nor hold control characters' })
  reference: string;

  /** What was paid for all of them, tax included; without it what adults pay here. */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(MOST_MINOR)
  amountMinor?: number;

  /** Without it now. */
  @IsOptional()
  @Matches(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/, {
    message: 'soldAt must be an instant such as 2027-04-03T23:30:00Z',
  })
  @IsISO8601({ strict: true }, { message: 'soldAt must be an instant that exists' })
  soldAt?: string;
}

/** Many of them at once. */
export class ElsewhereBatch {
  @ShapeEach(ElsewhereSale)
  @IsArray()
  @ArrayMaxSize(100)
  sales: unknown[];

  /** Only say what would be refused. */
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;
}

/** What became of one of them. */
export type ElsewhereOutcome =
  | { status: 'created'; id: string }
  /** A sale of that reference is there already. */
  | { status: 'existed'; id: string }
  /** It would be created: this was a trial. */
  | { status: 'accepted' }
  /** As the problem says that it would be by itself. */
  | { status: 'refused'; type: string; detail: string; errors?: InputError[]; taken?: string[] };

const isProblem = (error: unknown): error is Problem => error instanceof Problem && error.status < 500;
const refused = (error: unknown): ElsewhereOutcome => {
  if (!isProblem(error)) throw error;
  return { status: 'refused', type: `/problems/${error.type}`, detail: error.detail, ...error.extra };
};

/** Brings in what others have sold of our seats: paid purchases with tickets, whose money lies elsewhere and whose receipts others gave. */
@Injectable()
export class Elsewhere {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Staff) private readonly staff: Staff,
    @Inject(Programme) private readonly programme: Programme,
    @Inject(Holds) private readonly holds: Holds,
    @Inject(Claims) private readonly claims: Claims,
    @Inject(Ledger) private readonly ledger: Ledger,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(Sales) private readonly sales: Sales,
  ) {}

  /** @returns what became of each, in the order they came; of one sale all seats are had, or none */
  async bring({ sales, dryRun = false }: ElsewhereBatch): Promise<ElsewhereOutcome[]> {
    if (!dryRun) return this.each(sales, false);
    return this.storage.transaction(async (tx) => {
      await tx.query('SAVEPOINT trial');
      const outcomes = await this.each(sales, true);
      await tx.query('ROLLBACK TO SAVEPOINT trial');
      return outcomes;
    });
  }

  private async each(sales: readonly unknown[], isTrial: boolean): Promise<ElsewhereOutcome[]> {
    const outcomes: ElsewhereOutcome[] = [];
    // A transaction each: buyers who want the same seats wait for one sale, not for all.
    for (const body of sales) {
      const one = readInput(ElsewhereSale, body).then((sale) => this.storage.transaction((tx) => this.one(tx, sale, isTrial)));
      outcomes.push(await one.catch(refused));
    }
    return outcomes;
  }

  private async one(tx: EntityManager, sale: ElsewhereSale, isTrial: boolean): Promise<ElsewhereOutcome> {
    const onSale = await this.onSale(sale);
    const known = await this.known(tx, onSale, sale);
    if (known) return known;
    if (sale.soldAt !== undefined && Date.parse(sale.soldAt) > Date.now())
      throw invalidInput([{ pointer: '/soldAt', detail: 'must not be in the future' }]);
    const held = await this.hold(tx, onSale, sale).catch(async (error: unknown) => {
      // Who was quicker with the seats may have been the same sale.
      const same = isProblem(error) ? await this.known(tx, onSale, sale) : undefined;
      if (same) return same;
      throw error;
    });
    if ('status' in held) return held;
    if (isTrial) return { status: 'accepted' };
    await this.sales.rows.recordMade(tx, rowOf(held.answer), 'imported');
    await this.settle(held.answer.id, sale);
    return { status: 'created', id: held.answer.id };
  }

  /** @throws Problem `invalid-input` (400), `out-of-bounds` (403), `screening-cancelled`, `screening-over` (409) */
  private async onSale({ screening: id }: ElsewhereSale): Promise<OnSale> {
    const onSale = await this.programme.find(id.toLowerCase());
    if (!onSale) throw invalidInput([{ pointer: '/screening', detail: 'there is no such screening' }]);
    const { cinema, chain } = onSale.screening;
    await this.staff.actsInCinema({ id: cinema, chain });
    this.holds.checkOnSale(onSale);
    return onSale;
  }

  private async known(
    tx: EntityManager,
    { screening: { cinema } }: OnSale,
    { reference }: ElsewhereSale,
  ): Promise<ElsewhereOutcome | undefined> {
    const [found] = await tx.query<{ id: string }[]>(
      `SELECT id FROM purchase WHERE cinema = $1 AND payment ->> 'reference' = $2 AND payment ->> 'provider' = 'elsewhere'
         AND "exchangeOf" IS NULL`,
      [cinema, reference],
    );
    return found && { status: 'existed', id: found.id };
  }

  /** @throws Problem `unknown-seat` (400), `seat-not-for-sale`, `seat-taken` (409) */
  private async hold(tx: EntityManager, onSale: OnSale, sale: ElsewhereSale): Promise<Held> {
    const buyer = { isGuest: false, isStaff: true, isUncounted: true, by: currentCaller().id };
    const attempt = (at: OnSale) => this.holds.takeLines(tx, at, linesOf(sale, at), buyer);
    try {
      return await attempt(onSale);
    } catch (error) {
      if (!(error instanceof Problem) || error.type !== 'stale') throw error;
      this.programme.forget(onSale.id);
      return attempt((await this.programme.find(onSale.id)) ?? onSale);
    }
  }

  private async settle(id: string, { reference, soldAt }: ElsewhereSale): Promise<void> {
    await this.sales.change(id, async (purchase, { tx, at }) => {
      await this.claims.keep(tx, purchase);
      purchase.payment = { id: uuidv7(), provider: 'elsewhere', state: 'approved', reference };
      purchase.paidAt = soldAt === undefined ? at : new Date(soldAt).toISOString();
      purchase.tickets = await this.tickets.issue(purchase);
      await this.ledger.sale(tx, purchase);
      await this.sales.become(purchase, 'paid', at, { by: currentCaller().id, detail: reference });
    });
  }
}

function linesOf({ seats, amountMinor }: ElsewhereSale, onSale: OnSale): Line[] {
  const choices = seats.map((seat) => ({ seat, category: 'adult' as const }));
  const wanted = chosenByName(choices, onSale);
  return amountMinor === undefined ? priced(wanted, onSale, false) : linesOfTotal(wanted, amountMinor, onSale.screening.tax);
}

/** Their pointers name the seat itself, which here is a text. */
function chosenByName(...[choices, onSale]: [Parameters<typeof chosen>[0], OnSale]) {
  try {
    return chosen(choices, onSale, true);
  } catch (error) {
    if (!(error instanceof Problem) || !Array.isArray(error.extra.errors)) throw error;
    const errors = (error.extra.errors as InputError[]).map((each) => ({
      ...each,
      pointer: each.pointer.replace(/\/seat$/, ''),
    }));
    throw new Problem(error.type, error.status, error.detail, { ...error.extra, errors });
  }
}
