import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsIn,
  IsInt,
  IsISO31661Alpha2,
  IsNumber,
  IsObject,
  IsString,
  IsUUID,
  Length,
  Matches,
  Max,
  Min,
  ValidateBy,
  ValidateNested,
} from 'class-validator';
import { Column, Entity } from 'typeorm';
import { Row, Shape } from '#resource';
import type { Amenity, Area, Category, CinemaState, Position, Price, Tax } from './cinema.events.js';
import { AMENITIES, AREAS, CATEGORIES, isCurrency, isTimeZone } from './cinema.rules.js';

/** Twenty seats of it with their tax are still counted exactly. */
const MOST_MINOR = 1_000_000_000_000;

const must = (name: string, validate: (value: unknown) => boolean, what: string) =>
  ValidateBy({ name, validator: { validate, defaultMessage: () => `must be ${what}` } });

const NOT_BLANK = { message: '$property must not be blank' };

/** Where a cinema is. */
export class Coordinates implements Position {
  @IsNumber() @Min(-90) @Max(90) latitude: number;
  @IsNumber() @Min(-180) @Max(180) longitude: number;
}

/** What the state takes of each ticket. */
export class TicketTax implements Tax {
  @IsString() @Length(1, 40) @Matches(/\S/, NOT_BLANK) name: string;
  @IsInt() @Min(0) @Max(5000) basisPoints: number;
}

/** One line of a price card. */
export class CardPrice implements Price {
  @IsIn(AREAS) area: Area;
  @IsIn(CATEGORIES) category: Category;
  @IsInt() @Min(0) @Max(MOST_MINOR) amountMinor: number;
}

const keyOf = (price?: Partial<Price> | null) => `${price?.area}/${price?.category}`;
const hasFullPrice = (card: unknown) =>
  Array.isArray(card) && card.some((price: Price | null) => keyOf(price) === 'standard/adult');

@Entity('cinema')
export class Cinema extends Row implements CinemaState {
  static override readonly shown: readonly (keyof CinemaState)[] = [
    ...(['chain', 'name', 'city', 'country', 'address', 'position', 'timeZone', 'currency', 'tax'] as const),
    ...(['amenities', 'priceCard'] as const),
  ];

  @Column('uuid')
  @IsUUID()
  chain: string;

  @Column('varchar')
  @IsString()
  @Length(1, 200)
  @Matches(/\S/, NOT_BLANK)
  name: string;

  @Column('varchar')
  @IsString()
  @Length(1, 100)
  @Matches(/\S/, NOT_BLANK)
  city: string;

  @Shape({ examples: ['PE'] })
  @Column('varchar')
  @Matches(/^[A-Z]{2}$/, { message: 'country must be an ISO 3166-1 code of two capitals, such as PE' })
  @IsISO31661Alpha2({ message: 'country must be an ISO 3166-1 code of two capitals, such as PE' })
  country: string;

  @Column('varchar')
  @IsString()
  @Length(1, 300)
  @Matches(/\S/, NOT_BLANK)
  address: string;

  @Column('jsonb')
  @IsObject()
  @ValidateNested()
  @Type(() => Coordinates)
  position: Position;

  @Shape({ type: 'string', examples: ['America/Lima'] })
  @Column('varchar')
  @must('isTimeZone', isTimeZone, 'a time zone of the IANA database, such as America/Lima')
  timeZone: string;

  @Shape({ type: 'string', pattern: '^[A-Z]{3}$', examples: ['PEN'] })
  @Column('varchar')
  @must('isCurrency', isCurrency, 'an ISO 4217 currency, such as PEN')
  currency: string;

  @Column('jsonb')
  @IsObject()
  @ValidateNested()
  @Type(() => TicketTax)
  tax: Tax;

  @Column('varchar', { array: true })
  @IsArray()
  @ArrayUnique()
  @IsIn(AMENITIES, { each: true })
  amenities: Amenity[] = [];

  @Shape({ examples: [[{ area: 'standard', category: 'adult', amountMinor: 2500 }]] })
  @Column('jsonb')
  @IsArray()
  @ArrayMaxSize(AREAS.length * CATEGORIES.length)
  @ArrayUnique(keyOf, { message: 'priceCard must have one price for each area and category' })
  @must('hasFullPrice', hasFullPrice, 'a list with a price of an adult in the standard area')
  @ValidateNested({ each: true })
  @Type(() => CardPrice)
  priceCard: Price[];
}
