import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { openClient } from '#postgres';
import { startTestMesh, type TestMesh, until } from '#testing';
import type { PurchaseProgress } from '../../purchase/purchase.events.js';
import { Buyer, LAYOUT } from '../contract.js';
import { ScreeningQuery } from '../screening.query.js';
import { Seats } from './seats.contract.js';

let mesh: TestMesh, seats: Seats;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [ScreeningQuery], config: { 'seats.lookMs': 200 } });
  seats = new Seats(mesh);
}, 20_000);
afterAll(() => mesh.stop());

const get = (screening: string) => mesh.http('screening-query').get(seats.path(screening));

describe('a seat map', () => {
  it('says which seats can be bought, and nothing of who has the others', async () => {
    const id = await seats.screening();
    expect(await seats.map(id)).toEqual({
      ...{ screening: id, version: 0, at: expect.stringMatching(/Z$/), layout: LAYOUT, taken: { sold: [], held: [] }, free: 7 },
    });
    await seats.tell(
      new Buyer(id, ['B2', 'A1']).told(3, 'paid'),
      new Buyer(id, ['B1']).told(1, 'held'),
      new Buyer(id, ['A3']).told(2, 'paying'),
    );
    const map = await seats.map(id);
    expect(map).toMatchObject({ taken: { sold: ['A1', 'B2'], held: ['A3', 'B1'] }, free: 3 });
    expect(Object.keys(map).sort()).toEqual(['at', 'free', 'layout', 'screening', 'taken', 'version']);
  });

  it('is not repeated while nothing changed', async () => {
    const id = await seats.screening();
    const buyer = new Buyer(id, ['A1']);
    await seats.tell(buyer.told(1, 'held'));
    const { headers } = await get(id).expect(200);
    expect(headers).toMatchObject({ etag: expect.stringMatching(/^"\d{13}"$/), vary: 'Accept', 'cache-control': 'no-cache' });
    await get(id).set('If-None-Match', headers.etag!).expect(304);
    await get(id).set('If-None-Match', 'nonsense').expect(400);
    await seats.tell(buyer.told(2, 'paying'), buyer.told(3, 'paid'));
    const { headers: next } = await get(id).set('If-None-Match', headers.etag!).expect(200);
    // The door has let them in: nothing that a map says.
    await seats.tell(buyer.told(4, 'paid', 'purchase.admitted'));
    await get(id).set('If-None-Match', next.etag!).expect(304);
  });

  it('knows that a hold has lapsed before anybody says so', async () => {
    const id = await seats.screening();
    const buyer = new Buyer(id, ['A1', 'A2'], 400);
    const paying = new Buyer(id, ['B1'], 0);
    await seats.tell(buyer.told(1, 'held'), paying.told(1, 'held'), paying.told(2, 'paying'));
    const { version, taken } = await seats.map(id);
    expect(taken.held).toEqual(['A1', 'A2', 'B1']);
    await until('it has lapsed', async () => (await seats.map(id)).taken.held.length === 1);
    const lapsed = await seats.map(id);
    expect(lapsed).toMatchObject({ taken: { held: ['B1'] }, free: 6 });
    expect(lapsed.version).toBeGreaterThan(version);
    await seats.tell(buyer.told(2, 'expired'));
    expect((await seats.map(id)).version).toBe(lapsed.version);
  });

  it('is there for no screening that is not', async () => {
    for (const id of ['1', randomUUID()]) await get(id).expect(404);
    await get(randomUUID())
      .set('Accept', 'text/event-stream')
      .expect(404)
      .expect('content-type', /problem/);
  });

  it('has nothing but a head for HEAD, whatever is accepted', async () => {
    const id = await seats.screening();
    const { headers } = await mesh.http('screening-query').head(seats.path(id)).set('Accept', 'text/event-stream').expect(200);
    expect(headers).toMatchObject({ etag: '"0"', 'content-type': expect.stringContaining('application/json') });
  });
});

describe('events of purchases', () => {
  const LIVES: readonly PurchaseProgress[][] = [
    ['held', 'expired'],
    ['held', 'cancelled'],
    ['held'],
    ['held', 'paying', 'held', 'paying', 'paid'],
    ['held', 'paying', 'paid', 'refunded'],
    ['held', 'paying', 'paid', 'exchanged'],
    ['held', 'paying'],
  ];
  const SEATS = ['A1', 'A2', 'A3', 'B1', 'B2'];
  const life = fc.record({
    steps: fc.constantFrom(...LIVES),
    seats: fc.uniqueArray(fc.constantFrom(...SEATS), { minLength: 1, maxLength: 3 }),
  });
  // Some come twice.
  const story = fc.array(life, { minLength: 2, maxLength: 4 }).chain((lives) => {
    const all = lives.flatMap(({ steps }, who) => steps.map((state, at) => ({ who, version: at + 1, state })));
    const order = fc
      .tuple(fc.shuffledSubarray(all, { minLength: all.length }), fc.subarray(all))
      .map(([one, two]) => [...one, ...two]);
    return fc.record({ lives: fc.constant(lives), order });
  });

  const expected = (lives: readonly { steps: PurchaseProgress[]; seats: string[] }[]) => {
    const last = (...states: PurchaseProgress[]) =>
      lives.filter(({ steps }) => states.includes(steps.at(-1)!)).flatMap(({ seats }) => seats);
    const sold = SEATS.filter((seat) => last('paid').includes(seat));
    return { sold, held: SEATS.filter((seat) => last('held', 'paying').includes(seat) && !sold.includes(seat)) };
  };

  it('make the same map in whatever order they come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(story, { minLength: 20, maxLength: 20 }), async (stories) => {
        const told = await Promise.all(
          stories.map(async ({ lives, order }) => {
            const id = await seats.screening();
            const buyers = lives.map(({ seats: wanted }) => new Buyer(id, wanted));
            return { id, lives, events: order.map(({ who, version, state }) => buyers[who]!.told(version, state)) };
          }),
        );
        await seats.tell(...told.flatMap(({ events }) => events));
        for (const { id, lives } of told) expect((await seats.map(id)).taken).toEqual(expected(lives));
      }),
      { numRuns: 2 },
    );
  });

  it('of one who lost a seat never free it for the next, however late they come', async () => {
    const id = await seats.screening();
    const [first, next] = [new Buyer(id, ['A1']), new Buyer(id, ['A1'])];
    await seats.tell(next.told(1, 'held'));
    await seats.tell(first.told(1, 'held'));
    await seats.tell(first.told(2, 'expired'));
    expect((await seats.map(id)).taken.held).toEqual(['A1']);
    await seats.tell(next.told(3, 'paid'));
    await seats.tell(next.told(2, 'paying'));
    expect((await seats.map(id)).taken).toEqual({ sold: ['A1'], held: [] });
  });
});

it('is built again from the log, with versions that never go back, and those who watch hear of what was wrong', async () => {
  const id = await seats.screening();
  await seats.tell(
    new Buyer(id, ['A1']).told(1, 'paid'),
    new Buyer(id, ['B1']).told(1, 'paying'),
    new Buyer(id, ['B2']).told(2, 'expired'),
  );
  const before = await seats.map(id);
  await seats.sql(`UPDATE seat_taken SET state = 'free' WHERE screening = $1 AND state = 'sold'`, [id]);
  const reader = await seats.watch(id);
  expect((await reader.event(0)).data.taken).toEqual({ sold: [], held: ['B1'] });
  const admin = await openClient(mesh.postgres!.url());
  await admin.query(`SELECT bus.ask_rebuild('screening-query')`);
  const isDone = async () => (await admin.query(`SELECT 1 FROM bus.rebuild WHERE state = 'done'`)).rowCount === 1;
  await until('it is rebuilt', isDone, 20_000);
  await admin.end();
  const after = await seats.map(id);
  expect(after).toEqual({ ...before, version: after.version, at: after.at });
  expect(after.version).toBeGreaterThan((await reader.event(0)).id);
  // What a rebuild mends has no notification; a look finds it.
  expect((await reader.event(1)).data).toEqual({ free: [], held: [], sold: ['A1'] });
  reader.leave();
}, 20_000);
