import { randomUUID } from 'node:crypto';
import { migrationFor, Storage } from '#storage';
import { Desk, type Made, startTestMesh, type TestMesh } from '#testing';
import { ManagerCommand } from './manager.command.js';
import { ManagerQuery } from './manager.query.js';

const [chain, otherChain] = [randomUUID(), randomUUID()];
const [lima, cusco, foreign] = [randomUUID(), randomUUID(), randomUUID()];
const NOBODY = randomUUID();

let mesh: TestMesh, everywhere: Desk;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [ManagerCommand, ManagerQuery], config: { 'resource.minVersionWaitMs': 300 } });
  everywhere = new Desk(mesh, 'manager', await mesh.bearer('chain-admin'));
  await everywhere.tell(
    ...[chain, otherChain].map((key) => ({ name: 'chain.created', key, body: { name: key } })),
    ...[lima, cusco].map((key) => ({ name: 'cinema.created', key, body: { chain } })),
    { name: 'cinema.created', key: foreign, body: { chain: otherChain } },
  );
  await everywhere.found('SELECT 1 FROM known_chain HAVING count(*) = 2');
  await everywhere.found('SELECT 1 FROM known_cinema HAVING count(*) = 3');
});
afterAll(() => mesh.stop());

/** Somebody who has an account. */
async function person(roles: string[] = ['customer']): Promise<string> {
  const key = randomUUID();
  await everywhere.tell({ name: 'user.created', key, body: { roles, confirmed: true, disabled: false } });
  await everywhere.found('SELECT 1 FROM known_user WHERE id = $1', [key]);
  return key;
}
type Place = Made & { user: string };
/** Somebody with a place among the staff that both sides know of, and the desk where they work. */
async function placed(role: string, cinemas: string[], of = chain): Promise<{ place: Place; desk: Desk }> {
  const place = (await everywhere.create({ user: await person(), role, chain: of, cinemas })) as Place;
  for (const side of ['command', 'query'] as const) await everywhere.found('SELECT 1 FROM staff WHERE id = $1', [place.id], side);
  await everywhere.seen(place.id);
  const bearer = await mesh.bearerFor({ id: place.user, roles: ['customer', role] as never, client: 'web' });
  return { place, desk: everywhere.as(bearer) };
}
const refusal = async (call: PromiseLike<{ status: number; body: { type: string } }>) => {
  const { status, body } = await call;
  return [status, body.type.replace('/problems/', '')];
};
const OUT_OF_BOUNDS = [403, 'out-of-bounds'];

describe('a place among the staff', () => {
  it('is given by who acts in the chain, changed and ended', async () => {
    const { desk } = await placed('chain-admin', []);
    const user = await person();
    const { body, headers } = await desk.post('', { user, role: 'usher', chain, cinemas: [lima] }).expect(201);
    expect(body).toEqual({ id: body.id, version: 1, user, role: 'usher', chain, cinemas: [lima] });
    expect(body.id[14]).toBe('7');
    expect(headers.location).toBe(`/api/managers/${body.id}`);
    expect((await desk.seen(body.id)).body).toEqual(body);
    const moved = await desk.patch(body.id, { role: 'manager', cinemas: [lima, cusco] }).expect(200);
    expect(moved.body).toEqual({ ...body, version: 2, role: 'manager', cinemas: [lima, cusco] });
    await desk.remove(body.id).expect(204);
    await desk.seen(body.id, 3, 404);
    const actions = await desk.sql('SELECT action FROM audit_record WHERE "subjectId" = $1 ORDER BY id', [body.id]);
    expect(actions).toEqual(['created', 'changed', 'removed'].map((action) => ({ action })));
  });

  it('is the only one of its user, who may have another once it is ended', async () => {
    const { place } = await placed('usher', [lima]);
    const again = { user: place.user, role: 'cashier', chain, cinemas: [lima] };
    const { body } = await everywhere.post('', again).expect(409);
    expect(body).toMatchObject({ type: '/problems/manager-exists', fields: ['user'] });
    await everywhere.remove(place.id).expect(204);
    await everywhere.create(again);
  });

  it.each([
    ['a user nobody knows', { user: NOBODY }, '/user'],
    ['a chain nobody knows', { role: 'chain-admin', chain: NOBODY, cinemas: [] }, '/chain'],
    ['a cinema nobody knows', { cinemas: [lima, NOBODY] }, '/cinemas/1'],
    ['a cinema of another chain', { cinemas: [foreign] }, '/cinemas/0'],
    ['no cinema', { cinemas: [] }, '/cinemas'],
    ['cinemas of a chain-admin', { role: 'chain-admin' }, '/cinemas'],
    ['the same cinema twice', { cinemas: [lima, lima.toUpperCase()] }, '/cinemas'],
    ['51 cinemas', { cinemas: Array.from({ length: 51 }, () => randomUUID()) }, '/cinemas'],
    ['a role that is no place', { role: 'operator' }, '/role'],
    ['no role', { role: undefined }, '/role'],
    ['an id that is none', { user: 'ana' }, '/user'],
  ])('with %s is refused, naming it', async (_, over, pointer) => {
    const { body } = await everywhere
      .post('', { user: await person(), role: 'usher', chain, cinemas: [lima], ...over })
      .expect(400);
    expect((body.errors as { pointer: string }[]).map((error) => error.pointer)).toEqual([pointer]);
  });

  it('keeps its user and its chain, and what is changed is checked as a whole', async () => {
    const { place } = await placed('usher', [lima]);
    const wrong = async (body: object) => (await everywhere.patch(place.id, body).expect(400)).body.errors[0].pointer as string;
    expect(await wrong({ user: await person() })).toBe('/user');
    expect(await wrong({ chain: otherChain })).toBe('/chain');
    expect(await wrong({ role: 'chain-admin' })).toBe('/cinemas');
    expect(await wrong({ cinemas: null })).toBe('/cinemas');
    expect(await wrong({ cinemas: [foreign] })).toBe('/cinemas/0');
    await everywhere.patch(place.id, { role: 'chain-admin', cinemas: [], user: place.user }).expect(200);
    expect(await wrong({ role: 'manager' })).toBe('/cinemas');
  });

  it('knows no case of ids', async () => {
    const user = await person();
    const upper = { user: user.toUpperCase(), role: 'usher', chain: chain.toUpperCase(), cinemas: [lima.toUpperCase()] };
    expect(await everywhere.create(upper)).toMatchObject({ user, chain, cinemas: [lima] });
  });

  it('ends when its user is erased, who then gets none', async () => {
    const { place } = await placed('cashier', [lima]);
    await everywhere.tell({ name: 'user.erased', key: place.user, version: 2, body: { roles: [], erased: true } });
    await everywhere.seen(place.id, 2, 404);
    const { body } = await everywhere.post('', { user: place.user, role: 'usher', chain, cinemas: [lima] }).expect(400);
    expect(body.errors[0].pointer).toBe('/user');
  });
});

describe('who may', () => {
  it('appoint: an administrator of that chain, and not of another', async () => {
    const { desk } = await placed('chain-admin', []);
    const user = await person();
    expect(await refusal(desk.post('', { user, role: 'usher', chain: otherChain, cinemas: [foreign] }))).toEqual(OUT_OF_BOUNDS);
    expect(await refusal(desk.post('', { user, role: 'chain-admin', chain: otherChain, cinemas: [] }))).toEqual(OUT_OF_BOUNDS);
    await desk.post('', { user, role: 'chain-admin', chain, cinemas: [] }).expect(201);
    const { place } = await placed('usher', [foreign], otherChain);
    expect(await refusal(desk.patch(place.id, { role: 'cashier' }))).toEqual(OUT_OF_BOUNDS);
    expect(await refusal(desk.remove(place.id))).toEqual(OUT_OF_BOUNDS);
  });

  it('appoint in a cinema: its manager, cashiers and ushers alone', async () => {
    const { desk } = await placed('manager', [lima]);
    const user = await person();
    const at = (role: string, ...cinemas: string[]) => ({ user, role, chain, cinemas });
    for (const beyond of [at('manager', lima), at('chain-admin'), at('usher', cusco), at('usher', lima, cusco), at('usher')])
      expect(await refusal(desk.post('', beyond))).toEqual(OUT_OF_BOUNDS);
    const { body } = await desk.post('', at('usher', lima)).expect(201);
    await desk.patch(body.id, { role: 'cashier' }).expect(200);
    expect(await refusal(desk.patch(body.id, { role: 'manager' }))).toEqual(OUT_OF_BOUNDS);
    expect(await refusal(desk.patch(body.id, { cinemas: [lima, cusco] }))).toEqual(OUT_OF_BOUNDS);
    await desk.remove(body.id).expect(204);
    for (const other of [await placed('usher', [cusco]), await placed('usher', [lima, cusco]), await placed('manager', [lima])]) {
      expect(await refusal(desk.remove(other.place.id))).toEqual(OUT_OF_BOUNDS);
      // Not even to what would be the caller's to give.
      expect(await refusal(desk.patch(other.place.id, { role: 'cashier', cinemas: [lima] }))).toEqual(OUT_OF_BOUNDS);
    }
  });

  it('appoint nobody: customers, cashiers, ushers, and who is bound nowhere', async () => {
    const body = { user: await person(), role: 'usher', chain, cinemas: [lima] };
    const { desk: cashier } = await placed('cashier', [lima]);
    await cashier.post('', body).expect(403);
    for (const role of ['customer', 'usher', 'operator', 'manager'] as const)
      await everywhere
        .as(await mesh.bearer(role))
        .post('', body)
        .expect(403);
    await everywhere.as('').post('', body).expect(401);
  });

  it('change the own place: nobody', async () => {
    const { place, desk } = await placed('chain-admin', []);
    const own = [409, 'own-account'];
    expect(await refusal(desk.patch(place.id, { role: 'manager', cinemas: [lima] }))).toEqual(own);
    expect(await refusal(desk.remove(place.id))).toEqual(own);
    const founder = await person(['chain-admin']);
    const asFounder = everywhere.as(await mesh.bearerFor({ id: founder, roles: ['chain-admin'] }));
    expect(await refusal(asFounder.post('', { user: founder, role: 'chain-admin', chain, cinemas: [] }))).toEqual(own);
  });

  it('bind an administrator of all chains: only another such', async () => {
    const { desk } = await placed('chain-admin', []);
    const body = { user: await person(['chain-admin']), role: 'usher', chain, cinemas: [lima] };
    expect(await refusal(desk.post('', body))).toEqual(OUT_OF_BOUNDS);
    await everywhere.post('', body).expect(201);
  });
});

it('is read by oneself, by a manager who shares a cinema, and by administrators of the chain', async () => {
  const admin = await placed('chain-admin', []);
  const manager = await placed('manager', [lima]);
  const [near, far, both] = [
    await placed('usher', [lima]),
    await placed('cashier', [cusco]),
    await placed('cashier', [cusco, lima]),
  ];
  const abroad = await placed('usher', [foreign], otherChain);
  const all = { admin, manager, near, far, both, abroad };
  const reads = async (desk: Desk) => {
    const names: string[] = [];
    const listed = new Set(((await desk.get('?limit=100').expect(200)).body.items as { id: string }[]).map(({ id }) => id));
    for (const [name, { place }] of Object.entries(all)) {
      const { status } = await desk.get(`/${place.id}`);
      expect([name, status]).toEqual([name, listed.has(place.id) ? 200 : 404]);
      if (status === 200) names.push(name);
    }
    return names;
  };
  expect(await reads(everywhere)).toEqual(Object.keys(all));
  expect(await reads(admin.desk)).toEqual(['admin', 'manager', 'near', 'far', 'both']);
  expect(await reads(manager.desk)).toEqual(['manager', 'near', 'both']);
  for (const name of ['near', 'far', 'abroad'] as const) expect(await reads(all[name].desk)).toEqual([name]);
  const { body } = await manager.desk.get(`?cinema=${cusco}&role=cashier`).expect(200);
  expect(body.items.map(({ id }: { id: string }) => id)).toEqual([both.place.id]);
  const me = await near.desk.get('/me').expect(200);
  expect([me.body, me.headers.etag]).toEqual([near.place, '"1"']);
  for (const desk of [everywhere, everywhere.as(await mesh.bearer('usher'))]) await desk.get('/me').expect(404);
  await everywhere
    .as(await mesh.bearer('customer'))
    .get('')
    .expect(403);
  await everywhere.as('').get('').expect(401);
});

it('says to clients what it answers and refuses', async () => {
  const of = async (process: string) => (await mesh.http(process).get('/openapi.json').expect(200)).body.paths;
  const [command, query] = [await of('manager-command'), await of('manager-query')];
  const statuses = ({ responses }: { responses: object }) => Object.keys(responses).map(Number);
  expect(statuses(query['/api/managers'].get)).toEqual([200, 400, 401, 403]);
  expect(statuses(query['/api/managers/me'].get)).toEqual([200, 304, 400, 401, 403, 404]);
  expect(statuses(query['/api/managers/{id}'].get)).toEqual([200, 304, 400, 401, 403, 404]);
  const { post } = command['/api/managers'];
  expect(post.requestBody.content['application/json'].schema.required).toEqual(['user', 'role', 'chain']);
  const { patch, delete: remove } = command['/api/managers/{id}'];
  expect(patch.requestBody.content['application/merge-patch+json']).toBeDefined();
  expect(statuses(remove)).toEqual([204, 400, 401, 403, 404, 409, 412]);
});

it.each(['manager-command', 'manager-query'])('the tables of %s are as its entities say', async (process) => {
  const { db } = mesh.running(process).app.get(Storage);
  expect(await migrationFor(db, { process, name: 'none', atMs: 0 })).toBeUndefined();
});
