import type { Operation } from './history.js';
import { lostFaults } from './kept.js';
import { bookFaults, type Books, type LedgerRow, unbalanced } from './ledger.js';

const entry = (posting: string, purchase: string, account: string, amountMinor: number): LedgerRow => ({
  ...{ posting, purchase, account, amountMinor },
  ...{ screening: 's', kind: 'sale', currency: 'PEN' },
});
const sale = (posting: string, purchase: string) => [
  entry(posting, purchase, 'provider', 118),
  entry(posting, purchase, 'sales', -100),
  entry(posting, purchase, 'tax', -18),
];
const paid = { screening: 's', cinema: 'c', state: 'paid', totalMinor: 118, seats: 1, tickets: 1, provider: 'sandbox' };

/** One purchase that is paid, and one that was paid and given back. */
const good: Books = {
  entries: [
    ...sale('o1', 'p1'),
    ...sale('o2', 'p2'),
    ...[entry('o3', 'p2', 'sales', 100), entry('o3', 'p2', 'tax', 18), entry('o3', 'p2', 'refunds', -118)],
    ...[entry('o4', 'p2', 'refunds', 118), entry('o4', 'p2', 'provider', -118)],
  ],
  purchases: [
    { ...paid, id: 'p1', payment: 'a1', receipt: 1 },
    { ...paid, id: 'p2', payment: 'a2', receipt: 2, state: 'refunded' },
  ],
  attempts: [
    { id: 'a1', purchase: 'p1' },
    { id: 'a2', purchase: 'p2' },
  ],
  provider: [
    { kind: 'payment', reference: 'a1', amountMinor: 118, state: 'approved' },
    { kind: 'payment', reference: 'a2', amountMinor: 118, state: 'approved' },
    { kind: 'refund', reference: 'r2', payment: 'a2', amountMinor: 118, state: 'done' },
  ],
};
const with1 = (over: Partial<Books['purchases'][0]>): Books => ({ ...good, purchases: [{ ...good.purchases[0]!, ...over }, good.purchases[1]!] }); // prettier-ignore

describe('the checker of the books', () => {
  it('accepts sales, refunds, and an exchange over two purchases', () => {
    expect(bookFaults(good)).toEqual([]);
    const exchanged: Books = {
      entries: [
        ...sale('o1', 'p1'),
        ...[
          entry('o2', 'p1', 'sales', 100),
          entry('o2', 'p1', 'tax', 18),
          entry('o2', 'p3', 'sales', -90),
          entry('o2', 'p3', 'tax', -8),
        ],
        ...[entry('o2', 'p1', 'refunds', -20), entry('o3', 'p1', 'refunds', 20), entry('o3', 'p1', 'provider', -20)],
      ],
      purchases: [
        { ...paid, id: 'p1', payment: 'a1', receipt: 1, state: 'exchanged', exchangedFor: 'p3' },
        { ...paid, id: 'p3', payment: 'a1', receipt: 2, totalMinor: 98 },
      ],
      attempts: [{ id: 'a1', purchase: 'p1' }],
      provider: [good.provider[0]!, { kind: 'refund', reference: 'r', payment: 'a1', amountMinor: 20, state: 'done' }],
    };
    expect(bookFaults(exchanged)).toEqual([]);
  });

  it('sees sums that are not zero', () => {
    const off = { ...good, entries: good.entries.slice(1) };
    expect(unbalanced(off).map((fault) => fault.split(' in ')[0])).toEqual([
      'unbalanced: posting o1',
      'unbalanced: purchase p1',
      'unbalanced: screening s',
    ]);
  });

  it('sees money without tickets or refund, with both, and of nobody', () => {
    expect(bookFaults(with1({ state: 'expired' }))).toEqual(['charged: payment a1 of 118 has neither tickets nor a refund']);
    const twice = { ...good, provider: [...good.provider, { ...good.provider[2]!, reference: 'r1', payment: 'a1' }] };
    expect(bookFaults(twice)[0]).toBe('charged: of payment a1 of 118 are 118 sold and 118 given back');
    const nobodys = { ...good, provider: [...good.provider, { ...good.provider[0]!, reference: 'a9' }] };
    expect(bookFaults(nobodys)[0]).toBe('unknown: payment a9 was charged, and no purchase asked for it');
  });

  it('sees what is paid without money, tickets or receipt', () => {
    const unpaid = { ...good, provider: [{ ...good.provider[0]!, state: 'declined' }, ...good.provider.slice(1)] };
    expect(bookFaults(unpaid)).toContain('unpaid: purchase p1 is paid, and the provider has nothing');
    expect(bookFaults(with1({ tickets: 0 }))).toEqual(['tickets: purchase p1 of 1 seats has 0']);
    expect(bookFaults(with1({ receipt: undefined }))[0]).toBe('receipt: purchase p1 has none');
    expect(bookFaults(with1({ receipt: 3 }))).toEqual(['receipts: cinema c has 2 where 1 should be']);
  });

  it('sees what is not settled, owed, or not what the provider says', () => {
    expect(bookFaults(with1({ state: 'paying' }))).toContain('unsettled: purchase p1 is still being paid');
    const owed = { ...good, entries: good.entries.slice(0, -2) };
    expect(bookFaults(owed)).toEqual([
      'books: purchase p2 has 118 at the provider by us, 0 by them',
      'owed: purchase p2 still has 118 to get back',
    ]);
  });
});

describe('the checker of what was acknowledged', () => {
  const did = (f: Operation['f'], purchase: string, from?: string): Operation => ({
    ...{ f, type: 'ok', calledAt: 0, returnedAt: 1 },
    value: {
      screening: 's',
      seats: ['A1'],
      purchase,
      from: from ? { purchase: from, screening: 's', seats: ['A2'] } : undefined,
    },
  });
  const stored = (states: Record<string, string>) => new Map(Object.entries(states));

  it('accepts what buyers were told, and what they asked for since', () => {
    const told = [did('hold', 'p1'), did('pay', 'p1'), did('hold', 'p2'), did('pay', 'p2'), did('exchange', 'p3', 'p2')];
    expect(lostFaults(told, stored({ p1: 'paid', p2: 'exchanged', p3: 'paid' }))).toEqual([]);
    expect(lostFaults([did('hold', 'p1'), did('cancel', 'p1')], stored({ p1: 'cancelled' }))).toEqual([]);
    expect(lostFaults([did('pay', 'p1')], stored({ p1: 'refunded' }), new Set(['s']))).toEqual([]);
  });

  it('sees what is gone, or something else', () => {
    expect(lostFaults([did('hold', 'p1')], stored({}))).toEqual([
      'lost: purchase p1 was acknowledged as held, and there is none',
    ]);
    expect(lostFaults([did('pay', 'p1')], stored({ p1: 'held' }))).toEqual([
      'lost: purchase p1 was acknowledged as paid, and is held',
    ]);
    expect(lostFaults([did('pay', 'p1')], stored({ p1: 'refunded' }))[0]).toMatch(/nobody asked for that$/);
    expect(lostFaults([did('exchange', 'p3', 'p2')], stored({ p2: 'paid', p3: 'paid' }))).toEqual(['lost: purchase p2 was exchanged, and is paid']); // prettier-ignore
  });
});
