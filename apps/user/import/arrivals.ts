import { Inject, Injectable } from '@nestjs/common';
import { ArrayMaxSize, IsArray, IsBoolean, IsEmail, IsIn, IsOptional, IsString, Length, Matches } from 'class-validator';
import { v7 as uuidv7 } from 'uuid';
import { type InputError, Problem } from '#problem';
import { type Outcome, readInput, ShapeEach } from '#resource';
import { Storage } from '#storage';
import { Accounts, LANGUAGES, User } from '../account.js';
import type { Language } from '../user.events.js';

/** A customer of somewhere else. */
export class Arrival {
  @IsEmail()
  @Length(3, 254)
  @Matches(/^[\x21-\x7e]+$/, { message: 'email must be plain: write a domain with other letters in its xn-- form' })
  email: string;

  @IsOptional()
  @IsString()
  @Length(1, 100)
  @Matches(/^[^\p{Cc}<>]*\S[^\p{Cc}<>]*$/u, { message: 'name must not be blank, nor hold < > or control characters' })
  name?: string;

  @IsOptional()
  @IsIn(LANGUAGES)
  language?: Language;

  @IsOptional()
  @IsString()
  @Matches(/^\+[1-9]\d{6,14}$/, { message: 'phone must be in the international form, such as +51987654321' })
  phone?: string;
}

/** Many of them at once. */
export class UserBatch {
  @ShapeEach(Arrival)
  @IsArray()
  @ArrayMaxSize(500)
  users: unknown[];

  /** Only say what would be refused. */
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;
}

/**
 * Brings customers in from elsewhere, where they have confirmed their addresses: their accounts have no password until each asks for
 * one as who has forgotten it, and nobody is written to.
 */
@Injectable()
export class Arrivals {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Accounts) private readonly accounts: Accounts,
  ) {}

  /** @returns what became of each, in the order they came; who has an account keeps it as it is */
  async bring({ users, dryRun = false }: UserBatch): Promise<Outcome[]> {
    const read = await Promise.all(users.map((body) => readInput(Arrival, body).then(account, refused)));
    const made = read.filter((each) => each instanceof User);
    const isNothing = dryRun || made.length === 0;
    const created = isNothing
      ? new Set<string>()
      : await this.storage.transaction((tx) => this.accounts.rows.insertNew(tx, made));
    return read.map((each): Outcome => {
      if (!(each instanceof User)) return { status: 'refused', errors: each };
      if (dryRun) return { status: 'accepted' };
      return created.has(each.id) ? { status: 'created', id: each.id } : { status: 'existed' };
    });
  }
}

const account = (arrival: Arrival): User =>
  Object.assign(new User(), { id: uuidv7(), ...arrival, roles: ['customer'], confirmed: true, disabled: false });

function refused(error: unknown): InputError[] {
  if (error instanceof Problem && Array.isArray(error.extra.errors)) return error.extra.errors as InputError[];
  throw error;
}
