import { randomUUID } from 'node:crypto';
import { type Desk, until } from '#testing';
import { Hall, request, screening } from './hall.contract.js';
import { holdAll } from './statement.js';

let hall: Hall, ana: Desk, show: string;
beforeAll(async () => {
  hall = await Hall.open();
  show = await hall.plan();
});
beforeEach(async () => (ana = await hall.customer()));
afterAll(() => hall.stop());

const taken = ['A1', 'A2'];
const refusal = async (seats: readonly string[], over: object = {}, desk = ana, where = show) => {
  const { status, body } = await hall.ask(desk, where, seats, over);
  const { type, taken, seats: which, errors } = body;
  return { status, type: String(type).replace('/problems/', ''), ...(errors ? { errors } : {}), ...(taken ? { taken } : {}), ...(which ? { seats: which } : {}) }; // prettier-ignore
};

describe('seats', () => {
  it('are held for a customer, priced line by line with the tax in each', async () => {
    const { body, headers } = await hall.ask(ana, show, taken, { seats: [{ seat: 'A1', category: 'adult' }, { seat: 'A2', category: 'child' }] }).expect(201); // prettier-ignore
    expect(headers).toMatchObject({ etag: '"1"', location: `/api/purchases/${body.id}` });
    expect(body).toMatchObject({ state: 'held', version: 1, totalMinor: 4000, taxMinor: 381 + 229, currency: 'PEN' });
    expect(body.lines).toEqual([
      { seat: 'A1', area: 'standard', category: 'adult', amountMinor: 2500, taxMinor: 381 },
      { seat: 'A2', area: 'standard', category: 'child', amountMinor: 1500, taxMinor: 229 },
    ]);
    expect(body.show).toMatchObject({ title: 'Alien', city: 'Lima', timeZone: 'America/Lima', format: '2D' });
    expect(Date.parse(body.heldUntilAt) - Date.parse(body.history[0].at)).toBe(480_000);
    expect(body).not.toHaveProperty('accessKey');
  });

  it('that others have are refused by name, all or none', async () => {
    expect(await refusal(['A2', 'A3'])).toEqual({ status: 409, type: 'seat-taken', taken: ['A2'] });
    expect(await hall.claimed(show)).toEqual(taken);
  });

  it('that are none, not for sale or without a price are refused at their place', async () => {
    expect(await refusal(['A3', 'Z9'])).toMatchObject({
      status: 400,
      type: 'unknown-seat',
      errors: [{ pointer: '/seats/1/seat' }],
    });
    expect(await refusal(['E4', 'E3', 'A3'])).toMatchObject({ status: 409, type: 'seat-not-for-sale', seats: ['E4', 'E3'] });
    expect(await refusal(['A3', 'A4', 'A3'])).toMatchObject({ status: 400, errors: [{ pointer: '/seats/2/seat' }] });
    const child = { seats: [{ seat: 'F1', category: 'child' }] };
    expect(await refusal([], child)).toMatchObject({ status: 400, errors: [{ pointer: '/seats/0/category' }] });
    expect(await refusal([], { seats: undefined })).toMatchObject({ status: 400, errors: [{ pointer: '/seats' }] });
    expect(await refusal(['A3'], { best: { seats: { adult: 1 } } })).toMatchObject({
      status: 400,
      errors: [{ pointer: '/seats' }],
    });
    expect(await refusal(['A3'], { customer: 'me' })).toMatchObject({ status: 400, errors: [{ pointer: '/customer' }] });
    expect(await refusal(['A3'], { email: 'a@b.pe' })).toMatchObject({ status: 400, errors: [{ pointer: '/email' }] });
  });

  it('of a screening that is unknown, over or cancelled are not sold', async () => {
    expect(await refusal(['A3'], {}, ana, randomUUID())).toMatchObject({ status: 400, errors: [{ pointer: '/screening' }] });
    expect(await refusal(['A3'], {}, ana, await hall.plan({}, -0.2))).toMatchObject({ status: 201 });
    expect(await refusal(['A3'], {}, ana, await hall.plan({}, -0.3))).toMatchObject({ status: 409, type: 'screening-over' });
    const cancelled = await hall.plan({ cancelledAt: new Date().toISOString() });
    expect(await refusal(['A3'], {}, ana, cancelled)).toMatchObject({ status: 409, type: 'screening-cancelled' });
  });

  it('are sold by what the screening is now, though it was read before', async () => {
    const id = await hall.plan();
    await hall.hold(ana, id, ['A1']);
    const body = screening({ prices: [{ area: 'standard', category: 'adult', amountMinor: 9900 }] });
    await hall.desk.tell({ name: 'screening.changed', key: id, version: 2, body });
    await hall.desk.found('SELECT 1 FROM known_screening WHERE id = $1 AND version = 2', [id]);
    expect(await hall.hold(ana, id, ['A2'])).toMatchObject({ totalMinor: 9900 });
  });

  it('are found, the best there are, for who does not choose', async () => {
    const id = await hall.plan();
    const best = (of: object) => ana.post('', { screening: id, best: of }, { 'idempotency-key': randomUUID() });
    const { body } = await best({ seats: { adult: 1, child: 1 }, area: 'standard' }).expect(201);
    expect(body.lines.map(({ category }: { category: string }) => category)).toEqual(['adult', 'child']);
    const { body: wheels } = await best({ seats: { adult: 2 }, wheelchairs: 1 }).expect(201);
    expect(wheels.lines.map(({ seat }: { seat: string }) => seat)).toEqual(['E1', 'E2']);
    expect((await best({ seats: { adult: 1 }, wheelchairs: 1 }).expect(409)).body).toMatchObject({
      type: '/problems/seat-taken',
    });
    expect((await best({ seats: { adult: 1 }, wheelchairs: 2 }).expect(400)).body.errors[0].pointer).toBe('/best/wheelchairs');
  });
});

describe('how many', () => {
  it('one purchase may have is the policy', async () => {
    expect(await refusal(['B1', 'B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8', 'B9'])).toMatchObject({
      status: 409,
      type: 'too-many-seats',
    });
  });

  it('one may hold unpaid at once goes over all screenings, however many ask together', async () => {
    const halls = await Promise.all([1, 2, 3, 4].map(() => hall.plan()));
    const answers = await Promise.all(halls.map((id) => hall.ask(ana, id, ['A1', 'A2', 'A3', 'A4'])));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 409, 409]);
    const { body } = answers.find(({ status }) => status === 409)!;
    expect(body).toMatchObject({ type: '/problems/too-many-held', most: 10, held: 8 });
    await hall.deed(ana, answers.find(({ status }) => status === 201)!.body.id, 'cancel').expect(200);
    await hall.hold(ana, halls[3]!, ['C1', 'C2', 'C3', 'C4']);
  });

  it('a guest may is counted by the address, in small or large letters', async () => {
    const id = await hall.plan({ policy: { holdSeconds: 480, seatsPerPurchase: 8, seatsHeldAtOnce: 3, refundUntilMinutes: 60 } });
    await hall.hold(hall.desk, id, ['A1', 'A2'], { email: 'Ana@example.pe' });
    expect(await refusal(['A3', 'A4'], { email: 'ana@EXAMPLE.pe' }, hall.desk, id)).toMatchObject({ type: 'too-many-held' });
    await hall.hold(hall.desk, id, ['A3', 'A4'], { email: 'eva@example.pe' });
  });
});

describe('a request that comes again', () => {
  it('fifty times at once holds once, and is answered alike', async () => {
    const [id, key] = [await hall.plan(), randomUUID()];
    const ask = () => hall.ask(ana, id, ['A1', 'A2'], {}, key);
    const answers = await Promise.all(Array.from({ length: 50 }, ask));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === undefined)).toHaveLength(1);
    expect(answers[0]!.status).toBe(201);
    expect(await hall.desk.sql('SELECT 1 FROM purchase WHERE screening = $1', [id])).toHaveLength(1);
    const { body } = await hall.ask(ana, id, ['A1', 'A3'], {}, key).expect(422);
    expect(body.type).toBe('/problems/idempotency-key-reused');
  });

  it('is answered as before though the same could not be held any more; a refusal may be tried again', async () => {
    const [id, key] = [await hall.plan(), randomUUID()];
    const eva = await hall.customer();
    const { body } = await hall.ask(ana, id, ['A1'], {}, key).expect(201);
    await hall.ask(eva, id, ['A1'], {}, key).expect(409);
    await hall.desk.tell({
      name: 'screening.cancelled',
      key: id,
      version: 2,
      body: screening({ cancelledAt: body.heldUntilAt }),
    });
    await hall.desk.found('SELECT 1 FROM known_screening WHERE id = $1 AND cancelled', [id]);
    expect((await hall.ask(ana, id, ['A1'], {}, key).expect(201)).body).toEqual(body);
    expect((await hall.ask(eva, id, ['A1'], {}, key).expect(409)).body.type).toBe('/problems/screening-cancelled');
  });

  it('needs its key', async () => {
    const { body } = await ana.post('', { screening: show, seats: [{ seat: 'A3', category: 'adult' }] }).expect(400);
    expect(body.errors[0].pointer).toBe('/Idempotency-Key');
  });
});

describe('a hold', () => {
  it('lapses by the clock of the database, and its seats can be had at once', async () => {
    const [id, eva] = [await hall.plan(), await hall.customer()];
    const { id: held } = await hall.hold(ana, id, ['A1', 'A2']);
    await hall.hold(ana, id, ['B1']);
    await hall.storage.query(`UPDATE seat_claim SET until = now() WHERE purchase = $1`, [held]);
    await hall.hold(eva, id, ['A2', 'A3']);
    expect((await hall.deed(ana, held, 'pay').expect(409)).body.type).toBe('/problems/hold-expired');
    expect(await hall.claimed(id)).toEqual(['A2', 'A3', 'B1']);
  });

  it('that has lapsed is told, and lets go what nobody has taken', async () => {
    const id = await hall.plan();
    const { id: held } = await hall.hold(ana, id, ['A1', 'A2']);
    await hall.storage.query(`UPDATE purchase SET "heldUntilAt" = now() WHERE id = $1`, [held]);
    await hall.desk.found(`SELECT 1 FROM purchase WHERE id = $1 AND state = 'expired' AND version = 2`, [held]);
    expect(await hall.claimed(id)).toEqual([]);
    expect((await hall.deed(ana, held, 'cancel').expect(409)).body.type).toBe('/problems/hold-expired');
  });

  it('is let go by its buyer', async () => {
    const id = await hall.plan();
    const { id: held } = await hall.hold(ana, id, ['A1']);
    expect((await hall.deed(ana, held, 'cancel').expect(200)).body).toMatchObject({ state: 'cancelled', version: 2 });
    expect(await hall.claimed(id)).toEqual([]);
  });

  it('of a screening that is cancelled ends, however many there are', async () => {
    const id = await hall.plan();
    const all = Array.from({ length: 230 }, (_, n) => request(id, [`Z${n}`]));
    await holdAll(hall.storage, all.slice(0, 115));
    await holdAll(hall.storage, all.slice(115));
    await hall.desk.tell({
      name: 'screening.cancelled',
      key: id,
      version: 2,
      body: screening({ cancelledAt: new Date().toISOString() }),
    });
    const left = () => hall.desk.sql(`SELECT 1 FROM purchase WHERE screening = $1 AND state <> 'cancelled'`, [id]);
    await until('nothing is held', async () => (await left()).length === 0);
    expect(await hall.claimed(id)).toEqual([]);
  });
});
