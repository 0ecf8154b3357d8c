import { Inject, Injectable } from '@nestjs/common';
import { writeMail } from '#mail';
import { Problem } from '#problem';
import { Storage } from '#storage';
import { Accounts, User } from './account.js';
import { Links } from './mail/link.js';
import { checkPassword, Passwords } from './password/password.js';
import { UserConfig } from './user-section.js';
import type { Language, Role } from './user.events.js';

/** What becomes of an e-mail and a password. Only who knows the password is told more than that it is wrong. */
export type Outcome =
  | {
      outcome: 'ok';
      account: { id: string; email: string; name?: string; language?: Language; roles: Role[]; signedOutAt?: string };
    }
  | { outcome: 'wrong' }
  | { outcome: 'unconfirmed'; by: 'email' | 'administrator' }
  | { outcome: 'disabled' };

interface Known {
  id: string;
  email: string;
  name: string | null;
  language: Language | null;
  roles: Role[];
  confirmed: boolean;
  disabled: boolean;
  signedOutAt: string | null;
  hash: string | null;
}

/** The ways back into an account: a password, or a link in an e-mail. */
@Injectable()
export class SignIn {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(UserConfig) private readonly config: UserConfig,
    @Inject(Accounts) private readonly accounts: Accounts,
    @Inject(Passwords) private readonly passwords: Passwords,
    @Inject(Links) private readonly links: Links,
  ) {}

  /** The same work whether there is such an account or not. */
  async check(email: string, password: string): Promise<Outcome> {
    const [known] = await this.storage.query<Known>(
      `SELECT id, email, name, language, roles, confirmed, disabled, "signedOutAt", "passwordHash" AS hash FROM account
       WHERE lower(email) = lower($1)`,
      [email],
    );
    if (!(await this.passwords.isRight(known?.hash, password)) || !known) return { outcome: 'wrong' };
    if (this.passwords.isOutdated(known.hash!)) await this.rehash(known, password);
    const { id, name, language, roles, confirmed, disabled, signedOutAt } = known;
    if (disabled) return { outcome: 'disabled' };
    const { confirmation } = this.config;
    if (!confirmed && confirmation !== 'none') return { outcome: 'unconfirmed', by: confirmation };
    const account = {
      id,
      email: known.email,
      name: name ?? undefined,
      language: language ?? undefined,
      roles,
      signedOutAt: signedOutAt ?? undefined,
    };
    return { outcome: 'ok', account };
  }

  /** @throws Problem `link-expired` (410) */
  confirm(token: string): Promise<{ email: string }> {
    return this.storage.transaction(async (tx) => {
      const user = await this.present(await this.links.redeem(tx, 'confirm', token));
      await this.accounts.confirm(user);
      return { email: user.email! };
    });
  }

  /** Write the e-mail with the link; for an address that nobody has, one that is never sent. */
  forgot(email: string): Promise<void> {
    return this.storage.transaction(async (tx) => {
      const user = await this.accounts.byEmail(email);
      await writeMail(tx, 'reset', user?.id ?? null);
    });
  }

  /** @throws Problem `link-expired` (410), `invalid-input` (400), after which the link still works */
  async reset(token: string, password: string): Promise<{ email: string }> {
    const user = await this.present(await this.links.read('reset', token));
    checkPassword(password, user.email!);
    const passwordHash = await this.passwords.hash(password);
    return this.storage.transaction(async (tx) => {
      await this.links.redeem(tx, 'reset', token);
      await this.links.revoke(tx, user.id);
      // Who reads the mailbox has confirmed it.
      const confirmed = user.confirmed || this.config.confirmation === 'email';
      const change = { passwordHash, confirmed, signedOutAt: new Date().toISOString() };
      await this.accounts.rows.write('changed', Object.assign(user, change), 'password-reset');
      return { email: user.email! };
    });
  }

  private async present(userId: string): Promise<User> {
    const user = await this.storage.transaction((tx) => tx.findOneBy(User, { id: userId }));
    if (!user?.email || user.disabled) throw new Problem('link-expired', 410, 'the account of this link is gone');
    return user;
  }

  /** Keep it at today's cost. The hash is no part of what others know, so it makes no version and no event. */
  private async rehash({ id, hash }: Known, password: string): Promise<void> {
    await this.storage.query('UPDATE account SET "passwordHash" = $1 WHERE id = $2 AND "passwordHash" = $3', [
      await this.passwords.hash(password),
      id,
      hash,
    ]);
  }
}
