import { Inject, Injectable } from '@nestjs/common';
import { IsEmail, IsIn, IsOptional, IsString, Length, Matches } from 'class-validator';
import { Column, Entity, Index } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { writeMail } from '#mail';
import { Problem } from '#problem';
import { type Answer, notFound, Row, Rows, Shape } from '#resource';
import { Storage } from '#storage';
import { Links } from './mail/link.js';
import { checkPassword, PASSWORD_LENGTH, Passwords, randomPassword } from './password/password.js';
import { UserConfig } from './user-section.js';
import type { Language, Role, UserState } from './user.events.js';

export const LANGUAGES: readonly Language[] = ['es', 'en'];
const ADMINISTRATOR = 'chain-admin';

// Whose e-mail is whose is asked of the database alone, so that the index and every question agree on what a small letter is.
@Entity('account')
@Index('account_email', { synchronize: false }) // over an expression: it stands in the migration
export class User extends Row implements UserState {
  static override readonly shown: readonly (keyof UserState)[] = [
    ...(['email', 'name', 'language', 'phone', 'roles', 'confirmed', 'disabled', 'erased', 'signedOutAt'] as const),
  ];
  static override readonly personal: readonly (keyof UserState)[] = ['email', 'name', 'language', 'phone'];

  @Column('varchar', { nullable: true })
  email?: string;

  @Column('varchar', { nullable: true })
  @IsOptional()
  @IsString()
  @Length(1, 100)
  @Matches(/^[^\p{Cc}<>]*\S[^\p{Cc}<>]*$/u, { message: 'name must not be blank, nor hold < > or control characters' })
  name?: string;

  @Column('varchar', { nullable: true })
  @IsOptional()
  @IsIn(LANGUAGES)
  language?: Language;

  @Column('varchar', { nullable: true })
  phone?: string;

  @Column('varchar', { array: true })
  roles: Role[];

  @Column()
  confirmed: boolean;

  @Column({ default: false })
  disabled: boolean;

  @Column('boolean', { nullable: true })
  erased?: boolean;

  @Column('varchar', { nullable: true })
  signedOutAt?: string;

  /** Read only where a password is compared. */
  @Column('varchar', { nullable: true, select: false })
  passwordHash?: string | null;
}

/** What somebody says to become a user. */
export class Registration {
  @IsEmail()
  @Length(3, 254)
  @Matches(/^[\x21-\x7e]+$/, { message: 'email must be plain: write a domain with other letters in its xn-- form' })
  email: string;

  @Shape({ minLength: PASSWORD_LENGTH[0], maxLength: PASSWORD_LENGTH[1] })
  @IsString()
  @Length(1, 1000)
  password: string;

  @IsOptional()
  @IsString()
  @Length(1, 100)
  @Matches(/^[^\p{Cc}<>]*\S[^\p{Cc}<>]*$/u, { message: 'name must not be blank, nor hold < > or control characters' })
  name?: string;

  @IsOptional()
  @IsIn(LANGUAGES)
  language?: Language;
}

const now = () => new Date().toISOString();

/** What can be done to accounts, whoever asks; who may ask is said where it is asked. */
@Injectable()
export class Accounts {
  readonly rows: Rows<User>;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(UserConfig) private readonly config: UserConfig,
    @Inject(Passwords) private readonly passwords: Passwords,
    @Inject(Links) private readonly links: Links,
  ) {
    this.rows = new Rows(User, 'user', storage);
  }

  /** Make a customer's account. @throws Problem `invalid-input` (400), `user-exists` (409) */
  async register({ password, email, name, language }: Registration): Promise<Answer<User>> {
    checkPassword(password, email);
    const passwordHash = await this.passwords.hash(password);
    const { confirmation } = this.config;
    const isFree = confirmation === 'none';
    const own = { id: uuidv7(), email, name, language, roles: ['customer'], confirmed: isFree, disabled: false, passwordHash };
    return this.storage.transaction(async (tx) => {
      const made = await this.rows.write('created', Object.assign(new User(), own));
      if (confirmation === 'email') await writeMail(tx, 'confirm', made.id);
      return made;
    });
  }

  /** The account of an address, whatever its case. */
  async byEmail(email: string): Promise<User | null> {
    if (email.includes('\0')) return null; // PostgreSQL would answer it with an error
    return this.storage.transaction((tx) =>
      tx.createQueryBuilder(User, 'u').where('lower(u.email) = lower(:email)', { email }).getOne(),
    );
  }

  /** Set a new password, which ends every session begun with the old one. @throws Problem `invalid-input` (400), `stale` (409) */
  async setPassword(user: User, password: string): Promise<Answer<User>> {
    checkPassword(password, user.email ?? '');
    const passwordHash = await this.passwords.hash(password);
    return this.storage.transaction(async (tx) => {
      await this.links.revoke(tx, user.id, 'reset');
      return this.rows.write('changed', Object.assign(user, { passwordHash, signedOutAt: now() }), 'password-changed');
    });
  }

  /** Let the account sign in, as its setting wants it. */
  async confirm(user: User): Promise<Answer<User>> {
    if (user.confirmed || user.erased) return answer(user);
    return this.rows.write('changed', Object.assign(user, { confirmed: true }), 'confirmed');
  }

  /** Keep it from signing in, and end its sessions. @throws Problem `last-administrator` (409) */
  async disable(user: User): Promise<Answer<User>> {
    if (user.disabled) return answer(user);
    return this.withoutLast(user, () =>
      this.rows.write('changed', Object.assign(user, { disabled: true, signedOutAt: now() }), 'disabled'),
    );
  }

  /** Let it sign in again. @throws Problem `user-erased` (409) */
  async enable(user: User): Promise<Answer<User>> {
    if (!user.disabled) return answer(user);
    return this.rows.write('changed', Object.assign(present(user), { disabled: false }), 'enabled');
  }

  /** Give it these roles and no others. One taken away ends its sessions. @throws Problem `last-administrator`, `user-erased` (409) */
  async setRoles(user: User, roles: readonly Role[]): Promise<Answer<User>> {
    const isTaken = present(user).roles.some((role) => !roles.includes(role));
    const change = { roles: [...roles], ...(isTaken ? { signedOutAt: now() } : {}) };
    const write = () => this.rows.write('changed', Object.assign(user, change), 'roles-changed');
    return user.roles.includes(ADMINISTRATOR) && !roles.includes(ADMINISTRATOR) ? this.withoutLast(user, write) : write();
  }

  /** Leave nothing of the person: the row stays, so that what refers to it does. @throws Problem `last-administrator` (409) */
  async erase(user: User): Promise<Answer<User>> {
    if (user.erased) return answer(user);
    const nothing = { email: null, name: null, language: null, phone: null, roles: [], passwordHash: null, confirmed: false };
    const gone = { ...nothing, disabled: true, erased: true, signedOutAt: now() };
    return this.withoutLast(user, () =>
      this.storage.transaction(async (tx) => {
        await this.links.revoke(tx, user.id);
        await tx.query('DELETE FROM mail WHERE about = $1', [user.id]);
        await writeMail(tx, 'erase', user.id);
        return this.rows.erase(Object.assign(user, gone));
      }),
    );
  }

  /** The first administrator, with a password to be told once. @throws Problem `administrator-exists` (409) */
  async makeFirst(): Promise<{ email: string; password: string }> {
    const [email, password] = [this.config.firstAdministrator, randomPassword()];
    const passwordHash = await this.passwords.hash(password);
    return this.storage.transaction(async () => {
      await this.alone();
      const [known] = await this.storage.query(`SELECT 1 FROM account WHERE $1 = ANY(roles) AND NOT disabled`, [ADMINISTRATOR]);
      if (known) throw new Problem('administrator-exists', 409, 'there is an administrator already');
      const user = (await this.byEmail(email)) ?? Object.assign(new User(), { id: uuidv7(), email });
      const own = { roles: [ADMINISTRATOR, 'operator'], confirmed: true, disabled: false, passwordHash };
      const isKnown = user.version !== undefined;
      await this.rows.write(isKnown ? 'changed' : 'created', Object.assign(user, own, isKnown ? { signedOutAt: now() } : {}));
      return { email, password };
    });
  }

  /** A new password for whoever lost theirs, to be told once; every session ends. @throws Problem `not-found` (404) */
  async renewPassword(email: string): Promise<{ email: string; password: string }> {
    const user = await this.byEmail(email);
    if (!user?.email) throw notFound('user', email);
    const password = randomPassword();
    await this.setPassword(user, password);
    return { email: user.email, password };
  }

  /** Do what may take an administrator away, unless it is the last who can sign in and acts everywhere. */
  private withoutLast<T>(user: User, write: () => Promise<T>): Promise<T> {
    if (!user.roles.includes(ADMINISTRATOR)) return write();
    return this.storage.transaction(async () => {
      await this.alone();
      // Whoever is bound to a chain, or was, leaves nobody without an administrator, and is none for all the others.
      const all = await this.storage.query<{ id: string; canSignIn: boolean }>(
        `SELECT id, NOT disabled AND confirmed AS "canSignIn" FROM account a WHERE $1 = ANY(roles)
         AND NOT EXISTS (SELECT 1 FROM staff s WHERE s."user" = a.id AND (NOT s.removed OR s.role = $1))`,
        [ADMINISTRATOR],
      );
      if (all.some(({ id }) => id === user.id) && !all.some(({ id, canSignIn }) => id !== user.id && canSignIn))
        throw new Problem(
          'last-administrator',
          409,
          'this is the last administrator of all chains: give another account the role first',
        );
      return write();
    });
  }

  /** One at a time: two administrators could otherwise take each other away. */
  private async alone(): Promise<void> {
    await this.storage.query(`SELECT pg_advisory_xact_lock(hashtext('administrators'))`);
  }
}

const answer = (user: User): Answer<User> => ({ id: user.id, version: user.version, ...User.state(user) });

/** The user, unless it is erased. @throws Problem `user-erased` (409) */
export function present(user: User): User {
  if (user.erased) throw new Problem('user-erased', 409, `user ${user.id} is erased: nothing brings it back`);
  return user;
}
