import { randomUUID } from 'node:crypto';
import { until, type Desk } from '#testing';
import { type Bought, CHAIN, CINEMA, Hall, screening } from './hold/hall.contract.js';
import type { PurchaseState } from './purchase.events.js';

let hall: Hall, ana: Desk, staff: Desk, show: string;
beforeAll(async () => {
  // Nobody is at the other end: what the provider says is said here.
  hall = await Hall.open({
    'payment.askMs': 100,
    'payment.retryMinMs': 600_000,
    'payment.retryMaxMs': 600_000,
    'storage.lockTimeoutMs': 5000,
  });
  staff = hall.desk.as(hall.cashier);
});
beforeEach(async () => ([ana, show] = [await hall.customer(), await hall.plan()]));
afterAll(() => hall.stop());

const stored = async (id: string) => hall.row<PurchaseState & { version: number; late: { isDone: boolean }[] }>(id);
const steps = async (id: string) => (await stored(id)).history.map(({ what }) => what);
const typeOf = ({ body }: { body: { type?: string } }) => body.type?.replace('/problems/', '');
const refunds = (purchase: string) =>
  hall.desk.sql<{ id: string; reason: string; amountMinor: number }>('SELECT id, reason, "amountMinor" FROM payment_refund WHERE purchase = $1', [purchase]); // prettier-ignore
/** What the purchase left in each account; those at zero are left out. */
const accounts = async (...purchases: string[]) => {
  const rows = await hall.desk.sql<{ account: string; sum: number }>(
    'SELECT account, sum("amountMinor")::int AS sum FROM ledger_entry WHERE purchase = ANY($1) GROUP BY account HAVING sum("amountMinor") <> 0',
    [purchases],
  );
  return Object.fromEntries(rows.map(({ account, sum }) => [account, sum]));
};
/** Those that wait: nobody is there who knows the address. */
const letters = async (about: string) =>
  (await hall.desk.sql<{ kind: string }>('SELECT kind FROM mail WHERE about = $1 ORDER BY id', [about])).map(({ kind }) => kind);
/** Paid through the provider. */
const paid = async (seats: readonly string[], desk = ana, at = show) => {
  const bought = await hall.paying(desk, at, seats);
  expect(await hall.sales.approved(bought.id, bought.payment.id)).toBe('paid');
  return bought;
};

describe('paying', () => {
  it('keeps the seats until the provider has answered, and ends with tickets, a receipt and the books', async () => {
    const { id, payment, ...begun } = await hall.paying(ana, show, ['A1', 'A2']);
    expect(begun).toMatchObject({ state: 'paying', version: 2 });
    await hall.storage.query(`UPDATE purchase SET "heldUntilAt" = now() - interval '1 hour' WHERE id = $1`, [id]);
    await hall.sales.pending(id, { id: payment.id, provider: 'sandbox', state: 'pending', redirectUrl: 'https://pay.example/1' });
    const again = await hall.deed(ana, id, 'pay').expect(202);
    expect(again.body.payment).toMatchObject({ id: payment.id, redirectUrl: 'https://pay.example/1' });
    expect(typeOf(await hall.deed(ana, id, 'cancel').expect(409))).toBe('purchase-state');
    expect(await Promise.all([1, 2, 3].map(() => hall.sales.approved(id, payment.id)))).toEqual(expect.arrayContaining(['paid', 'known', 'known'])); // prettier-ignore
    const row = await stored(id);
    expect(row).toMatchObject({ state: 'paid', totalMinor: 5000, taxMinor: 762, payment: { id: payment.id, state: 'approved' } });
    expect(row.tickets!.map(({ seat }) => seat)).toEqual(['A1', 'A2']);
    expect(row.payment).not.toHaveProperty('redirectUrl');
    expect(await steps(id)).toEqual(['held', 'paying', 'paid']);
    expect(await accounts(id)).toEqual({ provider: 5000, sales: -4238, tax: -762 });
    expect(await hall.claimed(show)).toEqual(['A1', 'A2']);
    expect((await hall.deed(ana, id, 'pay').expect(200)).body).toMatchObject({ state: 'paid', receipt: row.receipt });
  });

  it('that is declined can be tried again while the seats are held, never longer', async () => {
    const { id, payment } = await hall.paying(ana, show, ['A1']);
    await hall.sales.declined(id, payment.id, 'insufficient-funds');
    const { heldUntilAt } = await stored(id);
    const [claim] = await hall.desk.sql<{ until: Date }>('SELECT until FROM seat_claim WHERE purchase = $1', [id]);
    expect(claim!.until).toEqual(heldUntilAt);
    const { body } = await hall.deed(ana, id, 'pay').expect(202);
    expect(body.payment.id).not.toBe(payment.id);
    await hall.storage.query(`UPDATE purchase SET "heldUntilAt" = now() WHERE id = $1`, [id]);
    await hall.sales.declined(id, payment.id, 'said twice');
    expect((await stored(id)).state).toBe('paying');
    await hall.sales.declined(id, body.payment.id, 'expired-card');
    expect((await stored(id)).state).toBe('expired');
    expect(await steps(id)).toEqual(['held', 'paying', 'declined', 'paying', 'declined', 'expired']);
    expect(await hall.claimed(show)).toEqual([]);
  });

  it('by the same request does not begin again, and says that it was declined', async () => {
    const { id } = await hall.hold(ana, show, ['A1']);
    const headers = { 'idempotency-key': randomUUID() };
    const { body } = await hall.deed(ana, id, 'pay', {}, headers).expect(202);
    await hall.sales.declined(id, body.payment.id, 'insufficient-funds');
    const { body: told } = await hall.deed(ana, id, 'pay', {}, headers).expect(409);
    expect(told).toMatchObject({ type: '/problems/payment-declined', reason: 'insufficient-funds', state: 'held' });
    await hall.deed(ana, id, 'pay', { method: 'sandbox:approve' }, headers).expect(422);
    expect(await steps(id)).toEqual(['held', 'paying', 'declined']);
  });

  it('that is approved too late is given back, once', async () => {
    const { id, payment } = await hall.paying(ana, show, ['A1']);
    await hall.storage.query(`UPDATE purchase SET "heldUntilAt" = now() WHERE id = $1`, [id]);
    await hall.sales.declined(id, payment.id, 'timeout');
    const eva = await hall.customer();
    await hall.hold(eva, show, ['A1']);
    const said = await Promise.all([1, 2, 3].map(() => hall.sales.approved(id, payment.id)));
    expect(said.sort()).toEqual(['known', 'known', 'refunding']);
    const [refund, ...more] = await refunds(id);
    expect([refund, more]).toMatchObject([{ reason: 'late-approval', amountMinor: 2500 }, []]);
    expect(await stored(id)).toMatchObject({ state: 'expired', refund: { id: refund!.id, state: 'pending' }, receipt: null });
    expect(await accounts(id)).toEqual({ provider: 2500, refunds: -2500 });
    await Promise.all([1, 2].map(() => hall.sales.refunded(id, refund!.id)));
    expect(await stored(id)).toMatchObject({ refund: { state: 'done' }, late: [{ isDone: true }] });
    expect(await accounts(id)).toEqual({});
    expect(await steps(id)).toEqual(['held', 'paying', 'declined', 'expired', 'late-approval', 'refund-done']);
  });

  it('of an earlier attempt comes back while the later one goes on', async () => {
    const { id, payment } = await hall.paying(ana, show, ['A1']);
    await hall.sales.declined(id, payment.id, 'timeout');
    const { body } = await hall.deed(ana, id, 'pay').expect(202);
    expect(await hall.sales.approved(id, payment.id)).toBe('refunding');
    expect(await hall.sales.approved(id, body.payment.id)).toBe('paid');
    expect(await stored(id)).toMatchObject({ state: 'paid', late: [{ payment: payment.id }] });
    expect(await accounts(id)).toEqual({ provider: 5000, refunds: -2500, sales: -2119, tax: -381 });
  });
});

describe('the box office', () => {
  it('sells for cash, house seats too, and leaves who did it', async () => {
    const { id, ...sold } = await hall.sell(show, ['E3', 'A1']);
    expect(sold).toMatchObject({ state: 'paid', soldBy: hall.cashierId, payment: { provider: 'cash', state: 'approved' } });
    expect(await accounts(id)).toEqual({ cash: 5000, sales: -4238, tax: -762 });
    const audit = await hall.desk.sql<{ action: string; who: string }>('SELECT action, who FROM audit_record WHERE "subjectId" = $1 ORDER BY id', [id]); // prettier-ignore
    expect(audit).toEqual([{ action: 'held', who: hall.cashierId }, { action: 'paid', who: hall.cashierId }]); // prettier-ignore
    expect((await hall.deed(staff, id, 'refund').expect(200)).body).toMatchObject({ state: 'refunded', refund: { state: 'done', reason: 'staff' } }); // prettier-ignore
    expect([await accounts(id), await refunds(id)]).toEqual([{}, []]);
  });

  it('is another cinema’s to other staff, and takes no cash from buyers', async () => {
    const elsewhere = await hall.plan({ cinema: randomUUID() });
    expect(typeOf(await hall.ask(staff, elsewhere, ['A1']).expect(403))).toBe('out-of-bounds');
    const { id } = await hall.hold(ana, show, ['A1']);
    await hall.deed(ana, id, 'pay', { method: 'cash' }).expect(400);
    const both = hall.desk.as(await hall.mesh.bearerFor({ id: hall.cashierId, roles: ['cashier', 'customer'] }));
    expect(await hall.hold(both, elsewhere, ['A1'])).toMatchObject({ customer: hall.cashierId });
  });
});

describe('a purchase', () => {
  it('is there for its buyer and the staff of its cinema, and for nobody else', async () => {
    const { id } = await hall.hold(ana, show, ['A1']);
    const manager = async (over: object) => {
      const user = randomUUID();
      await hall.desk.tell({
        name: 'manager.created',
        key: randomUUID(),
        body: { user, role: 'manager', chain: CHAIN, cinemas: [], ...over },
      });
      await hall.desk.found('SELECT 1 FROM staff WHERE "user" = $1', [user]);
      return hall.desk.as(await hall.mesh.bearerFor({ id: user, roles: ['manager'] }));
    };
    const strangers = [hall.desk, await hall.customer(), await manager({ cinemas: [randomUUID()] }), await manager({ chain: randomUUID() })]; // prettier-ignore
    for (const verb of ['pay', 'cancel', 'refund', 'exchange'])
      for (const desk of strangers)
        await hall.deed(desk, id, verb, { screening: show, seats: [{ seat: 'A2', category: 'adult' }] }).expect(404);
    await hall.deed(await manager({ cinemas: [CINEMA] }), id, 'cancel').expect(200);
    await ana.patch(id, { state: 'paid' }).expect(405);
    expect((await ana.remove(id).expect(405)).headers.allow).toBe('GET, HEAD');
  });

  it('of a guest is opened by its key alone, which is told again and stored nowhere', async () => {
    const key = randomUUID();
    const order = () => hall.ask(hall.desk, show, ['A1'], { email: 'guest@example.pe' }, key).expect(201);
    const [{ body }, { body: again }] = [await order(), await order()];
    expect(again).toEqual(body);
    expect(Buffer.from(body.accessKey, 'base64url')).toHaveLength(16);
    const kept = await hall.desk.sql<{ text: string }>(`SELECT p::text || i::text AS text FROM purchase p, idempotency i WHERE p.id = $1`, [body.id]); // prettier-ignore
    expect(kept.some(({ text }) => text.includes(body.accessKey))).toBe(false);
    for (const headers of [
      {} as Record<string, string>,
      { 'access-key': '' },
      { 'access-key': `${body.accessKey.slice(0, -1)}-` },
    ])
      await hall.deed(hall.desk, body.id, 'cancel', {}, headers).expect(404);
    await hall.deed(hall.desk, body.id, 'cancel', {}, { 'access-key': body.accessKey }).expect(200);
    expect((await hall.ask(hall.desk, show, ['A2']).expect(400)).body.errors[0].pointer).toBe('/email');
  });

  it('forgets a guest’s address some time after the show', async () => {
    const { id } = await hall.hold(hall.desk, show, ['A1'], { email: 'guest@example.pe' });
    await hall.storage.query(`UPDATE purchase SET "overAt" = now() - interval '31 days' WHERE id = $1`, [id]);
    await hall.desk.found('SELECT 1 FROM purchase WHERE id = $1 AND email IS NULL', [id]);
  });

  it('lets each of its tickets in once', async () => {
    const { id, tickets } = (await hall.sell(show, ['A1', 'A2'])) as Bought & { tickets: { id: string }[] };
    const [first, second] = tickets;
    const all = await Promise.allSettled([1, 2, 3].map(() => hall.sales.admit(first!.id, 'usher')));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(hall.sales.admit(first!.id, 'usher')).rejects.toMatchObject({
      type: 'ticket-used',
      extra: { admittedBy: 'usher' },
    });
    await hall.deed(staff, id, 'refund').expect(200);
    await expect(hall.sales.admit(second!.id, 'usher')).rejects.toMatchObject({ type: 'ticket-void' });
  });
});

describe('giving back', () => {
  it('is the buyer’s until an hour before, and the staff’s until the end', async () => {
    const { id } = await paid(['A1']);
    const { body } = await hall.deed(ana, id, 'refund').expect(200);
    expect(body).toMatchObject({ state: 'refunded', refund: { reason: 'customer', amountMinor: 2500, state: 'pending' } });
    expect(await accounts(id)).toEqual({ provider: 2500, refunds: -2500 });
    await hall.sales.refunded(id, body.refund.id);
    expect([await accounts(id), await hall.claimed(show)]).toEqual([{}, []]);
    expect(await letters(id)).toContain('refunded');
    const soon = await hall.plan({}, 0.9);
    const { id: late } = await paid(['A1'], ana, soon);
    expect(typeOf(await hall.deed(ana, late, 'refund').expect(409))).toBe('refund-too-late');
    expect((await hall.deed(staff, late, 'refund').expect(200)).body.refund.reason).toBe('staff');
    expect(typeOf(await hall.deed(staff, late, 'refund').expect(409))).toBe('purchase-state');
  });

  it('by the same request is done once', async () => {
    const { id } = await paid(['A1']);
    const headers = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all([1, 2, 3, 4].map(() => hall.deed(ana, id, 'refund', {}, headers)));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(await refunds(id)).toHaveLength(1);
  });

  it('happens to all when a screening is cancelled, once each, however often that is told', async () => {
    const [one, another] = [await hall.plan(), await hall.plan()];
    const sold = await Promise.all(['A1', 'A2', 'A3'].map((seat) => paid([seat], ana, one)));
    const { id: held } = await hall.hold(await hall.customer(), one, ['B1']);
    const late = await hall.paying(await hall.customer(), one, ['C1']);
    const { id: other } = await paid(['A1'], ana, another);
    const body = screening({ cancelledAt: new Date().toISOString(), cancelReason: 'projector' });
    const cancelled = { name: 'screening.cancelled', key: one, body };
    await hall.desk.tell({ ...cancelled, version: 2 }, { ...cancelled, version: 2 }, { ...cancelled, version: 3 });
    await until('nothing is held nor paid', async () =>
      (await hall.desk.sql(`SELECT 1 FROM purchase WHERE screening = $1 AND state IN ('held', 'paid')`, [one])).length === 0); // prettier-ignore
    for (const { id } of sold) {
      expect(await refunds(id)).toMatchObject([{ reason: 'screening-cancelled', amountMinor: 2500 }]);
      expect(await letters(id)).toContain('cancelled');
    }
    expect(await steps(held)).toEqual(['held', 'cancelled']);
    expect(await hall.claimed(one)).toEqual(['C1']);
    expect(await hall.sales.approved(late.id, late.payment.id)).toBe('refunding');
    expect(await stored(late.id)).toMatchObject({ state: 'cancelled', refund: { reason: 'late-approval' } });
    expect(await hall.claimed(one)).toEqual([]);
    expect((await stored(other)).state).toBe('paid');
  });
});

describe('an exchange', () => {
  const wants = (seats: readonly string[], at = show, category = 'adult') => ({ screening: at, seats: seats.map((seat) => ({ seat, category })) }); // prettier-ignore

  it('takes other seats for the money that was paid, and gives back what they cost less', async () => {
    const { id, payment } = await paid(['A1', 'A2']);
    const { body } = await hall.deed(ana, id, 'exchange', wants(['A2', 'A3'], show, 'child')).expect(201);
    expect(body).toMatchObject({
      state: 'paid',
      exchangeOf: id,
      totalMinor: 3000,
      payment: { id: payment.id, state: 'approved' },
    });
    expect(await stored(id)).toMatchObject({ state: 'exchanged', exchangedFor: body.id, refund: { amountMinor: 2000, reason: 'exchange' } }); // prettier-ignore
    expect(await refunds(id)).toMatchObject([{ amountMinor: 2000, reason: 'exchange' }]);
    expect(await accounts(id, body.id)).toEqual({ provider: 5000, refunds: -2000, sales: -3000 + 458, tax: -458 });
    expect(await hall.claimed(show)).toEqual(['A2', 'A3']);
    expect(await hall.sales.approved(id, payment.id)).toBe('known');
    await hall.deed(ana, body.id, 'refund').expect(200);
    expect(await refunds(body.id)).toMatchObject([{ amountMinor: 3000 }]);
  });

  it('leaves everything as it was when the seats are taken, dearer, or elsewhere', async () => {
    const { id } = await paid(['A1']);
    await hall.hold(await hall.customer(), show, ['B1']);
    expect(typeOf(await hall.deed(ana, id, 'exchange', wants(['B1'])).expect(409))).toBe('seat-taken');
    const { body } = await hall.deed(ana, id, 'exchange', wants(['F1'])).expect(409);
    expect(body).toMatchObject({ type: '/problems/exchange-needs-payment', missingMinor: 1500, currency: 'PEN' });
    const elsewhere = await hall.plan({ cinema: randomUUID() });
    expect(typeOf(await hall.deed(ana, id, 'exchange', wants(['A1'], elsewhere)).expect(409))).toBe('exchange-elsewhere');
    expect([(await stored(id)).state, await hall.claimed(show), await hall.claimed(elsewhere)]).toEqual([
      'paid',
      ['A1', 'B1'],
      [],
    ]);
  });

  it('of a guest keeps the key', async () => {
    const { body } = await hall.ask(hall.desk, show, ['A1'], { email: 'guest@example.pe' }).expect(201);
    const headers = { 'access-key': body.accessKey as string };
    const { body: begun } = await hall.deed(hall.desk, body.id, 'pay', {}, headers).expect(202);
    await hall.sales.approved(body.id, begun.payment.id);
    const { body: next } = await hall.deed(hall.desk, body.id, 'exchange', wants(['A2']), headers).expect(201);
    await hall.deed(hall.desk, next.id, 'refund', {}, headers).expect(200);
  });
});
