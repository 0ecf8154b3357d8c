import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { Inject, Injectable } from '@nestjs/common';
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { Storage } from '#storage';
import { OAuthConfig } from '../oauth-section.js';

/** A counter that all instances share; as rate-limiter-flexible has it. */
@Entity('throttle')
@Index('throttle_expiry', ['expire'])
export class Throttled {
  @PrimaryColumn('varchar') key: string;
  @Column('int', { default: 0 }) points: number;
  /** ms since the epoch. */
  @Column('bigint', { nullable: true }) expire: string | null;
}

/** Who tries what: for one of these, on one address, attempts are counted. */
interface Attempt {
  email: string;
  address: string;
}

/**
 * Keeps passwords from being guessed. What counts is account and address together, so that nobody can lock another out from
 * somewhere else; one address with many accounts has a wider limit. Every attempt is counted before its password is looked at, or a
 * hundred at once would all be looked at.
 */
@Injectable()
export class Throttle {
  private readonly wrong: RateLimiterPostgres;
  private readonly pause: RateLimiterPostgres;
  private readonly address: RateLimiterPostgres;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(OAuthConfig) private readonly config: OAuthConfig,
  ) {
    // Through the room's own statements, which have its time-outs and its problems.
    const query = async ({ text, values }: { text: string; values: unknown[] }) => {
      const rows = await storage.query(text, values);
      return { rows, rowCount: rows.length };
    };
    const limiter = (keyPrefix: string) =>
      new RateLimiterPostgres({
        storeClient: { query },
        storeType: 'pool',
        tableName: 'throttle',
        tableCreated: true,
        clearExpiredByTimeout: false,
        keyPrefix,
        points: 1,
        duration: config.windowSeconds,
      });
    [this.wrong, this.pause, this.address] = [limiter('wrong'), limiter('pause'), limiter('address')];
  }

  /** Count an attempt to sign in. @returns for how long it must not be made, s; 0 when it may */
  async begin(attempt: Attempt): Promise<number> {
    const waitSeconds = await this.count(attempt.address);
    if (waitSeconds > 0) return waitSeconds;
    const { wrongPerAccount, pauseSeconds, pauseLimitSeconds, windowSeconds } = this.config;
    const key = keyOf(attempt);
    const { consumedPoints } = await this.wrong.penalty(key, 1, { customDuration: windowSeconds });
    const over = consumedPoints - wrongPerAccount;
    if (over < 0) return 0;
    try {
      // Whoever gets through here begins the pause for those who come after.
      const customDuration = Math.min(pauseLimitSeconds, pauseSeconds * 2 ** Math.min(over, 20));
      await this.pause.consume(key, 1, { customDuration });
      return 0;
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      // It was not looked at, so it makes the next pause no longer.
      await Promise.all([this.wrong.reward(key), this.address.reward(networkOf(attempt.address))]);
      return Math.max(1, Math.ceil(refusal.msBeforeNext / 1000));
    }
  }

  /** The password was right: all is forgiven. */
  async succeed(attempt: Attempt): Promise<void> {
    const key = keyOf(attempt);
    await Promise.all([this.wrong.delete(key), this.pause.delete(key), this.address.reward(networkOf(attempt.address))]);
  }

  /** Count what an address sends beside passwords. @returns for how long it must not send more, s; 0 when it may */
  async count(address: string): Promise<number> {
    const { wrongPerAddress, windowSeconds } = this.config;
    const counted = await this.address.penalty(networkOf(address), 1, { customDuration: windowSeconds });
    return counted.consumedPoints > wrongPerAddress ? Math.max(1, Math.ceil(counted.msBeforeNext / 1000)) : 0;
  }

  /** Remove what is over. */
  async clear(): Promise<void> {
    await this.storage.query('DELETE FROM throttle WHERE expire < $1', [Date.now()]);
  }
}

/** Nobody's e-mail lies here in clear. */
const keyOf = ({ email, address }: Attempt) =>
  createHash('sha256')
    .update(`${email.trim().toLowerCase()} ${networkOf(address)}`)
    .digest('base64url');

/** What one household or one host has: an IPv4 address, or the first 64 bits of an IPv6 one. */
export function networkOf(address: string): string {
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(bare)) return bare;
  const [head = '', tail] = bare.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const all =
    tail === undefined ? left : [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  return `${all
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
