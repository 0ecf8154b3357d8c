import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  IsUUID,
  Length,
  Matches,
  Max,
  Min,
  ValidateBy,
  ValidateNested,
} from 'class-validator';
import { Column, type ColumnOptions, Entity, Exclusion } from 'typeorm';
import { listShape, Row, Shape, ShapeEach } from '#resource';
import type { LayoutRow } from '../../auditorium/auditorium.events.js';
import type { Area, Category, Price, Tax } from '../../cinema/cinema.events.js';
import type { Format, SalesPolicy, ScreeningState } from '../screening.events.js';
import { POLICY, ROW, TAX } from '../seats/schema.js';
import { AREAS, CATEGORIES, FORMATS, hasAdultPrice, repeatedAt } from '../screening.rules.js';

/** As events and answers say it: the driver would make a date of it. */
const INSTANT: ColumnOptions = {
  type: 'timestamptz',
  transformer: { from: (at: Date | null) => at?.toISOString() ?? null, to: (at?: string) => at },
};

const LANGUAGE = /^[a-z]{2,3}(-[A-Za-z\d]{2,8}){0,3}$/;
const languageOf = (name: string) => ({ message: `${name} must be a BCP 47 tag such as es or pt-BR` });
/** More than any seat costs, in any currency. */
const MOST_MINOR = 1_000_000_000;

/** What seats of an area cost a category of visitor. */
export class SeatPrice implements Price {
  @IsIn(AREAS) area: Area;
  @IsIn(CATEGORIES) category: Category;
  @IsInt() @Min(0) @Max(MOST_MINOR) amountMinor: number;
}

const isList = (value: unknown): value is Price[] =>
  Array.isArray(value) && value.every((price) => typeof price === 'object' && price !== null);

const OncePerSeat = () =>
  ValidateBy({
    name: 'oncePerSeat',
    validator: {
      validate: (value) => !isList(value) || repeatedAt(value) === -1,
      defaultMessage: (args) => `$property must name each area and category once: number ${repeatedAt(args!.value as Price[])}, from 0, does it again`, // prettier-ignore
    },
  });

const WithAdultPrice = () =>
  ValidateBy({
    name: 'withAdultPrice',
    validator: {
      validate: (value) => !isList(value) || hasAdultPrice(value),
      defaultMessage: () => '$property must say what a standard seat costs an adult',
    },
  });

/** A film in an auditorium at a time. What has no validator is settled when it is planned. */
@Entity('screening')
@Exclusion('screening_busy', 'USING gist ("auditorium" WITH =, "busy" WITH &&) WHERE ("cancelledAt" IS NULL)')
export class Screening extends Row implements ScreeningState {
  static override readonly shown: readonly (keyof ScreeningState)[] = [
    ...(['chain', 'cinema', 'auditorium', 'movie', 'title', 'minutes', 'rating', 'cinemaName', 'city'] as const),
    ...(['auditoriumName', 'timeZone', 'currency', 'tax', 'startAt', 'endAt', 'language', 'subtitles', 'format'] as const),
    ...(['layout', 'layoutVersion', 'capacity', 'prices', 'policy', 'cancelledAt', 'cancelReason'] as const),
  ];

  @Column('uuid') chain: string;
  @Column('uuid') cinema: string;
  @Column('uuid') auditorium: string;
  @Column('uuid') movie: string;
  @Column('varchar') title: string;
  @Column('int') minutes: number;
  @Column('varchar', { nullable: true }) rating?: string;
  @Column('varchar') cinemaName: string;
  @Column('varchar') city: string;
  @Column('varchar') auditoriumName: string;
  @Column('varchar') timeZone: string;
  @Column('varchar') currency: string;
  @Shape(TAX) @Column('jsonb') tax: Tax;
  @Column(INSTANT) startAt: string;
  @Column(INSTANT) endAt: string;

  @Column('varchar')
  @IsString()
  @Matches(LANGUAGE, languageOf('language'))
  language: string;

  @Column('varchar', { nullable: true })
  @IsOptional()
  @IsString()
  @Matches(LANGUAGE, languageOf('subtitles'))
  subtitles?: string;

  @Column('varchar')
  @IsIn(FORMATS)
  format: Format;

  @Shape(listShape(ROW)) @Column('jsonb') layout: LayoutRow[];
  @Column('int') layoutVersion: number;
  @Column('int') capacity: number;

  @Column('jsonb')
  @IsArray()
  @ArrayMaxSize(AREAS.length * CATEGORIES.length)
  // A list in the list would be looked into, and pass.
  @IsObject({ each: true })
  @ValidateNested({ each: true })
  @Type(() => SeatPrice)
  @OncePerSeat()
  @WithAdultPrice()
  prices: SeatPrice[];

  @Shape(POLICY) @Column('jsonb') policy: SalesPolicy;
  @Column({ ...INSTANT, nullable: true }) cancelledAt?: string;
  @Column('varchar', { nullable: true }) cancelReason?: string;

  /** From its start until the auditorium is ready for the next one. */
  @Column('tstzrange', { select: false }) busy: string;
}

/** A screening that somebody wants. */
export class NewScreening {
  @IsUUID() movie: string;
  @IsUUID() auditorium: string;

  /** When it begins; this or `localStartAt`. */
  @IsOptional()
  @Matches(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/, {
    message: 'startAt must be an instant such as 2027-04-03T23:30:00Z or 2027-04-03T23:30-05:00',
  })
  startAt?: string;

  /** When it begins by the clock on the cinema's wall. */
  @IsOptional()
  @Matches(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/, { message: 'localStartAt must be a day and a time such as 2027-04-03T23:30' })
  localStartAt?: string;

  @IsString()
  @Matches(LANGUAGE, languageOf('language'))
  language: string;

  @IsOptional()
  @IsString()
  @Matches(LANGUAGE, languageOf('subtitles'))
  subtitles?: string;

  @IsIn(FORMATS) format: Format;

  /** Of the prices; it is the cinema's in any case, and naming it makes sure of that. */
  @IsOptional()
  @Matches(/^[A-Z]{3}$/, { message: 'currency must be an ISO 4217 code such as PEN' })
  currency?: string;

  /** What goes for the entries of the cinema's price card, and beside them. */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(AREAS.length * CATEGORIES.length)
  // A list in the list would be looked into, and pass.
  @IsObject({ each: true })
  @ValidateNested({ each: true })
  @Type(() => SeatPrice)
  @OncePerSeat()
  prices?: SeatPrice[];
}

/** Many screenings at once. */
export class ScreeningBatch {
  @ShapeEach(NewScreening)
  @IsArray()
  @ArrayMaxSize(500)
  screenings: unknown[];

  /** Only say what would become of them. */
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;
}

/** Why a screening does not take place. */
export class Cancellation {
  @IsOptional()
  @IsString()
  @Length(1, 500)
  @Matches(/\S/, { message: 'reason must not be blank' })
  reason?: string;
}
