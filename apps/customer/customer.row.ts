import { Type } from 'class-transformer';
import { IsBoolean, IsIn, IsObject, IsOptional, IsString, Length, Matches, ValidateNested } from 'class-validator';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { Row } from '#resource';
import type { Consents, CustomerState } from './customer.events.js';

/** What a customer agrees to. */
export class ConsentsInput implements Consents {
  @IsOptional() @IsBoolean() newsletter?: boolean;
  @IsOptional() @IsBoolean() profiling?: boolean;
}

@Entity('customer')
export class Customer extends Row implements CustomerState {
  static override readonly shown: readonly (keyof CustomerState)[] = [
    ...(['name', 'phone', 'language', 'points', 'consents', 'erased'] as const),
  ];
  static override readonly personal: readonly (keyof CustomerState)[] = ['name', 'phone', 'language', 'consents'];

  @Column('varchar', { nullable: true })
  @IsOptional()
  @IsString()
  @Length(1, 100)
  @Matches(/^[^\p{Cc}<>]*\S[^\p{Cc}<>]*$/u, { message: 'name must not be blank, nor hold < > or control characters' })
  name?: string;

  @Column('varchar', { nullable: true })
  @IsOptional()
  @IsString()
  @Matches(/^\+[1-9]\d{6,14}$/, { message: 'phone must be in the international form, such as +51987654321' })
  phone?: string;

  @Column('varchar', { nullable: true })
  @IsOptional()
  @IsIn(['es', 'en'])
  language?: 'es' | 'en';

  @Column('jsonb')
  @IsObject()
  @ValidateNested()
  @Type(() => ConsentsInput)
  consents: ConsentsInput = new ConsentsInput();

  @Column('int', { default: 0 })
  points: number;

  @Column('boolean', { nullable: true })
  erased?: boolean;

  /** The columns that the customer set; what the user's account says of the others goes on to be copied. */
  @Column('varchar', { array: true, default: [] })
  own: string[];

  /** The version of the account that was copied last. */
  @Column('int')
  userVersion: number;
}

/** One change of a consent: the proof of what was agreed to when. */
@Entity('customer_consent')
export class CustomerConsent {
  @PrimaryColumn('uuid') id: string;
  @Index('customer_consent_customer') @Column('uuid') customer: string;
  /** What: `newsletter`. */
  @Column('varchar') consent: string;
  @Column() given: boolean;
  @Column('timestamptz') at: Date;
}

/** What a purchase has earned its customer, once; nothing when it was given back. */
@Entity('customer_points')
export class CustomerPoints {
  @PrimaryColumn('uuid') purchase: string;
  @Index('customer_points_customer') @Column('uuid') customer: string;
  @Column('int') points: number;
  /** The version of the purchase that says so: an older one that comes later says nothing. */
  @Column('int') version: number;
}
