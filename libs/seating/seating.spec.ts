import fc from 'fast-check';
import { bestAvailable, capacityOf, type Plan, planErrors, type Seat, seatsOf, type Wanted } from '#seating';

const plan = (...rows: string[]): Plan => rows.map((seats, at) => ({ name: String.fromCharCode(65 + at), seats }));
const free = () => true;
const best = (rows: string[], wanted: number | Wanted, ...taken: string[]) =>
  bestAvailable(plan(...rows), (id) => !taken.includes(id), typeof wanted === 'number' ? { seats: wanted } : wanted)?.join(' ');

describe('a plan', () => {
  it('numbers its seats from the left without the gaps, and knows what each is', () => {
    const seats = seatsOf(plan('s.wC', '.xH'));
    expect(seats.map(({ id, column }) => `${id}:${column}`)).toEqual(['A1:0', 'A2:2', 'A3:3', 'B1:1', 'B2:2']);
    expect(seats.map(({ kind }) => kind)).toEqual(['seat', 'wheelchair', 'companion', 'broken', 'house']);
    expect(seats.map(({ area }) => area)).toEqual(['standard', 'standard', 'premium', 'standard', 'premium']);
    expect(capacityOf(plan('s.wC', '.xH'))).toBe(4);
  });

  it('is right when it can be an auditorium', () => {
    expect(planErrors(plan('ss.ss', 'cw.wc', 'SSxHS'))).toEqual([]);
    expect(planErrors([{ name: '1', seats: 's'.repeat(80) }])).toEqual([]);
  });

  it.each<[string, Plan, string, string]>([
    ['no rows', [], '', 'must have 1 to 60 rows, and has 0'],
    ['too many rows', plan(...Array<string>(61).fill('s')), '', 'must have 1 to 60 rows, and has 61'],
    ['a row without a name', [{ name: '', seats: 's' }], '/0/name', 'must be 1 to 3 capital letters or digits'],
    ['a row in small letters', [{ name: 'a', seats: 's' }], '/0/name', 'must be 1 to 3 capital letters or digits'],
    ['a row that ends a line', [{ name: 'A\n', seats: 's' }], '/0/name', 'must be 1 to 3 capital letters or digits'],
    ['no places in a row', plan('s', ''), '/1/seats', 'must have 1 to 80 places, and has 0'],
    ['too many places in a row', plan('s'.repeat(81)), '/0/seats', 'must have 1 to 80 places, and has 81'],
    ['a letter nobody knows', plan('s', 'sqſs'), '/1/seats', 'must be written in s, w, c, h, x and . alone, without "q" "ſ"'],
    ['two rows of a name', [...plan('s'), ...plan('s')], '/1/name', 'is the name of another row too'],
    ['a companion alone', plan('wsc'), '/0/seats', `the companion's seat A3 must be next to a wheelchair place`],
    ['a companion over the aisle', plan('w.c'), '/0/seats', `the companion's seat A2 must be next to a wheelchair place`],
    ['nothing to sell', plan('xx', '..'), '', 'must have a seat that can be sold'],
    ['too many seats', plan(...Array<string>(20).fill('s'.repeat(80))), '', 'must have at most 1500 seats, and has 1600'],
  ])('is wrong with %s', (_, wrong, pointer, detail) => {
    expect(planErrors(wrong)).toEqual([{ pointer, detail }]);
  });

  it('is wrong when two of its seats would have one name', () => {
    const [one, eleven] = ['1', '11'].map((name) => ({ name, seats: 's'.repeat(11) }));
    expect(planErrors([one!, eleven!])).toEqual([{ pointer: '/1/name', detail: 'makes a seat 111, and so does row 1' }]);
    expect(new Set(seatsOf([one!, eleven!]).map(({ id }) => id)).size).toBe(21);
  });
});

describe('the best seats', () => {
  it('are in the middle, two thirds back', () => {
    const hall = Array<string>(7).fill('sssssssss');
    expect(best(hall, 1)).toBe('E5');
    expect(best(hall, 3)).toBe('E4 E5 E6');
    expect(best(hall, { seats: 3 }, 'E4', 'E5', 'E6')).toBe('D4 D5 D6');
  });

  it('leave no seat alone while there is another choice', () => {
    expect(best(['sssss'], 2)).toBe('A1 A2');
    expect(best(['sssss'], 2, 'A1')).toBe('A2 A3');
    expect(best(['ssss'], 3)).toBe('A1 A2 A3');
    expect(best(['sssss', 'ssss'], 4)).toBe('B1 B2 B3 B4');
    // Nor one between two groups.
    expect(best(['ss', 'ssSss'], { seats: 4, area: 'standard' })).toBe('A1 A2 B1 B2');
  });

  it('are neighbours with no gap and no broken, house, or other seat between them', () => {
    for (const row of ['ss.ss', 'ssxss', 'sshss', 'sswss']) expect(best([row, 'sss'], 3)).toBe('B1 B2 B3');
  });

  it('are in as few groups of two or more as can be when no row has room', () => {
    expect(best(['ssss', 'ss', 'sss'], 6)).toBe('A1 A2 A3 A4 B1 B2');
    expect(best(['sss', 's', 's'], 4)).toBeUndefined();
    expect(best(['ss', 'ss', 'ss'], 6)).toBe('A1 A2 B1 B2 C1 C2');
    expect(best(['ss', 'ss', 'ss'], 5)).toBeUndefined();
  });

  it('are in the area that is wanted', () => {
    expect(best(['ssSSSss'], { seats: 2, area: 'standard' })).toBe('A1 A2');
    expect(best(['ssSSSss'], { seats: 3, area: 'premium' })).toBe('A3 A4 A5');
    expect(best(['ssSSSss'], { seats: 4, area: 'premium' })).toBeUndefined();
  });

  it('have companions beside their wheelchair, and no wheelchair places without one', () => {
    expect(best(['cwsss', 'sssss'], { seats: 2, wheelchairs: 1 })).toBe('A1 A2');
    expect(best(['cwcss'], { seats: 4, wheelchairs: 1 })).toBe('A2 A3 A4 A5');
    expect(best(['cw.ssss'], { seats: 4, wheelchairs: 1 })).toBe('A1 A2 A3 A4');
    expect(best(['cwwc', 'ssss'], { seats: 4, wheelchairs: 2 })).toBe('A1 A2 A3 A4');
    expect(best(['wc', 'ws'], { seats: 1, wheelchairs: 1 })).toBe('B1');
    expect(best(['cwss'], 4)).toBeUndefined();
    expect(best(['cw.s'], 2)).toBeUndefined();
    expect(best(['ssss'], { seats: 2, wheelchairs: 1 })).toBeUndefined();
  });

  it('are refused to who wants none, or more wheelchairs than seats', () => {
    for (const wrong of [{ seats: 0 }, { seats: 21 }, { seats: 1.5 }, { seats: NaN }, { seats: 1, wheelchairs: 2 }])
      expect(() => bestAvailable(plan('ss'), free, wrong)).toThrow(RangeError);
    expect(bestAvailable([], free, { seats: 1 })).toBeUndefined();
  });
});

/** Neighbours of a seat among others. */
const beside = (seats: readonly Seat[], { row, column }: Seat) =>
  seats.filter((other) => other.row === row && Math.abs(other.column - column) === 1);

/** A way to seat a party, as anybody would judge it by looking: undefined when it is not allowed, else what it costs. */
function judge(chosen: readonly Seat[], all: readonly Seat[], { seats, wheelchairs = 0 }: Wanted) {
  const rolling = chosen.filter(({ kind }) => kind === 'wheelchair');
  const groups = chosen.filter(({ row, column }) => !chosen.some((other) => other.row === row && other.column === column - 1));
  const isAlone = (seat: Seat) => beside(chosen, seat).length === 0;
  const isStray = (seat: Seat) => seat.kind === 'companion' && beside(rolling, seat).length === 0;
  if (rolling.length !== wheelchairs || chosen.some(isStray) || (seats > 1 && chosen.some(isAlone))) return undefined;
  const ordinary = all.filter(({ kind }) => kind === 'seat');
  const left = ordinary.filter((seat) => !chosen.includes(seat));
  const orphans = left.filter((seat) => beside(left, seat).length === 0 && beside(ordinary, seat).length > 0);
  return { groups: groups.length, orphans: orphans.length };
}

/** Every choice of so many. */
function* choices<T>(from: readonly T[], count: number, start = 0): Generator<T[]> {
  if (count === 0) return void (yield []);
  for (let at = start; at <= from.length - count; at++)
    for (const rest of choices(from, count - 1, at + 1)) yield [from[at]!, ...rest];
}

const LETTERS = 'sssssssssSSwwcc.hx';
const rows = fc.array(fc.string({ unit: fc.constantFrom(...LETTERS), minLength: 1, maxLength: 8 }), {
  minLength: 1,
  maxLength: 3,
});
const wants = fc.record({
  seats: fc.integer({ min: 1, max: 6 }),
  rolling: fc.constantFrom(0, 0, 0, 1, 2),
  area: fc.constantFrom(undefined, undefined, 'standard' as const, 'premium' as const),
});

it('is as good as the best of all choices there are', () => {
  let [found, split, orphaned] = [0, 0, 0];
  const check = (
    letters: string[],
    { rolling, ...want }: { seats: number; rolling: number; area?: 'standard' | 'premium' },
    luck: number,
  ) => {
    const wanted = { ...want, wheelchairs: Math.min(rolling, want.seats) };
    const here = plan(...letters);
    const isFree = (id: string) => ((id.charCodeAt(0) * 31 + Number(id.slice(1)) * 17 + luck) * 7919) % 5 !== 0;
    const ids = bestAvailable(here, isFree, wanted);
    const all = seatsOf(here).filter(({ id, kind }) => isFree(id) && kind !== 'house' && kind !== 'broken');
    const may = all.filter(({ area }) => wanted.area === undefined || area === wanted.area);
    const chosen = may.filter(({ id }) => ids?.includes(id));
    expect(chosen.map(({ id }) => id)).toEqual(ids ?? []);
    const rank = ({ groups, orphans }: { groups: number; orphans: number }) => groups * 100 + orphans;
    let least: number | undefined;
    for (const choice of choices(may, wanted.seats)) {
      const judged = judge(choice, all, wanted);
      if (judged && (least === undefined || rank(judged) < least)) least = rank(judged);
    }
    const own = ids && judge(chosen, all, wanted);
    expect(own && rank(own)).toBe(least);
    expect(ids === undefined || ids.length === wanted.seats).toBe(true);
    expect(bestAvailable(here, isFree, wanted)).toEqual(ids);
    if (own) [found, split, orphaned] = [found + 1, split + Number(own.groups > 1), orphaned + Number(own.orphans > 0)];
  };
  fc.assert(fc.property(rows, wants, fc.nat(4), check), { numRuns: 2000 });
  // Chance must have asked the questions that matter.
  expect([found > 500, split > 50, orphaned > 50]).toEqual([true, true, true]);
});

it('is found in less than a millisecond among 400 seats', () => {
  const hall = plan(...Array<string>(20).fill('sssss.ssssssssss.sssss'));
  const isFree = (id: string) => (id.charCodeAt(0) * 7 + Number(id.slice(1)) * 13) % 11 > 2;
  const spentMs = Array.from({ length: 60 }, () => {
    const started = performance.now();
    bestAvailable(hall, isFree, { seats: 8 });
    return performance.now() - started;
  }).sort((a, b) => a - b);
  expect(spentMs[30]).toBeLessThan(1);
});
