import { randomUUID } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { openClient } from '#postgres';
import { migrationFor, Storage } from '#storage';
import { Desk, startTestMesh, type TestMesh, until } from '#testing';
import { AuditoriumCommand } from './auditorium.command.js';
import { AuditoriumQuery } from './auditorium.query.js';

const [chain, cinema, elsewhere] = [uuidv7(), uuidv7(), uuidv7()];
const rows = (...seats: string[]) => seats.map((row, at) => ({ name: String.fromCharCode(65 + at), seats: row }));
const layout = rows('sss.sss', 'SSS.Shx', 'cw...ss');

let mesh: TestMesh, desk: Desk;
let count = 0;
/** A room nobody else has made. */
const room = (over: object = {}) => ({ cinema, name: `Sala ${++count}`, layout, ...over });

beforeAll(async () => {
  mesh = await startTestMesh({ processes: [AuditoriumCommand, AuditoriumQuery] });
  desk = new Desk(mesh, 'auditorium', await mesh.bearerFor({ id: uuidv7(), roles: ['chain-admin'], client: 'web' }));
  for (const key of [cinema, elsewhere]) await desk.tell({ name: 'cinema.created', key, body: { chain, name: 'Centro' } });
  for (const id of [cinema, elsewhere]) await desk.found('SELECT 1 FROM known_cinema WHERE id = $1', [id]);
});
afterAll(() => mesh.stop());

describe('an auditorium', () => {
  it('is made in a cinema, and knows its chain and what it can sell', async () => {
    const { body, headers } = await desk.post('', room({ name: 'Sala Azul' })).expect(201);
    expect(body).toEqual({
      ...{ id: body.id, version: 1, chain, cinema, name: 'Sala Azul', layout, layoutVersion: 1, capacity: 15 },
    });
    expect(headers).toMatchObject({ location: `/api/auditoriums/${body.id}`, etag: '"1"' });
    expect((await desk.seen(body.id)).body).toEqual(body);
  });

  it('is refused in a cinema that nobody knows', async () => {
    const { body } = await desk.post('', room({ cinema: uuidv7() })).expect(400);
    expect(body.errors).toEqual([{ pointer: '/cinema', detail: 'is no cinema we know' }]);
  });

  it('has a name of its own in its cinema, whatever its case', async () => {
    const { id } = await desk.create(room({ name: 'Platino' }));
    const { body } = await desk.post('', room({ name: 'PLATINO' })).expect(409);
    expect(body).toMatchObject({ type: '/problems/auditorium-exists', fields: ['cinema', 'name'] });
    await desk.create(room({ name: 'Platino', cinema: elsewhere }));
    await desk.remove(id).expect(204);
    await desk.create(room({ name: 'platino' }));
  });

  it('stays in its cinema', async () => {
    const { id } = await desk.create(room());
    const { body } = await desk.patch(id, { cinema: elsewhere }).expect(400);
    expect(body.errors).toEqual([{ pointer: '/cinema', detail: 'cannot be changed' }]);
    await desk.patch(id, { cinema: cinema.toUpperCase(), name: 'Verde' }).expect(200);
    expect((await desk.seen(id, 2)).body).toMatchObject({ cinema, name: 'Verde', layoutVersion: 1 });
  });

  it.each<[string, unknown, string]>([
    ['no rows', [], '/layout'],
    ['a letter nobody knows', rows('sss', 'sqs'), '/layout/1/seats'],
    ['a companion alone', rows('sss', 'ss', 's', 'sc'), '/layout/3/seats'],
    ['two rows of a name', [...rows('s'), ...rows('s')], '/layout/1/name'],
    ['nothing to sell', rows('xx'), '/layout'],
    ['a row that is none', [7], '/layout/0'],
    ['more of a row than there is', [{ ...rows('s')[0], price: 3 }], '/layout/0/price'],
  ])('is refused with %s, also when it is changed', async (_, wrong, pointer) => {
    const refused = (body: { errors: { pointer: string }[] }) =>
      expect(body.errors.map((error) => error.pointer)).toContain(pointer);
    refused((await desk.post('', room({ layout: wrong })).expect(400)).body);
    const { id } = await desk.create(room());
    refused((await desk.patch(id, { layout: wrong }).expect(400)).body);
    await desk.patch(id, { layout: null }).expect(400);
  });

  it('is found by its cinema, in the order of its name', async () => {
    const own = uuidv7();
    await desk.tell({ name: 'cinema.created', key: own, body: { chain } });
    await desk.found('SELECT 1 FROM known_cinema WHERE id = $1', [own]);
    for (const name of ['Zafiro', 'ámbar', 'Oro']) await desk.seen((await desk.create(room({ cinema: own, name }))).id);
    const { body } = await new Desk(mesh, 'auditorium').get(`?cinema=${own}`).expect(200);
    expect(body.items.map(({ name }: { name: string }) => name)).toEqual(['ámbar', 'Oro', 'Zafiro']);
  });

  it('is not removed while screenings in it are not over', async () => {
    const { id, name } = await desk.create(room());
    const [over, later] = [-1, 1].map((hours) => new Date(Date.now() + hours * 3_600_000).toISOString());
    const [past, next] = [uuidv7(), uuidv7()];
    const screening = { auditorium: id, startAt: over, endAt: later };
    await desk.tell({ name: 'screening.created', key: past, body: { ...screening, endAt: over } });
    await desk.tell({ name: 'screening.created', key: next, body: screening });
    for (const key of [past, next]) await desk.found('SELECT 1 FROM known_screening WHERE id = $1', [key]);
    const { body } = await desk.remove(id).expect(409);
    expect(body).toMatchObject({
      type: '/problems/auditorium-in-use',
      screenings: 1,
      detail: expect.stringContaining(name as string),
    });
    await desk.tell({ name: 'screening.cancelled', key: next, version: 2, body: { ...screening, cancelledAt: over } });
    await desk.found('SELECT 1 FROM known_screening WHERE id = $1 AND cancelled', [next]);
    await desk.remove(id).expect(204);
    await desk.seen(id, 2, 404);
  });
});

describe('who may', () => {
  it('is who acts in that cinema', async () => {
    const [user, stranger] = [uuidv7(), uuidv7()];
    const bind = (id: string, ...cinemas: string[]) =>
      desk.tell({ name: 'manager.created', key: randomUUID(), body: { user: id, role: 'manager', chain, cinemas } });
    await bind(user, cinema);
    await bind(stranger, elsewhere);
    for (const id of [user, stranger]) await desk.found('SELECT 1 FROM staff WHERE "user" = $1', [id]);
    const as = async (id: string, role: 'manager' | 'cashier' = 'manager') =>
      desk.as(await mesh.bearerFor({ id, roles: [role], client: 'web' }));
    const { id } = await (await as(user)).create(room());
    await (await as(user)).patch(id, { name: 'De la casa' }).expect(200);
    const other = await as(stranger);
    for (const call of [other.post('', room()), other.patch(id, { name: 'Ajena' }), other.remove(id)])
      expect((await call.expect(403)).body.type).toBe('/problems/out-of-bounds');
    await (await as(user, 'cashier')).patch(id, { name: 'Ajena' }).expect(403);
    await desk.as('').post('', room()).expect(401);
    await (await as(user)).remove(id).expect(204);
  });
});

describe('layouts', () => {
  const changes = [rows('sss', 'ss'), rows('sssss'), rows('s')];

  /** An auditorium that has had four. */
  async function refurnished(): Promise<string> {
    const { id } = await desk.create(room());
    for (const next of changes) await desk.patch(id, { layout: next }).expect(200);
    await desk.found(`SELECT 1 FROM layout_view WHERE auditorium = $1 AND "layoutVersion" = 4`, [id], 'query');
    return id;
  }

  it('are counted when they change, and only then', async () => {
    const { id } = await desk.create(room());
    const same = layout.map(({ name, seats }) => ({ seats, name }));
    expect((await desk.patch(id, { name: 'Roja', layout: same }).expect(200)).body).toMatchObject({
      version: 2,
      layoutVersion: 1,
    });
    const { body } = await desk.patch(id, { layout: changes[0] }).expect(200);
    expect(body).toMatchObject({ version: 3, layoutVersion: 2, capacity: 5, layout: changes[0] });
    expect((await desk.patch(id, { layout }).expect(200)).body).toMatchObject({ layoutVersion: 3, capacity: 15 });
    await desk.patch(id, { layout: rows('q') }).expect(400);
    expect((await desk.seen(id, 4)).body.layoutVersion).toBe(3);
  });

  it('are all kept: each is what it was, when it is asked for', async () => {
    const id = await refurnished();
    const { body: first } = await desk.get(`/${id}/layouts/1`).expect(200);
    expect(first).toEqual({ auditorium: id, layoutVersion: 1, layout, capacity: 15, since: expect.stringMatching(/Z$/) });
    for (const none of ['5', '0', '1.5', 'x']) await desk.get(`/${id}/layouts/${none}`).expect(404);
    const versions = ({ body }: { body: { items: { layoutVersion: number }[] } }) => body.items.map((it) => it.layoutVersion);
    const page = await desk.get(`/${id}/layouts?limit=3`).expect(200);
    expect([versions(page), page.body.next]).toEqual([[4, 3, 2], '2']);
    const last = await desk.get(`/${id}/layouts?limit=3&cursor=2`).expect(200);
    expect([versions(last), last.body.next]).toEqual([[1], null]);
    for (const wrong of ['limit=0', 'limit=101', 'cursor=x', 'page=2']) await desk.get(`/${id}/layouts?${wrong}`).expect(400);
    for (const none of [uuidv7(), 'x']) await desk.get(`/${none}/layouts`).expect(404);
  });

  it('survive a rebuild of the view from a log that has thrown away all it may, and the end of their auditorium', async () => {
    const id = await refurnished();
    await desk.remove(id).expect(204);
    await desk.seen(id, 5, 404);
    const { body: before } = await desk.get(`/${id}/layouts`).expect(200);
    const admin = await openClient(mesh.postgres!.url());
    try {
      await admin.query(`SELECT bus.compact(interval '0', 10000)`);
      const { rows: left } = await admin.query(`SELECT version FROM bus.event WHERE topic = 'auditorium' AND key = $1`, [id]);
      expect(left).toEqual([{ version: 5 }]);
      await desk.sql('DELETE FROM layout_view', [], 'query');
      await admin.query(`SELECT bus.ask_rebuild('auditorium-query')`);
      const isDone = async () =>
        (await admin.query<{ state: string }>('SELECT state FROM bus.rebuild')).rows[0]?.state === 'done';
      await until('it is rebuilt', isDone, 20_000);
    } finally {
      await admin.end();
    }
    expect(before.items).toHaveLength(4);
    expect((await desk.get(`/${id}/layouts`).expect(200)).body).toEqual(before);
  });
});

it.each(['auditorium-command', 'auditorium-query'])('the tables of %s are as its entities say', async (process) => {
  const { db } = mesh.running(process).app.get(Storage);
  expect(await migrationFor(db, { process, name: 'none', atMs: 0 })).toBeUndefined();
});
