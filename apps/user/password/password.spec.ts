import fc from 'fast-check';
import { newContext, runWith } from '#context';
import { Metrics } from '#metrics';
import type { UserConfig } from '../user-section.js';
import { COMMONEST } from './commonest.js';
import { checkPassword, PASSWORD_LENGTH, Passwords, randomPassword } from './password.js';

const refusal = (password: string, email = 'ana@example.org') => {
  try {
    checkPassword(password, email);
  } catch (error) {
    return (error as { extra: { errors: { detail: string }[] } }).extra.errors[0]!.detail;
  }
  return undefined;
};

describe('a password', () => {
  it.each(['correct horse', '            x y z', 'ñandú veloz', '🎬🎟️🍿🎥🎞️📽️🍫🥤🌭🍦', 'aB3$aB3$aB3$'])(
    'may be %j',
    (password) => {
      expect(refusal(password)).toBeUndefined();
    },
  );

  it.each([
    ['too short', 'x y z 1 2', /10 to 200/],
    ['too short in characters, though long in bytes', '🎬🎟🍿🎥🎞📽🍫🥤🌭', /10 to 200/],
    ['too long', 'x y z '.repeat(34), /10 to 200/],
    ['the e-mail', 'ANA@example.org', /e-mail/],
    ['common', 'Qwertyuiop', /tried first/],
    ['common in other letters', 'ｑｗｅｒｔｙｕｉｏｐ', /tried first/],
    ['a word with the row of digits', 'Contraseña1234', /tried first/],
    ['one character', 'aaaaaaaaaaaaaa', /tried first/],
  ])('may not be %s', (_, password, why) => {
    expect(refusal(password)).toMatch(why);
  });

  it('that was drawn is always good, and always another', () => {
    const drawn = Array.from({ length: 1000 }, randomPassword);
    expect(new Set(drawn).size).toBe(1000);
    expect(drawn.filter((password) => refusal(password) !== undefined || password.length !== 20)).toEqual([]);
  });

  it('of any text is taken or refused, never worse', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 250 }), (text) => {
        expect([undefined, 'string']).toContain(refusal(text) === undefined ? undefined : typeof refusal(text));
      }),
      { numRuns: 30 },
    );
  });
});

it('is not hashed for somebody who waited too long and is gone, and those behind have their turn', async () => {
  const cost = { hashMemoryKib: 65_536, hashPasses: 4, hashLanes: 1 };
  const passwords = new Passwords({ ...cost, hashesAtOnce: 1, hashesWaiting: 5 } as UserConfig, new Metrics('test'));
  const within = (ms: number) => runWith(newContext({ deadlineAt: Date.now() + ms }), () => passwords.hash('correct horse'));
  const all = await Promise.allSettled([within(10_000), within(1), within(10_000)]);
  const found = all.map((one) => (one.status === 'fulfilled' ? 'hashed' : (one.reason as { type: string }).type));
  expect(found).toEqual(['hashed', 'deadline-exceeded', 'hashed']);
});

it('lets who signs in ahead of those who choose a password', async () => {
  const cost = { hashMemoryKib: 8192, hashPasses: 2, hashLanes: 1 };
  const own = new Passwords({ ...cost, hashesAtOnce: 1, hashesWaiting: 9 } as UserConfig, new Metrics('test'));
  const kept = await own.hash('correct horse 1');
  const done: string[] = [];
  const choosing = Array.from({ length: 5 }, (_, n) => own.hash(`correct horse ${n}`).then(() => done.push('chosen')));
  await own.isRight(kept, 'correct horse 1').then(() => done.push('checked'));
  await Promise.all(choosing);
  expect(done.indexOf('checked')).toBeLessThanOrEqual(1);
});

it('the commonest are as they are compared, and only some are too short to matter', () => {
  expect([...COMMONEST].filter((word) => word !== word.toLowerCase().normalize('NFKC'))).toEqual([]);
  expect([...COMMONEST].filter((word) => word.length >= PASSWORD_LENGTH[0]).length).toBeGreaterThan(400);
});
