import { randomUUID } from 'node:crypto';
import { migrationFor, Storage } from '#storage';
import { Desk, startTestMesh, type TestMesh } from '#testing';
import { ChainCommand } from './chain.command.js';
import { ChainQuery } from './chain.query.js';

let mesh: TestMesh, everywhere: Desk;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [ChainCommand, ChainQuery] });
  everywhere = new Desk(mesh, 'chain', await mesh.bearer('chain-admin'));
});
afterAll(() => mesh.stop());

const policies = { holdSeconds: 480, seatsPerPurchase: 8, seatsHeldAtOnce: 10, refundUntilMinutes: 60 };

/** Somebody bound to a chain, once chain-command knows it. */
async function bound(role: 'chain-admin' | 'manager', chain: string, cinemas: string[] = []) {
  const [user, key] = [randomUUID(), randomUUID()];
  await everywhere.tell({ name: 'manager.created', key, body: { user, role, chain, cinemas } });
  await everywhere.found('SELECT 1 FROM staff WHERE "user" = $1', [user]);
  return { key, desk: everywhere.as(await mesh.bearerFor({ id: user, roles: [role], client: 'web' })) };
}

describe('a chain', () => {
  it('is founded with a name alone: its policies have defaults', async () => {
    const { body, headers } = await everywhere.post('', { name: 'CineManzana' }).expect(201);
    expect(body).toEqual({ id: body.id, version: 1, name: 'CineManzana', ...policies });
    expect(headers).toMatchObject({ etag: '"1"', location: `/api/chains/${body.id}` });
    expect((await everywhere.as('').seen(body.id)).body).toEqual(body);
  });

  it('has a name that no other has, whatever its case', async () => {
    await everywhere.create({ name: 'Cine Sol' });
    const luna = await everywhere.create({ name: 'Cine Luna' });
    const exists = { type: '/problems/chain-exists', fields: ['name'] };
    expect((await everywhere.post('', { name: 'CINE SOL' }).expect(409)).body).toMatchObject(exists);
    expect((await everywhere.patch(luna.id, { name: 'cine sol' }).expect(409)).body).toMatchObject(exists);
    await everywhere.patch(luna.id, { name: 'cine luna' }).expect(200);
  });

  it.each([
    ['no name', { name: undefined }, '/name'],
    ['a blank name', { name: ' \t' }, '/name'],
    ['a hold of 59 s', { holdSeconds: 59 }, '/holdSeconds'],
    ['a hold of half an hour and a second', { holdSeconds: 1801 }, '/holdSeconds'],
    ['a hold without end', { holdSeconds: null }, '/holdSeconds'],
    ['purchases of nothing', { seatsPerPurchase: 0 }, '/seatsPerPurchase'],
    ['purchases of 21 seats', { seatsPerPurchase: 21 }, '/seatsPerPurchase'],
    ['no seats at all', { seatsHeldAtOnce: 0 }, '/seatsHeldAtOnce'],
    ['51 seats at once', { seatsHeldAtOnce: 51 }, '/seatsHeldAtOnce'],
    ['refunds after the start', { refundUntilMinutes: -1 }, '/refundUntilMinutes'],
    ['refunds until more than a week before', { refundUntilMinutes: 10_081 }, '/refundUntilMinutes'],
    ['half a seat', { seatsPerPurchase: 1.5 }, '/seatsPerPurchase'],
    ['what is not known', { colour: 'red' }, '/colour'],
  ])('with %s is refused, naming it', async (_, over, pointer) => {
    const { body } = await everywhere.post('', { name: 'Wrong', ...over }).expect(400);
    expect([...new Set(body.errors.map((error: { pointer: string }) => error.pointer))]).toEqual([pointer]);
  });

  it('is listed by name, and found by a name with a typing error', async () => {
    for (const name of ['Ábaco', 'Zeta', 'Multicines Andinos']) await everywhere.seen((await everywhere.create({ name })).id);
    const names = async (query: string) =>
      ((await everywhere.as('').get(query).expect(200)).body.items as { name: string }[]).map(({ name }) => name);
    const all = await names('?limit=100');
    expect(all.indexOf('Ábaco')).toBeLessThan(all.indexOf('CineManzana'));
    expect(all.at(-1)).toBe('Zeta');
    expect(await names('?q=multicine+andino')).toEqual(['Multicines Andinos']);
    expect(await names('?name=Zeta')).toEqual(['Zeta']);
  });

  it('that has cinemas stays', async () => {
    const { id } = await everywhere.create({ name: 'Housed' });
    const cinema = randomUUID();
    await everywhere.tell({ name: 'cinema.created', key: cinema, body: { chain: id } });
    await everywhere.found('SELECT 1 FROM known_cinema WHERE chain = $1', [id]);
    expect((await everywhere.remove(id).expect(409)).body.type).toBe('/problems/chain-in-use');
    await everywhere.tell({ name: 'cinema.removed', key: cinema, version: 2, body: { id: cinema } });
    await everywhere.found('SELECT 1 FROM known_cinema WHERE id = $1 AND removed', [cinema]);
    await everywhere.remove(id).expect(204);
    await everywhere.seen(id, 2, 404);
  });
});

describe('who may', () => {
  it('found a chain: who acts everywhere, and nobody else', async () => {
    const { id } = await everywhere.create({ name: 'Founded' });
    const admin = (await bound('chain-admin', id)).desk;
    expect((await admin.post('', { name: 'Mine too' }).expect(403)).body.type).toBe('/problems/out-of-bounds');
    for (const role of ['customer', 'cashier', 'usher', 'manager', 'operator'] as const)
      await everywhere
        .as(await mesh.bearer(role))
        .post('', { name: 'No' })
        .expect(403);
    await everywhere.as('').post('', { name: 'No' }).expect(401);
  });

  it('change and remove it: an administrator of that chain, and not of another', async () => {
    const [own, other] = [await everywhere.create({ name: 'Own' }), await everywhere.create({ name: 'Other' })];
    const admin = (await bound('chain-admin', own.id)).desk;
    // In capitals it is the same chain.
    expect((await admin.patch(own.id.toUpperCase(), { holdSeconds: 600 }).expect(200)).body.holdSeconds).toBe(600);
    await admin.patch(other.id, { holdSeconds: 600 }).expect(403);
    await admin.remove(other.id).expect(403);
    await everywhere.patch(own.id, { holdSeconds: 700 }, { 'If-Match': '"1"' }).expect(412);
    await admin.remove(own.id).expect(204);
    await admin.remove(own.id).expect(404);
    const manager = (await bound('manager', other.id, [randomUUID()])).desk;
    await manager.patch(other.id, { holdSeconds: 600 }).expect(403);
  });

  it('act no more: whose chain was taken away, as long as the token lasts', async () => {
    const { id } = await everywhere.create({ name: 'Left' });
    const { key, desk } = await bound('chain-admin', id);
    await desk.patch(id, { holdSeconds: 61 }).expect(200);
    await everywhere.tell({ name: 'manager.removed', key, version: 2, body: { id: key } });
    await everywhere.found('SELECT 1 FROM staff WHERE id = $1 AND removed', [key]);
    await desk.patch(id, { holdSeconds: 62 }).expect(403);
    await desk.post('', { name: 'All mine' }).expect(403);
  });
});

it.each(['chain-command', 'chain-query'])('the tables of %s are as its entities say', async (process) => {
  const { db } = mesh.running(process).app.get(Storage);
  expect(await migrationFor(db, { process, name: 'none', atMs: 0 })).toBeUndefined();
});
