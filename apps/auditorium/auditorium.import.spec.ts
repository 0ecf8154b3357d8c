import { randomUUID } from 'node:crypto';
import { Desk, startTestMesh, type TestMesh } from '#testing';
import { AuditoriumCommand } from './auditorium.command.js';
import { AuditoriumQuery } from './auditorium.query.js';

const [chain, cinema, elsewhere] = [randomUUID(), randomUUID(), randomUUID()];
const room = (over: object = {}) => ({ cinema, name: 'Sala 1', layout: [{ name: 'A', seats: 'ss.s' }], ...over });

let mesh: TestMesh, desk: Desk, manager: Desk;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [AuditoriumCommand, AuditoriumQuery] });
  desk = new Desk(mesh, 'auditorium', await mesh.bearer('chain-admin'));
  const user = randomUUID();
  await desk.tell(...[cinema, elsewhere].map((key) => ({ name: 'cinema.created', key, body: { chain } })), {
    name: 'manager.created',
    key: randomUUID(),
    body: { user, role: 'manager', chain, cinemas: [cinema] },
  });
  await desk.found('SELECT 1 FROM staff WHERE "user" = $1', [user]);
  manager = desk.as(await mesh.bearerFor({ id: user, roles: ['manager'] }));
});
afterAll(() => mesh.stop());

const bring = async (auditoriums: object[], over: object = {}, as = desk) =>
  (await as.post('/import', { auditoriums, ...over }).expect(200)).body.results as {
    status: string;
    id?: string;
    errors?: object[];
  }[];

describe('auditoriums brought together', () => {
  it('are tried first, and nothing is written', async () => {
    const results = await bring([room(), room({ layout: [{ name: 'A', seats: 'q' }] })], { dryRun: true });
    expect(results).toMatchObject([{ status: 'accepted' }, { status: 'refused', errors: [{ pointer: '/layout/0/seats' }] }]);
    expect(await desk.sql('SELECT 1 FROM auditorium')).toEqual([]);
  });

  it('are made with their layouts told, a bad one costing no other, and stay as they are when they come again', async () => {
    const companion = [
      { name: 'A', seats: 'ss' },
      { name: 'B', seats: 'sc' },
    ];
    const batch = [room(), room({ name: 'Sala 2', layout: companion }), room({ cinema: randomUUID() }), room({ name: 'SALA 1' })];
    const results = await bring(batch);
    expect(results.map(({ status }) => status)).toEqual(['created', 'refused', 'refused', 'existed']);
    expect(results[1]!.errors).toMatchObject([{ pointer: '/layout/1/seats' }]);
    expect(results[2]!.errors).toMatchObject([{ pointer: '/cinema' }]);
    const [made] = await desk.sql('SELECT chain, "layoutVersion", capacity FROM auditorium WHERE id = $1', [results[0]!.id]);
    expect(made).toEqual({ chain, layoutVersion: 1, capacity: 3 });
    await desk.found('SELECT 1 FROM layout_view WHERE auditorium = $1 AND capacity = 3', [results[0]!.id], 'query');
    expect((await bring(batch)).map(({ status }) => status)).toEqual(['existed', 'refused', 'refused', 'existed']);
    expect(await desk.sql('SELECT 1 FROM auditorium')).toHaveLength(1);
  });

  it('are made by a manager in the own cinema alone', async () => {
    const results = await bring([room({ name: 'Sala 9' }), room({ cinema: elsewhere })], {}, manager);
    expect(results).toMatchObject([{ status: 'created' }, { errors: [{ detail: 'is a cinema that you do not act in' }] }]);
    await desk.post('/import', { auditoriums: Array(101).fill(7) }).expect(400);
    await desk
      .as(await mesh.bearer('usher'))
      .post('/import', { auditoriums: [] })
      .expect(403);
  });
});
