import fc from 'fast-check';
import { basketFaults, type Baskets } from './basket.js';
import { percentilesOf, upperBound } from './figures.js';
import { type DeedValue, type Entry, operationsOf } from './history.js';
import { legalHistory } from './legal.contract.js';
import { seatFaults } from './seat.js';

const MS = 1e6;

/** `hold p1 A1 0-3`: a deed, its purchase, its seat, from and until when; with `!` it was refused, with `?` nobody knows. */
function history(...deeds: string[]): Entry[] {
  const entries = deeds.flatMap((deed, process): Entry[] => {
    const [, f, mark, purchase, seats, from, until, lapse] = /^(\w+)([!?]?) (\w+) (\S+) (\d+)-(\d+)(?: (\d+))?$/.exec(deed)!;
    const type = mark === '!' ? 'fail' : mark === '?' ? 'info' : 'ok';
    const asked = { screening: 's', seats: seats!.split(',') };
    const value: DeedValue = { ...asked, purchase, ...(lapse ? { until: Number(lapse) * MS } : {}) };
    const error = f === 'hold' ? 'seat-taken' : 'hold-expired';
    const common = { process, f: f as Entry['f'] };
    return [
      { ...common, type: 'invoke', value: f === 'hold' ? asked : value, time: Number(from) * MS },
      { ...common, type, value: type === 'fail' ? { ...value, error } : type === 'info' ? ({} as DeedValue) : value, time: Number(until) * MS },
    ]; // prettier-ignore
  });
  return entries.sort((a, b) => a.time - b.time);
}
const faults = (...deeds: string[]) => seatFaults(operationsOf(history(...deeds))).map(({ sentence }) => sentence);

describe('the checker of seats', () => {
  it('accepts what one seat can do', () => {
    expect(faults('hold p1 A1 0-3', 'hold! p2 A1 1-2')).toEqual([]);
    expect(faults('hold p1 A1 0-3', 'pay p1 A1 4-5', 'refund p1 A1 6-7', 'hold p2 A1 8-9')).toEqual([]);
    expect(faults('hold p1 A1 0-3', 'cancel p1 A1 4-8', 'hold p2 A1 5-6')).toEqual([]);
    expect(faults('hold? p1 A1 0-3', 'hold! p2 A1 900-901')).toEqual([]);
    expect(faults('hold? p1 A1 0-3', 'hold p2 A1 900-901')).toEqual([]);
  });

  it('sees a seat sold twice', () => {
    expect(faults('hold p1 A1 0-3', 'hold p2 A1 1-4')).toEqual(['s A1 was given to p2 until 4.0 ms, but was held:p1']);
    expect(faults('hold p1 A1,A2 0-3', 'pay p1 A1,A2 4-5', 'hold p2 A2,A3 6-7')[0]).toMatch(/^s A2 was given to p2 .* fixed:p1$/);
  });

  it('sees a refusal of what nobody had', () => {
    expect(faults('hold! p2 A1 0-1')).toEqual(['s A1 was refused to p2 until 1.0 ms, but was free']);
    expect(faults('hold p1 A1 0-1', 'cancel p1 A1 2-3', 'hold! p2 A1 4-5')[0]).toMatch(/refused to p2 .* free$/);
    expect(faults('hold! p2 A1 0-1', 'hold p1 A1 2-3')[0]).toMatch(/refused to p2 .* free$/);
  });

  it('knows when a hold lapses, give or take the clocks, and that paying prevents it', () => {
    expect(faults('hold p1 A1 0-1 1000', 'hold p2 A1 1100-1101')).toEqual([]);
    expect(faults('hold p1 A1 0-1 1000', 'hold! p2 A1 1010-1011')).toEqual([]);
    expect(faults('hold p1 A1 0-1 1000', 'hold! p2 A1 1100-1101')[0]).toMatch(/refused to p2/);
    expect(faults('hold p1 A1 0-1 1000', 'hold p2 A1 900-901')[0]).toMatch(/given to p2 .* held:p1/);
    expect(faults('hold p1 A1 0-1 1000', 'pay p1 A1 500-2000', 'hold! p2 A1 1500-1501')).toEqual([]);
    expect(faults('hold p1 A1 0-1 1000', 'pay p1 A1 500-800', 'hold p2 A1 1500-1501')[0]).toMatch(/given to p2 .* late:p1/);
    expect(faults('hold p1 A1 0-1 1000', 'hold p2 A1 1100-1101', 'pay p1 A1 1200-1300')[0]).toMatch(/paid by p1 .* held:p2/);
    expect(faults('hold p1 A1 0-1 1000', 'pay! p1 A1 1200-1300')).toEqual([]);
    expect(faults('hold p1 A1 0-1 1000', 'pay! p1 A1 500-600')[0]).toMatch(/said to have lapsed for p1/);
  });

  it('accepts all that a perfect shop does, also when answers are lost', () => {
    const shop = {
      buyers: fc.integer({ min: 1, max: 12 }),
      deeds: fc.integer({ min: 1, max: 150 }),
      seats: fc.integer({ min: 1, max: 8 }),
    };
    fc.assert(
      fc.property(fc.record({ ...shop, seed: fc.integer(), lostOfTen: fc.integer({ min: 0, max: 2 }) }), (options) => {
        expect(seatFaults(operationsOf(legalHistory(options)))).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it('rejects it when one refusal is told to be a sale, or one sale made up', () => {
    const options = fc.record({ seed: fc.integer(), buyers: fc.constant(6), deeds: fc.constant(80), seats: fc.constant(3) });
    let seen = 0;
    fc.assert(
      fc.property(options, fc.nat(), (made, nth) => {
        const legal = legalHistory(made);
        const refusals = legal.filter(({ f, type, value }) => f === 'hold' && type === 'fail' && value.taken?.length);
        const lie = refusals[nth % Math.max(1, refusals.length)];
        fc.pre(lie !== undefined);
        const twisted = legal.map((entry) => (entry === lie ? { ...entry, type: 'ok' as const, value: { ...entry.value, purchase: 'twice' } } : entry)); // prettier-ignore
        // A refusal that stands beside a cancel may as well have been a sale; what came after must then speak against it.
        if (seatFaults(operationsOf(twisted)).length > 0) seen++;
      }),
      { numRuns: 100, seed: 1 },
    );
    expect(seen).toBeGreaterThan(80);
  });

  it('judges 40,000 deeds of 64 buyers in less than three seconds of a processor', () => {
    const operations = operationsOf(legalHistory({ seed: 7, buyers: 64, deeds: 40_000, seats: 200 }));
    const before = process.cpuUsage();
    expect(seatFaults(operations)).toEqual([]);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(3);
  });

  it('wants each process to do one thing at a time', () => {
    const [invoke] = history('hold p1 A1 0-3');
    expect(() => operationsOf([invoke!, invoke!])).toThrow('process 0 did two things at a time');
    expect(() => operationsOf([{ ...invoke!, type: 'ok' }])).toThrow('had not asked for');
  });
});

describe('the checker of baskets', () => {
  const claims = (purchase: string, ...seats: string[]) => seats.map((seat) => ({ screening: 's', seat, purchase }));
  const basket = (purchase: string, ...seats: string[]) => ({ screening: 's', seats, purchase });
  const kinds = (baskets: Baskets) => basketFaults(baskets).map(({ kind }) => kind);

  it('accepts baskets that are whole, and those that nobody was told of', () => {
    expect(
      kinds({ told: [basket('p1', 'A1', 'A2')], claims: claims('p1', 'A1', 'A2'), live: [basket('p1', 'A1', 'A2')] }),
    ).toEqual([]);
    const unknown = [{ screening: 's', seats: ['A3', 'A4'] }, basket('p3', 'A5')];
    expect(kinds({ told: [], unknown, claims: claims('p2', 'A3', 'A4') })).toEqual([]);
  });

  it('sees what is sold twice, half, not at all or to nobody', () => {
    expect(kinds({ told: [basket('p1', 'A1'), basket('p2', 'A1')], claims: [...claims('p1', 'A1'), ...claims('p2', 'A1')] })).toEqual(['double']); // prettier-ignore
    expect(kinds({ told: [basket('p1', 'A1')], claims: claims('p1', 'A1'), live: [basket('p1', 'A1'), basket('p2', 'A1')] })).toContain('double'); // prettier-ignore
    expect(kinds({ told: [basket('p1', 'A1', 'A2')], claims: claims('p1', 'A1') })).toEqual(['partial', 'unequal']);
    expect(kinds({ told: [basket('p1', 'A1')], claims: [] })).toEqual(['lost', 'unequal']);
    expect(kinds({ told: [], claims: claims('p1', 'A1') })).toEqual(['invented', 'unequal']);
    expect(kinds({ told: [], unknown: [{ screening: 's', seats: ['A1', 'A2'] }], claims: claims('p1', 'A1') })).toEqual([
      'invented',
    ]);
    expect(kinds({ told: [], unknown: [basket('p1', 'A1', 'A2')], claims: claims('p1', 'A1') })).toEqual(['partial']);
    expect(kinds({ told: [basket('p1', 'A1')], claims: claims('p1', 'A1'), live: [] })).toEqual(['invented']);
  });

  it('sees a seat that everybody asked for and nobody has', () => {
    const asked = ['A1', 'A2'].map((seat) => ({ screening: 's', seat }));
    expect(kinds({ told: [basket('p1', 'A1')], claims: claims('p1', 'A1'), asked })).toEqual(['unsold']);
  });
});

it('tells how sure it can be', () => {
  expect(upperBound(0, 100_000)).toBeCloseTo(3 / 100_000, 6);
  expect(upperBound(1, 100)).toBeCloseTo(0.0466, 3); // of the tables of Clopper and Pearson
  expect(upperBound(5, 20)).toBeCloseTo(0.4556, 3);
  expect(upperBound(0, 0)).toBe(1);
  const times = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(percentilesOf(times)).toEqual({ count: 100, p50: 50, p90: 90, p99: 99, max: 100 });
});
