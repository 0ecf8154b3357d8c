import { Injectable, Inject } from '@nestjs/common';
import { argon2id, hash, needsRehash, verify } from 'argon2';
import { randomBytes, randomInt } from 'node:crypto';
import { remainingMs } from '#context';
import { type Counter, Metrics } from '#metrics';
import { invalidInput, Problem } from '#problem';
import { UserConfig } from '../user-section.js';
import { COMMONEST } from './commonest.js';

/** Shortest and longest password, characters. @source NIST SP 800-63B §5.1.1.2 */
export const PASSWORD_LENGTH = [10, 200] as const;

/** One text for all ways to type it. @source NIST SP 800-63B §5.1.1.2 */
const normal = (password: string) => password.normalize('NFKC');

/**
 * Refuse a password that anyone would try first: it is the account's own address, or among the commonest. Which kinds of characters
 * it is made of is its owner's affair.
 *
 * @throws Problem `invalid-input` (400)
 */
export function checkPassword(password: string, email: string, pointer = '/password'): void {
  const refuse = (detail: string) => invalidInput([{ pointer, detail }]);
  const [shortest, longest] = PASSWORD_LENGTH;
  const text = normal(password);
  const length = [...text].length;
  if (length < shortest || length > longest) throw refuse(`must have ${shortest} to ${longest} characters`);
  const plain = text.toLowerCase();
  const [local] = email.toLowerCase().split('@');
  if (plain === email.toLowerCase() || plain === local) throw refuse('must not be the e-mail address');
  if (COMMONEST.has(plain) || new Set(plain).size < 4) throw refuse('is one of those that are tried first: choose another');
}

/** Without the letters and digits that are taken for each other: i, l, o, 0, 1. */
const EASY = 'abcdefghjkmnpqrstuvwxyz23456789';

/** A password to be typed from a screen: 20 characters in four groups, 84 bits. */
export function randomPassword(): string {
  const letters = (count: number) => Array.from({ length: count }, () => EASY[randomInt(EASY.length)]).join('');
  return [letters(4), letters(4), letters(4), letters(5)].join('-');
}

/** Lets so many through at a time, and so many wait; who signs in goes ahead of who chooses a password. */
class Turnstile {
  private readonly waiting: (() => void)[] = [];
  private readonly ahead: (() => void)[] = [];
  private inside = 0;

  constructor(private readonly config: UserConfig) {}

  async pass<T>(work: () => Promise<T>, isAhead = false): Promise<T> {
    const { hashesAtOnce, hashesWaiting } = this.config;
    const line = isAhead ? this.ahead : this.waiting;
    if (line.length >= hashesWaiting)
      throw new Problem('too-busy', 503, 'too many passwords are being checked: try again', {}, { 'Retry-After': '2' });
    if (this.inside >= hashesAtOnce) await new Promise<void>((enter) => line.push(enter));
    else this.inside++;
    try {
      // Nobody waits for it any more: the work would only make those behind too late as well.
      if (remainingMs() === 0) throw new Problem('deadline-exceeded', 504, 'too many passwords were checked before this one');
      return await work();
    } finally {
      const next = this.ahead.shift() ?? this.waiting.shift();
      if (next) next();
      else this.inside--;
    }
  }
}

/** Passwords as hashes. @source OWASP Password Storage Cheat Sheet: argon2id */
@Injectable()
export class Passwords {
  private readonly turnstile: Turnstile;
  private readonly checks: Counter<'found'>;
  /** The hash of a password nobody has, so that an account that is not there takes as long as one that is. */
  private nobody?: Promise<string>;

  constructor(
    @Inject(UserConfig) private readonly config: UserConfig,
    @Inject(Metrics) metrics: Metrics,
  ) {
    this.turnstile = new Turnstile(config);
    this.checks = metrics.counter('user_password_checks_total', 'Passwords compared with a hash', ['found']);
  }

  /** The password as it is kept. */
  hash(password: string): Promise<string> {
    return this.turnstile.pass(() => hash(normal(password), { ...this.cost(), type: argon2id }));
  }

  /** Whether it is the password of that hash. Without a hash it is not, after the same work. */
  async isRight(kept: string | undefined | null, password: string): Promise<boolean> {
    const digest = kept ?? (await (this.nobody ??= this.hash(randomBytes(16).toString('hex'))));
    const isEqual = await this.turnstile.pass(() => verify(digest, normal(password)), true);
    this.checks.inc({ found: String(Boolean(kept)) });
    return isEqual && Boolean(kept);
  }

  /** Whether it was kept at another cost than is wanted now. */
  isOutdated(kept: string): boolean {
    return needsRehash(kept, this.cost());
  }

  private cost() {
    const { hashMemoryKib: memoryCost, hashPasses: timeCost, hashLanes: parallelism } = this.config;
    return { memoryCost, timeCost, parallelism };
  }
}
