import { Inject, Injectable } from '@nestjs/common';
import { Client } from '#client';
import { Problem } from '#problem';
import { OAuthConfig } from '../oauth-section.js';

export type Language = 'es' | 'en';

/** A user as `user-command` tells us. */
export interface Account {
  id: string;
  email: string;
  name?: string;
  language?: Language;
  roles: string[];
  confirmed: boolean;
  disabled: boolean;
  /** What began before it is over. */
  signedOutAt?: string;
}

/** What a password turned out to be. */
export type Checked =
  /** What is signed in with it began at `begunAt`, s since the epoch. */
  | { outcome: 'ok'; account: Pick<Account, 'id' | 'email' | 'name' | 'language' | 'roles' | 'signedOutAt'>; begunAt: number }
  | { outcome: 'wrong' }
  | { outcome: 'unconfirmed'; by: 'email' | 'administrator' }
  | { outcome: 'disabled' };

export interface Registration {
  email: string;
  password: string;
  name?: string;
  language: Language;
}

const SERVICE = 'user-command';

/** The accounts, which live in `user-command`: it alone knows passwords and their rules. */
@Injectable()
export class Accounts {
  constructor(
    @Inject(Client) private readonly client: Client,
    @Inject(OAuthConfig) private readonly config: OAuthConfig,
  ) {}

  /** @returns undefined when there is none, or none any more */
  async find(id: string): Promise<Account | undefined> {
    return this.get(`/internal/accounts/${encodeURIComponent(id)}`);
  }

  async findByEmail(email: string): Promise<Account | undefined> {
    return this.get('/internal/accounts', { email });
  }

  async check(email: string, password: string): Promise<Checked> {
    // Before the password is looked at: one that is changed meanwhile ends what this one began.
    const askedAt = Math.floor(Date.now() / 1000);
    const checked = await this.post<Checked>('/internal/accounts/check', { email, password });
    if (checked.outcome !== 'ok') return checked;
    return { ...checked, begunAt: Math.max(askedAt, firstSecondAfter(checked.account)) };
  }

  /** @throws Problem `user-exists` (409), `invalid-input` (400) */
  async register(registration: Registration): Promise<void> {
    await this.post('/api/users', registration);
  }

  /** @returns the address that is confirmed @throws Problem `link-expired` (410) */
  async confirm(token: string): Promise<string> {
    return (await this.post<{ email: string }>('/internal/accounts/confirm', { token })).email;
  }

  async forgot(email: string): Promise<void> {
    await this.post('/internal/accounts/forgot', { email });
  }

  /** @throws Problem `link-expired` (410), `invalid-input` (400) */
  async reset(token: string, password: string): Promise<void> {
    await this.post('/internal/accounts/reset', { token, password });
  }

  private async get(path: string, query?: Record<string, string>): Promise<Account | undefined> {
    try {
      return (await this.client.call<Account>(SERVICE, { method: 'GET', path, query })).body;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) return undefined;
      throw error;
    }
  }

  private async post<T>(path: string, body: object): Promise<T> {
    const timeoutMs = this.config.passwordMs;
    return (await this.client.call<T>(SERVICE, { method: 'POST', path, body, timeoutMs })).body;
  }
}

/** The second in which a sign-in must begin to be later than the account's last sign-out, s since the epoch. */
export const firstSecondAfter = ({ signedOutAt }: Pick<Account, 'signedOutAt'>): number =>
  !signedOutAt ? 0 : Math.floor(Date.parse(signedOutAt) / 1000) + 1;

/** Whether an account may go on with what began at `begunAt`, s since the epoch. */
export const mayGoOn = (account: Account, begunAt?: number): boolean =>
  account.confirmed && !account.disabled && (begunAt === undefined || begunAt >= firstSecondAfter(account));
