import { randomUUID } from 'node:crypto';
import { migrationFor, Storage } from '#storage';
import { Desk, startTestMesh, type TestMesh } from '#testing';
import { CinemaCommand } from './cinema.command.js';
import { CinemaQuery } from './cinema.query.js';

const [chain, otherChain] = [randomUUID(), randomUUID()];
const adult = { area: 'standard', category: 'adult', amountMinor: 2450 };
const child = { area: 'standard', category: 'child', amountMinor: 1450 };
const alcazar = {
  ...{ chain, name: 'Alcázar', city: 'Lima', country: 'PE', address: 'Av. Santa Cruz 814, Miraflores' },
  ...{ position: { latitude: -12.1131, longitude: -77.0369 }, timeZone: 'America/Lima', currency: 'PEN' },
  ...{ tax: { name: 'IGV', basisPoints: 1800 }, amenities: ['parking', 'imax'], priceCard: [adult, child] },
};

let mesh: TestMesh, everywhere: Desk;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [CinemaCommand, CinemaQuery], config: { 'resource.minVersionWaitMs': 1000 } });
  everywhere = new Desk(mesh, 'cinema', await mesh.bearer('chain-admin'));
  for (const key of [chain, otherChain]) await everywhere.tell({ name: 'chain.created', key, body: { name: key } });
  await everywhere.found('SELECT 1 FROM known_chain WHERE id = $1', [otherChain]);
});
afterAll(() => mesh.stop());

/** Somebody bound to a chain or to cinemas, once cinema-command knows it. */
async function bound(role: 'chain-admin' | 'manager', of: string, cinemas: string[] = []): Promise<Desk> {
  const user = randomUUID();
  await everywhere.tell({ name: 'manager.created', key: randomUUID(), body: { user, role, chain: of, cinemas } });
  await everywhere.found('SELECT 1 FROM staff WHERE "user" = $1', [user]);
  return everywhere.as(await mesh.bearerFor({ id: user, roles: [role], client: 'web' }));
}
const outOfBounds = { type: '/problems/out-of-bounds' };

describe('a cinema', () => {
  it('is opened by an administrator of its chain, and everybody reads of it', async () => {
    const { body, headers } = await (await bound('chain-admin', chain)).post('', alcazar).expect(201);
    expect(body).toEqual({ id: body.id, version: 1, ...alcazar });
    expect(headers.location).toBe(`/api/cinemas/${body.id}`);
    expect((await everywhere.as('').seen(body.id)).body).toEqual(body);
  });

  it('has a chain that is there, whatever the case of its id', async () => {
    const nowhere = randomUUID();
    const { body } = await everywhere.post('', { ...alcazar, chain: nowhere }).expect(400);
    expect(body.errors).toEqual([{ pointer: '/chain', detail: `must be a chain: there is none with the id ${nowhere}` }]);
    expect((await everywhere.create({ ...alcazar, chain: chain.toUpperCase() })).chain).toBe(chain);
    const late = randomUUID();
    await everywhere.tell({ name: 'chain.created', key: late, body: { name: 'Founded a moment ago' } });
    expect((await everywhere.create({ ...alcazar, chain: late })).chain).toBe(late);
    await everywhere.tell({ name: 'chain.removed', key: late, version: 2, body: { id: late } });
    await everywhere.found('SELECT 1 FROM known_chain WHERE id = $1 AND removed', [late]);
    await everywhere.post('', { ...alcazar, chain: late }).expect(400);
  });

  it.each([
    ['no place on earth', { position: { latitude: 90.1, longitude: -180.5 } }, ['/position/latitude', '/position/longitude']],
    ['half a position', { position: { latitude: 1 } }, ['/position/longitude']],
    ['no position', { position: undefined }, ['/position']],
    ['a position of its own', { position: [1, 2] }, ['/position']],
    ['a country that is none', { country: 'XX' }, ['/country']],
    ['a country in small letters', { country: 'pe' }, ['/country']],
    ['a blank name', { name: ' ' }, ['/name']],
    ['no tax', { tax: null }, ['/tax']],
    ['a negative tax', { tax: { name: 'IGV', basisPoints: -1 } }, ['/tax/basisPoints']],
    ['a tax beyond a half', { tax: { name: 'IGV', basisPoints: 5001 } }, ['/tax/basisPoints']],
    ['an amenity we do not know', { amenities: ['sauna'] }, ['/amenities']],
    ['a negative price', { priceCard: [{ ...adult, amountMinor: -1 }] }, ['/priceCard/0/amountMinor']],
    ['a price in fractions', { priceCard: [adult, { ...child, amountMinor: 0.5 }] }, ['/priceCard/1/amountMinor']],
    ['a price that no number holds', { priceCard: [{ ...adult, amountMinor: 2 ** 60 }] }, ['/priceCard/0/amountMinor']],
    ['a price of an area it cannot have', { priceCard: [adult, { ...adult, area: 'roof' }] }, ['/priceCard/1/area']],
    ['two prices for the same', { priceCard: [adult, { ...adult, amountMinor: 1 }] }, ['/priceCard']],
    ['no price for an adult', { priceCard: [child] }, ['/priceCard']],
    ['a hole in its price card', { priceCard: [adult, null] }, ['/priceCard/1']],
    ['no price card', { priceCard: undefined }, ['/priceCard']],
  ])('with %s is refused, naming it', async (_, over, pointers) => {
    const { body } = await everywhere.post('', { ...alcazar, ...over }).expect(400);
    const found = (body.errors as { pointer: string }[]).map(({ pointer }) => pointer);
    expect(found).toEqual(expect.arrayContaining(pointers));
  });

  it.each(['Mars/Olympus', 'america/lima', '-05:00', 'PET', '', 7])('is in no time zone %p', async (timeZone) => {
    const { body } = await everywhere.post('', { ...alcazar, timeZone }).expect(400);
    const detail = 'must be a time zone of the IANA database, such as America/Lima';
    expect(body.errors).toEqual([{ pointer: '/timeZone', detail }]);
  });

  it.each(['XXX', 'pen', 'SOL', 604])('takes no currency %p', async (currency) => {
    const { body } = await everywhere.post('', { ...alcazar, currency }).expect(400);
    expect(body.errors).toEqual([{ pointer: '/currency', detail: 'must be an ISO 4217 currency, such as PEN' }]);
  });

  it('changes what a patch names, and stays with its chain', async () => {
    const { id } = await everywhere.create(alcazar);
    const moved = { position: { latitude: -12.2 }, tax: { basisPoints: 0 }, priceCard: [{ ...adult, amountMinor: 0 }] };
    const { body } = await everywhere.patch(id, { ...moved, chain }).expect(200);
    expect(body).toMatchObject({ position: { latitude: -12.2, longitude: -77.0369 }, tax: { name: 'IGV', basisPoints: 0 } });
    expect((await everywhere.as('').seen(id, 2)).body).toEqual(body);
    const refused = await everywhere.patch(id, { chain: otherChain }).expect(400);
    expect(refused.body.errors).toEqual([{ pointer: '/chain', detail: 'cannot be changed: a cinema stays with its chain' }]);
    expect((await everywhere.patch(id, { priceCard: [child] }).expect(400)).body.errors[0].pointer).toBe('/priceCard');
    for (const wrong of ['[]', '7', 'null'])
      await everywhere.patch(id, wrong as never, { 'content-type': 'application/json' }).expect(400);
  });

  it('stays while it has screenings to come', async () => {
    const { id } = await everywhere.create(alcazar);
    const [past, coming] = [-1, 24].map((hours) => new Date(Date.now() + hours * 3_600_000).toISOString());
    const [over, planned] = [randomUUID(), randomUUID()];
    await everywhere.tell(
      { name: 'screening.created', key: over, body: { cinema: id, endAt: past } },
      { name: 'screening.created', key: planned, body: { cinema: id, endAt: coming } },
    );
    await everywhere.found('SELECT 1 FROM known_screening WHERE id = $1', [planned]);
    expect((await everywhere.remove(id).expect(409)).body.type).toBe('/problems/cinema-in-use');
    const cancelled = { cinema: id, endAt: coming, cancelledAt: past };
    await everywhere.tell({ name: 'screening.cancelled', key: planned, version: 2, body: cancelled });
    await everywhere.found('SELECT 1 FROM known_screening WHERE id = $1 AND version = 2', [planned]);
    await everywhere.remove(id).expect(204);
    await everywhere.seen(id, 2, 404);
  });
});

describe('who may', () => {
  it('open and close a cinema: an administrator of its chain, and nobody else', async () => {
    const { id } = await everywhere.create(alcazar);
    const stranger = await bound('chain-admin', otherChain);
    expect((await stranger.post('', alcazar).expect(403)).body).toMatchObject(outOfBounds);
    await stranger.patch(id, { address: 'x' }).expect(403);
    await stranger.remove(id).expect(403);
    const manager = await bound('manager', chain, [id]);
    await manager.post('', alcazar).expect(403);
    await manager.remove(id).expect(403);
    for (const role of ['customer', 'cashier', 'usher', 'operator'] as const)
      await everywhere
        .as(await mesh.bearer(role))
        .patch(id, { address: 'x' })
        .expect(403);
    await everywhere.as('').patch(id, { address: 'x' }).expect(401);
    await (await bound('chain-admin', chain)).remove(id).expect(204);
  });

  it('change it: its manager too, but prices, amenities and address alone', async () => {
    const [own, other] = [await everywhere.create(alcazar), await everywhere.create(alcazar)];
    const manager = await bound('manager', chain, [own.id]);
    const change = { priceCard: [adult], amenities: [], address: 'Av. Larco 1' };
    expect((await manager.patch(own.id, change).expect(200)).body).toMatchObject(change);
    for (const beyond of [{ name: 'Mine' }, { tax: { basisPoints: 0 } }, { address: 'x', currency: 'USD' }, { chain }])
      expect((await manager.patch(own.id, beyond).expect(403)).body).toMatchObject(outOfBounds);
    expect((await manager.patch(other.id, change).expect(403)).body).toMatchObject(outOfBounds);
    const unbound = everywhere.as(await mesh.bearer('manager'));
    await unbound.patch(own.id, change).expect(403);
    const [record] = await everywhere.sql(
      `SELECT action, before ->> 'address' AS was, after ->> 'address' AS is FROM audit_record WHERE "subjectId" = $1 AND action = 'changed'`,
      [own.id],
    );
    expect(record).toEqual({ action: 'changed', was: alcazar.address, is: 'Av. Larco 1' });
  });
});

it.each(['cinema-command', 'cinema-query'])('the tables of %s are as its entities say', async (process) => {
  const { db } = mesh.running(process).app.get(Storage);
  expect(await migrationFor(db, { process, name: 'none', atMs: 0 })).toBeUndefined();
});
