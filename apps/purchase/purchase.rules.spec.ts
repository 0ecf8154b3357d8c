import fc from 'fast-check';
import type { PurchaseProgress } from './purchase.events.js';
import {
  checkNext,
  checkReturn,
  exchangeChange,
  isOnSale,
  linesOf,
  mayBecome,
  taxIn,
  totalsOf,
  withStep,
} from './purchase.rules.js';

const START = '2026-11-22T20:00:00.000Z';
const END = '2026-11-22T22:00:00.000Z';
const at = (text: string) => ({ nowMs: Date.parse(`2026-11-22T${text}Z`), startAt: START, endAt: END });
const slugOf = (fn: () => unknown) => {
  try {
    fn();
    return 'fine';
  } catch (error) {
    return (error as { type: string }).type;
  }
};

describe('states', () => {
  it('follow one another as sales do, and what is over stays', () => {
    const all: PurchaseProgress[] = ['held', 'paying', 'paid', 'refunded', 'exchanged', 'expired', 'cancelled'];
    const ways = all.flatMap((from) => all.filter((to) => mayBecome(from, to)).map((to) => `${from} → ${to}`));
    expect(ways).toEqual([
      ...['held → paying', 'held → paid', 'held → expired', 'held → cancelled'],
      ...['paying → held', 'paying → paid', 'paying → expired', 'paying → cancelled', 'paid → refunded', 'paid → exchanged'],
    ]);
    expect(slugOf(() => checkNext('expired', 'paying'))).toBe('hold-expired');
    expect(slugOf(() => checkNext('refunded', 'refunded'))).toBe('purchase-state');
  });

  it('leave their steps, without a doer where nobody did it', () => {
    const history = withStep([], START, 'held');
    expect(withStep(history, END, 'cancelled', 'ana', 'why')).toEqual([
      { at: START, what: 'held' },
      { at: END, what: 'cancelled', by: 'ana', detail: 'why' },
    ]);
    expect(history).toHaveLength(1);
  });
});

describe('the tax in a price', () => {
  it.each([
    [2500, 1800, 381], // 381.36
    [1500, 1800, 229], // 228.81
    [3, 10_000, 2], // 1.5: half up
    [1000, 0, 0],
    [0, 1800, 0],
    [990, 1900, 158], // Chile, no decimals: 158.07
  ])('of %d at %d basis points is %d', (amount, points, tax) => expect(taxIn(amount, points)).toBe(tax));

  it('is the nearest whole unit, whatever the price and the rate', () => {
    fc.assert(
      fc.property(fc.nat(100_000_000), fc.nat(10_000), (amount, points) => {
        const [tax, exact] = [taxIn(amount, points), (amount * points) / (10_000 + points)];
        return Number.isInteger(tax) && tax <= amount && Math.abs(tax - exact) <= 0.5 + 1e-6;
      }),
    );
  });

  it('of a purchase is the sum of its lines, each rounded by itself', () => {
    const prices = [{ area: 'standard', category: 'adult', amountMinor: 1010 }] as const;
    const wanted = ['A1', 'A2', 'A3'].map((seat) => ({ seat, area: 'standard', category: 'adult' }) as const);
    const { lines, unpriced } = linesOf(wanted, [...prices], { name: 'IGV', basisPoints: 1800 });
    expect(unpriced).toEqual([]);
    expect(totalsOf(lines)).toEqual({ totalMinor: 3030, taxMinor: 3 * 154 }); // 154.07 each, 462.20 in all
    expect(
      linesOf([{ seat: 'B1', area: 'premium', category: 'adult' }], [...prices], { name: 'IGV', basisPoints: 1800 }).unpriced,
    ).toEqual([0]);
  });
});

it('seats are sold until the trailers are over', () => {
  expect([at('20:15:00'), at('20:15:01')].map((times) => isOnSale(times, 15))).toEqual([true, false]);
});

it('a purchase is given back by buyers until an hour before, by staff until the end', () => {
  const buyer = { isStaff: false, refundUntilMinutes: 60 };
  expect([at('19:00:00'), at('19:00:01')].map((times) => slugOf(() => checkReturn(times, buyer)))).toEqual([
    'fine',
    'refund-too-late',
  ]);
  const staff = { ...buyer, isStaff: true };
  expect([at('22:00:00'), at('22:00:01')].map((times) => slugOf(() => checkReturn(times, staff)))).toEqual([
    'fine',
    'refund-too-late',
  ]);
  const tickets = [{ id: '1', seat: 'A1', code: '', admittedAt: START }];
  expect([buyer, staff].map((who) => slugOf(() => checkReturn(at('18:00:00'), { ...who, tickets })))).toEqual([
    'ticket-used',
    'fine',
  ]);
});

it('an exchange gives back what is left, and never asks for more', () => {
  expect([exchangeChange(5000, 3000, 'PEN'), exchangeChange(5000, 5000, 'PEN')]).toEqual([2000, 0]);
  expect(() => exchangeChange(3000, 5000, 'PEN')).toThrow(
    expect.objectContaining({ extra: { missingMinor: 2000, currency: 'PEN' } }),
  );
});
