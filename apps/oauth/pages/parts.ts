import type { Accounts, Checked } from '../provider/accounts.js';
import type { Throttle } from '../store/throttle.js';
import type { Mistake } from './layout.js';
import type { Visit } from './visit.js';

/** What pages are made over. */
export interface PageParts {
  accounts: Accounts;
  throttle: Throttle;
  /** Largest form, bytes. */
  formBytes: () => number;
  /** Told how each attempt to sign in ended. */
  counted: (outcome: Checked['outcome'] | 'paused') => void;
}

// Plain, as each account's is: a database and JavaScript differ on the small letter of others, and the throttle counts small letters.
const EMAIL = /^[!-?A-~]{1,64}@[!-?A-~]{1,255}$/;

/** What is wrong with an address, which is for `user-command` to say in full. */
export const emailMistakes = (email: string, { words }: Visit): Mistake[] =>
  EMAIL.test(email) ? [] : [{ field: 'email', text: words.errors.email }];

/** Says that one must wait, to people and to programs. */
export function pauseMistakes({ ctx, words }: Visit, waitSeconds: number): Mistake[] {
  ctx.set('Retry-After', String(waitSeconds));
  return [{ text: words.errors.paused(Math.ceil(waitSeconds / 60)) }];
}
