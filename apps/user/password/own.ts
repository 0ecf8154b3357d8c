import { Inject, Injectable } from '@nestjs/common';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { Problem } from '#problem';
import { Storage } from '#storage';
import { UserConfig } from '../user-section.js';
import { takeTry } from './limit.js';
import { Passwords } from './password.js';

/** Asks those who are signed in for their password again, and lets nobody with a stolen token guess at it. */
@Injectable()
export class OwnPassword {
  private readonly wrong: RateLimiterMemory;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Passwords) private readonly passwords: Passwords,
    @Inject(UserConfig) config: UserConfig,
  ) {
    // In each instance its own: with several, a few more guesses.
    this.wrong = new RateLimiterMemory({ points: config.wrongPasswords, duration: config.wrongPasswordSeconds });
  }

  /** @throws Problem `wrong-password` (403), `too-many-requests` (429) after too many of them */
  async check(userId: string, password: string): Promise<void> {
    // Taken before the look, given back if it was right: many at once are counted too.
    await takeTry(this.wrong, userId, 'too many wrong passwords: wait a while');
    const [found] = await this.storage.query<{ hash: string | null }>(
      'SELECT "passwordHash" AS hash FROM account WHERE id = $1',
      [userId],
    );
    if (!(await this.passwords.isRight(found?.hash, password)))
      throw new Problem('wrong-password', 403, 'that is not the current password');
    await this.wrong.delete(userId);
  }
}
