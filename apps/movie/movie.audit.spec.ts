import { Storage } from '#storage';
import { startTestMesh, type TestMesh } from '#testing';
import { MovieCommand } from './movie.command.js';

let mesh: TestMesh, staff: string;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [MovieCommand] });
  staff = await mesh.bearerFor({ id: 'ana', roles: ['customer', 'manager'], client: 'web' });
});
afterAll(() => mesh.stop());

const call = (method: 'post' | 'patch' | 'delete', path: string, body: object = {}) =>
  mesh.http('movie-command')[method](`/api/movies${path}`).set('authorization', staff).send(body);
const sql = <T>(text: string, params: unknown[] = []) => mesh.running('movie-command').app.get(Storage).query<T>(text, params);
const records = (id: string) =>
  sql('SELECT who, client, subject, action, before, after FROM audit_record WHERE "subjectId" = $1 ORDER BY id', [id]);
const alien = { title: 'Alien', minutes: 117, releaseOn: '1979-05-25', genres: ['Horror'] };
const by = { who: 'ana', client: 'web', subject: 'movie' };

it('every write of a film is recorded, with what it changed', async () => {
  const { id } = (await call('post', '', alien).expect(201)).body as { id: string };
  await call('patch', `/${id}`, { minutes: null, genres: ['Horror', 'Drama'] }).expect(200);
  await call('post', `/${id}/retire`).expect(200);
  await call('delete', `/${id}`).expect(204);
  const last = { title: 'Alien', releaseOn: '1979-05-25', genres: ['Horror', 'Drama'], retired: true };
  expect(await records(id)).toEqual([
    { ...by, action: 'created', before: null, after: { ...alien, retired: false } },
    {
      ...{ ...by, action: 'changed', before: { minutes: 117, genres: ['Horror'] } },
      after: { minutes: null, genres: ['Horror', 'Drama'] },
    },
    { ...by, action: 'changed', before: { retired: false }, after: { retired: true } },
    { ...by, action: 'removed', before: last, after: null },
  ]);
});

it('what was refused, and what came twice, leaves none', async () => {
  const { id } = (await call('post', '', { ...alien, title: 'Aliens' }).expect(201)).body as { id: string };
  await call('post', '', { ...alien, title: 'Aliens' }).expect(409);
  await call('patch', `/${id}`, { minutes: 0 }).expect(400);
  await call('patch', `/${id}`, { minutes: 137 }).set('If-Match', '"9"').expect(412);
  for (let i = 0; i < 2; i++) await call('post', `/${id}/retire`).set('Idempotency-Key', 'retire').expect(200);
  expect(await records(id)).toHaveLength(2);
});

it('of many changes at once each is recorded as what it found', async () => {
  const { id } = (await call('post', '', { ...alien, title: 'Alien 3', minutes: 1 }).expect(201)).body as { id: string };
  await Promise.all(Array.from({ length: 8 }, (_, i) => call('patch', `/${id}`, { minutes: i + 2 })));
  const changes = (await records(id)).slice(1) as { before: { minutes: number }; after: { minutes: number } }[];
  expect(changes.length).toBeGreaterThan(0);
  let minutes = 1;
  for (const { before, after } of changes) {
    expect(before.minutes).toBe(minutes);
    minutes = after.minutes;
  }
  expect(await sql('SELECT minutes FROM movie WHERE id = $1', [id])).toEqual([{ minutes }]);
});

it('of an import each film has its own, and those that were there have none', async () => {
  const movies = Array.from({ length: 200 }, (_, i) => ({ ...alien, title: `Clone ${i}` }));
  await call('post', '/import', { movies: movies.slice(0, 50) }).expect(200);
  await call('post', '/import', { movies }).expect(200);
  const [made] = await sql<{ count: number; titles: number }>(
    `SELECT count(*)::int AS count, count(DISTINCT after ->> 'title')::int AS titles FROM audit_record
     WHERE action = 'created' AND after ->> 'title' LIKE 'Clone %'`,
  );
  expect(made).toEqual({ count: 200, titles: 200 });
});
