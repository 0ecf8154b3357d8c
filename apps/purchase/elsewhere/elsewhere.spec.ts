import { randomUUID } from 'node:crypto';
import type { Desk } from '#testing';
import { CHAIN, CINEMA, Hall } from '../hold/hall.contract.js';
import type { PurchaseState } from '../purchase.events.js';

let hall: Hall, manager: Desk, stranger: Desk, show: string;
const bind = async (cinema: string) => {
  const user = randomUUID();
  const body = { user, role: 'manager', chain: CHAIN, cinemas: [cinema] };
  await hall.desk.tell({ name: 'manager.created', key: randomUUID(), body });
  await hall.desk.found('SELECT 1 FROM staff WHERE "user" = $1', [user]);
  return hall.desk.as(await hall.mesh.bearerFor({ id: user, roles: ['manager'] }));
};
beforeAll(async () => {
  hall = await Hall.open();
  [manager, stranger] = [await bind(CINEMA), await bind(randomUUID())];
});
beforeEach(async () => (show = await hall.plan()));
afterAll(() => hall.stop());

type Result = { status: string; id: string; type?: string; errors?: object[]; taken?: string[] };
const sale = (seats: string[], over: object = {}) => ({ screening: show, seats, reference: randomUUID(), ...over });
const bring = async (sales: unknown[], over: object = {}, as = manager) =>
  (await as.post('/import', { sales, ...over }).expect(200)).body.results as Result[];
const statuses = (results: Result[]) => results.map(({ status }) => status);
const accounts = async (purchase: string) => {
  const rows = await hall.desk.sql<{ account: string; sum: number }>(
    'SELECT account, sum("amountMinor")::int AS sum FROM ledger_entry WHERE purchase = $1 GROUP BY account HAVING sum("amountMinor") <> 0',
    [purchase],
  );
  return Object.fromEntries(rows.map(({ account, sum }) => [account, sum]));
};

describe('seats that were sold elsewhere', () => {
  it('are tried first, and nothing is written', async () => {
    const results = await bring([sale(['A1']), sale(['A1']), sale(['Z9'])], { dryRun: true });
    expect(results).toMatchObject([
      { status: 'accepted' },
      { type: '/problems/seat-taken', taken: ['A1'] },
      { type: '/problems/unknown-seat', errors: [{ pointer: '/seats/0' }] },
    ]);
    expect(await hall.claimed(show)).toEqual([]);
    expect(await hall.desk.sql('SELECT 1 FROM purchase WHERE screening = $1', [show])).toEqual([]);
  });

  it('are paid without us, with tickets, and in the books as money that lies elsewhere', async () => {
    const soldAt = '2026-11-01T10:00:00-05:00';
    const [{ id }] = (await bring([sale(['A1', 'A2', 'F1'], { amountMinor: 10_000, soldAt, reference: 'R-1' })])) as [Result];
    const row = await hall.row<Omit<PurchaseState, 'receipt' | 'paidAt'> & { receipt: null; paidAt: Date }>(id);
    expect(row).toMatchObject({
      state: 'paid',
      totalMinor: 10_000,
      receipt: null,
      payment: { provider: 'elsewhere', reference: 'R-1' },
    });
    expect(row.lines.map(({ amountMinor }) => amountMinor)).toEqual([3334, 3333, 3333]);
    expect(row.paidAt).toEqual(new Date(soldAt));
    expect(row.tickets!.map(({ seat }) => seat)).toEqual(['A1', 'A2', 'F1']);
    expect(await accounts(id)).toEqual({ elsewhere: 10_000, sales: row.taxMinor - 10_000, tax: -row.taxMinor });
    expect(await hall.claimed(show)).toEqual(['A1', 'A2', 'F1']);
    const admitted = await hall.sales.admit(row.tickets![0]!.id, randomUUID());
    expect(admitted.ticket.seat).toBe('A1');
    expect(await hall.desk.sql('SELECT 1 FROM mail WHERE about = $1', [id])).toEqual([]);
  });

  it('cost what adults pay here when nobody says what was paid', async () => {
    const [{ id }] = (await bring([sale(['A1', 'F1'])])) as [Result];
    expect(await hall.row(id)).toMatchObject({ totalMinor: 6500 });
  });

  it('are all had or none, are told who is in the way, and are the same when they come again', async () => {
    await hall.hold(await hall.customer(), show, ['B2']);
    const batch = [sale(['B1', 'B2']), sale(['C1']), sale(['C2'], { seats: [] }), sale(['C1'])];
    const results = await bring(batch);
    expect(statuses(results)).toEqual(['refused', 'created', 'refused', 'refused']);
    expect(results[0]).toMatchObject({ type: '/problems/seat-taken', taken: ['B2'] });
    expect(results[2]!.errors).toMatchObject([{ pointer: '/seats' }]);
    expect(await hall.claimed(show)).toEqual(['B2', 'C1']);
    const again = await bring(batch);
    expect(statuses(again)).toEqual(['refused', 'existed', 'refused', 'refused']);
    expect(again[1]!.id).toBe(results[1]!.id);
    const twice = sale(['D1']);
    const both = await Promise.all([bring([twice]), bring([twice])]);
    expect(statuses(both.flat()).sort()).toEqual(['created', 'existed']);
  });

  it('are given back by whoever sold them, with no credit note of ours', async () => {
    const [{ id }] = (await bring([sale(['A1'])])) as [Result];
    const { body } = await hall.deed(hall.desk.as(hall.cashier), id, 'refund').expect(200);
    expect(body).toMatchObject({ state: 'refunded', refund: { state: 'done' } });
    expect(body.refund).not.toHaveProperty('creditNote');
    expect(await accounts(id)).toEqual({});
    expect(await hall.claimed(show)).toEqual([]);
  });

  it('can be exchanged, and stay one sale elsewhere', async () => {
    const [{ id }] = (await bring([sale(['A1'], { reference: 'R-2' })])) as [Result];
    const choice = { screening: show, seats: [{ seat: 'A5', category: 'adult' }] };
    const { body } = await hall.deed(hall.desk.as(hall.cashier), id, 'exchange', choice).expect(201);
    expect(body).toMatchObject({ state: 'paid', payment: { provider: 'elsewhere' } });
    expect(body).not.toHaveProperty('receipt');
    expect(await bring([sale(['A9'], { reference: 'R-2' })])).toEqual([{ status: 'existed', id }]);
  });

  it('are brought by who acts there, for what is still to come, and not more than 100 sales together', async () => {
    expect(await bring([sale(['A1'])], {}, stranger)).toMatchObject([{ type: '/problems/out-of-bounds' }]);
    await hall.desk.as(hall.cashier).post('/import', { sales: [] }).expect(403);
    await hall.desk.post('/import', { sales: [] }).expect(401);
    await manager.post('/import', { sales: Array(101).fill(7) }).expect(400);
    const over = await hall.plan({}, -3);
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
    const results = await bring([
      sale(['A1'], { screening: over }),
      sale(['A1'], { screening: randomUUID() }),
      sale(['A1'], { soldAt: tomorrow }),
    ]);
    expect(results).toMatchObject([
      { type: '/problems/screening-over' },
      { errors: [{ pointer: '/screening' }] },
      { errors: [{ pointer: '/soldAt' }] },
    ]);
    expect(await hall.claimed(show)).toEqual([]);
  });
});
