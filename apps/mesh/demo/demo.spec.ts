import { planErrors, seatsOf } from '#seating';
import { CHAIN, CINEMAS, OTHERS, STAFF } from './chain.js';
import { accountLines } from './lines.js';
import { programme, type ProgrammeOptions } from './programme.js';

const films = [88, 107, 122, 194].map((minutes, i) => ({ id: `film-${i}`, minutes }));
const minutesOf = (id: string) => films.find((film) => film.id === id)!.minutes;
const now = Temporal.Instant.from('2026-11-22T15:00:00Z');
const lima: ProgrammeOptions = { auditorium: 'one', format: '2D', timeZone: 'America/Lima', now, days: 14, films };

describe('the programme of the demonstration', () => {
  it('shows several films a day, in the afternoon and evening of the cinema, for a fortnight', () => {
    const days = Map.groupBy(programme(lima), ({ localStartAt }) => localStartAt.slice(0, 10));
    expect(days.size).toBe(14);
    expect([...days.keys()][0]).toBe('2026-11-22');
    for (const shown of days.values()) {
      expect(shown.length).toBeGreaterThanOrEqual(3);
      for (const { localStartAt } of shown) expect(localStartAt).toMatch(/T(1[3-9]|2[0-2]):[0-5][05]$/);
    }
  });

  it('leaves twenty minutes between two films of an auditorium', () => {
    const shown = programme(lima).map(
      ({ localStartAt, movie }) => [Temporal.PlainDateTime.from(localStartAt), minutesOf(movie)] as const,
    );
    for (const [i, [start]] of shown.entries()) {
      const [before, minutes] = shown[i - 1] ?? [];
      if (before) expect(start.since(before.add({ minutes })).total('minutes')).toBeGreaterThanOrEqual(20);
    }
  });

  it('plans a day alike, whenever it is planned, and nothing that has begun', () => {
    const later = programme({ ...lima, now: now.add({ hours: 3 * 24 }) });
    const known = programme(lima).map((screening) => JSON.stringify(screening));
    const again = later.filter(({ localStartAt }) => localStartAt < '2026-12-06').map((screening) => JSON.stringify(screening));
    expect(again.length).toBeGreaterThan(30);
    expect(again.filter((screening) => !known.includes(screening))).toEqual([]);
    const evening = programme({ ...lima, now: Temporal.Instant.from('2026-11-23T01:00:00Z'), days: 1 });
    expect(evening.every(({ localStartAt }) => localStartAt > '2026-11-22T20:00')).toBe(true);
    expect(programme({ ...lima, auditorium: 'two' })).not.toEqual(programme(lima).map((it) => ({ ...it, auditorium: 'two' })));
  });
});

describe('the chain of the demonstration', () => {
  it('has six cinemas with sound auditoriums of different shapes', () => {
    expect(CINEMAS).toHaveLength(6);
    const layouts = CINEMAS.flatMap(({ auditoriums }) => auditoriums.map(({ layout }) => layout));
    for (const layout of layouts) expect(planErrors(layout)).toEqual([]);
    expect(new Set(layouts.map((layout) => seatsOf(layout).length)).size).toBeGreaterThanOrEqual(5);
    expect(new Set(CINEMAS.map(({ cinema }) => cinema.currency)).size).toBeGreaterThanOrEqual(5);
    expect(CHAIN.name).toBe('CineManzana');
  });

  it('prices each area and category in whole minor units', () => {
    for (const { cinema } of CINEMAS) {
      expect(cinema.priceCard).toHaveLength(8);
      for (const { amountMinor } of cinema.priceCard) expect(Number.isInteger(amountMinor) && amountMinor > 0).toBe(true);
    }
  });

  it('has an account for every role', () => {
    const roles = [...STAFF, ...OTHERS].map(({ role }) => role);
    expect([...roles].sort()).toEqual(['cashier', 'chain-admin', 'customer', 'manager', 'operator', 'usher']);
  });
});

it('tells the passwords of accounts that were made just now, and says nothing of the others', () => {
  const known = { role: 'usher', email: 'usher@cinemanzana.example' };
  expect(accountLines([known])).toEqual([]);
  expect(accountLines([known, { role: 'manager', email: 'm@cinemanzana.example', password: 'abc' }])).toEqual([
    'accounts of the demonstration, told this once (a new password: npx mesh password <e-mail>):',
    '  manager  m@cinemanzana.example with abc',
  ]);
});
