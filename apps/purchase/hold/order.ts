import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsEmail,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  IsUUID,
  Length,
  Matches,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import { type InputError, invalidInput, Problem } from '#problem';
import { bestAvailable, type Seat } from '#seating';
import type { Area, Category } from '../../cinema/cinema.events.js';
import type { Line } from '../purchase.events.js';
import { linesOf, type Wanted } from '../purchase.rules.js';
import type { OnSale } from './programme.js';

const CATEGORIES: readonly Category[] = ['adult', 'child', 'student', 'senior'];
const AREAS: readonly Area[] = ['standard', 'premium'];
/** More than any chain's policy; what the policy says is refused with its own words. */
const MOST_SEATS = 40;

/** One seat, and for whom. */
export class SeatChoice {
  @IsString() @Length(2, 20) seat: string;
  @IsIn(CATEGORIES) category: Category;
}

/** How many seats of each category. */
export class SeatCounts implements Partial<Record<Category, number>> {
  @IsOptional() @IsInt() @Min(0) @Max(MOST_SEATS) adult?: number;
  @IsOptional() @IsInt() @Min(0) @Max(MOST_SEATS) child?: number;
  @IsOptional() @IsInt() @Min(0) @Max(MOST_SEATS) student?: number;
  @IsOptional() @IsInt() @Min(0) @Max(MOST_SEATS) senior?: number;
}

/** The best seats there are. */
export class BestChoice {
  @Type(() => SeatCounts) @ValidateNested() seats: SeatCounts;
  /** How many of them are places for wheelchairs. */
  @IsOptional() @IsInt() @Min(0) @Max(MOST_SEATS) wheelchairs?: number;
  @IsOptional() @IsIn(AREAS) area?: Area;
}

/** What somebody wants to have of a screening: certain seats, or the best. */
export class Choice {
  @IsUUID() screening: string;

  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MOST_SEATS)
  @Type(() => SeatChoice)
  @ValidateNested({ each: true })
  seats?: SeatChoice[];

  @IsOptional() @Type(() => BestChoice) @ValidateNested() best?: BestChoice;
}

/** The same, and who a guest is. */
export class Order extends Choice {
  /** Where the tickets go; of a guest it is required, of who is signed in it is known. */
  @IsOptional() @IsEmail() @Length(3, 254) @Matches(/^[\x21-\x7e]+$/, { message: 'email must be plain' }) email?: string;
}

const wrong = (...errors: InputError[]) => invalidInput(errors);

/** The categories of the best seats, one for each. @throws Problem `invalid-input` (400) */
export function categoriesOf({ seats, wheelchairs = 0 }: BestChoice): Category[] {
  const all = CATEGORIES.flatMap((category) => Array.from({ length: seats[category] ?? 0 }, () => category));
  if (all.length === 0 || all.length > MOST_SEATS)
    throw wrong({ pointer: '/best/seats', detail: `must be 1 to ${MOST_SEATS} in all` });
  if (wheelchairs > all.length) throw wrong({ pointer: '/best/wheelchairs', detail: 'must not be more than the seats in all' });
  return all;
}

/** How many seats are asked for. @throws Problem `invalid-input` (400) unless by name or the best */
export function countOf({ seats, best }: Choice): number {
  if ((seats === undefined) === (best === undefined))
    throw wrong({ pointer: '/seats', detail: 'is required, unless there is best' });
  return seats ? seats.length : categoriesOf(best!).length;
}

function unknownSeats(unknown: readonly number[], { screening }: OnSale): Problem {
  const errors = unknown.map((at) => ({ pointer: `/seats/${at}/seat`, detail: `is no seat of ${screening.auditoriumName}` }));
  return new Problem('unknown-seat', 400, 'the auditorium has no such seats', { errors });
}

const isSold = ({ kind }: Seat, isStaff: boolean) => kind !== 'broken' && (kind !== 'house' || isStaff);

/**
 * The seats asked for, as the plan has them.
 *
 * @throws Problem `unknown-seat`, `invalid-input` (400), `seat-not-for-sale` (409)
 */
export function chosen(choices: readonly SeatChoice[], onSale: OnSale, isStaff: boolean): Wanted[] {
  const found = choices.map(({ seat }) => onSale.seats.get(seat));
  const unknown = [...found.keys()].filter((at) => found[at] === undefined);
  if (unknown.length > 0) throw unknownSeats(unknown, onSale);
  const twice = [...choices.keys()].filter((at) => choices.findIndex(({ seat }) => seat === choices[at]!.seat) < at);
  if (twice.length > 0) throw wrong(...twice.map((at) => ({ pointer: `/seats/${at}/seat`, detail: 'is asked for already' })));
  const seats = (found as Seat[]).filter((seat) => !isSold(seat, isStaff)).map(({ id }) => id);
  if (seats.length > 0) throw new Problem('seat-not-for-sale', 409, `${seats.join(', ')} cannot be bought`, { seats });
  return choices.map(({ seat, category }, at) => ({ seat, area: found[at]!.area, category }));
}

/** The best seats that are free; `taken` are not. @throws Problem `seat-taken` (409) when so many cannot be had */
export function best(choice: BestChoice, onSale: OnSale, taken: ReadonlySet<string>): Wanted[] {
  const categories = categoriesOf(choice);
  const { wheelchairs, area } = choice;
  const ids = bestAvailable(onSale.screening.layout, (seat) => !taken.has(seat), { seats: categories.length, wheelchairs, area });
  if (!ids) throw new Problem('seat-taken', 409, 'so many seats cannot be had any more', { taken: [] });
  return ids.map((seat, at) => ({ seat, area: onSale.seats.get(seat)!.area, category: categories[at]! }));
}

/** What they cost. @throws Problem `invalid-input` (400) where there is no price */
export function priced(wanted: readonly Wanted[], { screening }: OnSale, isBest: boolean): Line[] {
  const { lines, unpriced } = linesOf(wanted, screening.prices, screening.tax);
  if (unpriced.length === 0) return lines;
  const fault = (at: number): InputError => {
    const { area, category } = wanted[at]!;
    const pointer = isBest ? `/best/seats/${category}` : `/seats/${at}/category`;
    return { pointer, detail: `there is no price for ${category} in the ${area} area` };
  };
  throw wrong(...new Map(unpriced.map(fault).map((error) => [error.pointer, error])).values());
}
