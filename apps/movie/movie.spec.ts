import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { publish } from '#bus';
import { migrationFor, Storage } from '#storage';
import { startTestMesh, type TestMesh } from '#testing';
import { MovieCommand } from './movie.command.js';
import { MovieQuery } from './movie.query.js';

const alien = { title: 'Alien', minutes: 117, rating: 'R', releaseOn: '1979-05-25', genres: ['Horror', 'Science Fiction'] };

let mesh: TestMesh,
  staff: string,
  count = 0;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [MovieCommand, MovieQuery] });
  staff = await mesh.bearer('manager');
});
afterAll(() => mesh.stop());

const command = () => mesh.http('movie-command');
const query = (path: string) => mesh.http('movie-query').get(`/api/movies${path}`);
const post = (path: string, body?: string | object) =>
  command().post(`/api/movies${path}`).set('authorization', staff).send(body);
const patch = (id: string, body: object) => command().patch(`/api/movies/${id}`).set('authorization', staff).send(body);
const remove = (id: string) => command().delete(`/api/movies/${id}`).set('authorization', staff);
/** A film nobody else has made. */
const film = (over: object = {}) => ({ ...alien, title: `Alien ${++count}`, ...over });
const create = async (over: object = {}) =>
  (await post('', film(over)).expect(201)).body as { id: string; version: number; title: string };
/** The movie as its readers see it, once they see that version; a busy machine may need longer than one wait. */
const seen = async (id: string, version = 1, status = 200) => {
  let answer = await query(`/${id}`).set('Min-Version', String(version));
  for (let i = 0; i < 30 && answer.headers.stale; i++) answer = await query(`/${id}`).set('Min-Version', String(version));
  expect([answer.status, answer.headers.stale]).toEqual([status, undefined]);
  return answer;
};

describe('a movie', () => {
  it('is created, and readable once its event has travelled', async () => {
    const { body, headers } = await post('', film({ synopsis: 'In space no one can hear you scream.' })).expect(201);
    expect(headers).toMatchObject({ location: `/api/movies/${body.id}`, etag: '"1"' });
    expect(body).toMatchObject({ version: 1, retired: false, releaseOn: '1979-05-25', genres: alien.genres });
    const answer = await seen(body.id);
    expect(answer.body).toEqual(body);
    expect(answer.headers.etag).toBe('"1"');
    expect(answer.headers.stale).toBeUndefined();
  });

  it('needs a title and a date, and nothing else', async () => {
    const { body } = await post('', { title: 'Bare', releaseOn: '2001-01-01' }).expect(201);
    expect(body).toEqual({ id: body.id, version: 1, title: 'Bare', releaseOn: '2001-01-01', genres: [], retired: false });
  });

  it('is there once: the same title and date is refused', async () => {
    const { title } = await create();
    const { body } = await post('', { ...alien, title }).expect(409);
    expect(body).toMatchObject({ type: '/problems/movie-exists', fields: ['title', 'releaseOn'] });
    await post('', { ...alien, title, releaseOn: '1986-07-18' }).expect(201);
  });

  it('is changed by merge patch, null clearing what it may', async () => {
    const { id, title } = await create({ director: 'Ridley Scott' });
    const { body, headers } = await patch(id, { minutes: 116, director: null }).expect(200);
    expect(body).toEqual({ ...alien, id, title, version: 2, minutes: 116, retired: false });
    expect(headers.etag).toBe('"2"');
    expect((await seen(id, 2)).body).toEqual(body);
    await command()
      .patch(`/api/movies/${id}`)
      .set('authorization', staff)
      .type('application/merge-patch+json')
      .send('{"genres":null}')
      .expect(200);
    expect((await seen(id, 3)).body.genres).toEqual([]);
    const { body: refused } = await patch(id, { title: null }).expect(400);
    expect(refused.errors).toEqual([{ pointer: '/title', detail: 'is required, so it cannot be cleared' }]);
  });

  it('is retired once', async () => {
    const { id } = await create();
    expect((await post(`/${id}/retire`).expect(200)).body).toMatchObject({ retired: true, version: 2 });
    expect((await post(`/${id}/retire`).expect(409)).body.type).toBe('/problems/movie-retired');
    expect((await seen(id, 2)).body.retired).toBe(true);
  });

  it('is gone when removed', async () => {
    const { id, title } = await create();
    await seen(id);
    await remove(id).expect(204);
    await seen(id, 2, 404);
    await remove(id).expect(404);
    expect((await query(`?title=${encodeURIComponent(title)}`)).body.items).toEqual([]);
    await post('', { ...alien, title }).expect(201);
  });

  it('is written by staff alone, and read by everybody', async () => {
    await command().post('/api/movies').send(film()).expect(401);
    await command()
      .post('/api/movies')
      .set('authorization', await mesh.bearer('customer'))
      .send(film())
      .expect(403);
    await query('').expect(200);
  });
});

describe('many movies at once', () => {
  it('are each told what became of them', async () => {
    const { title } = await create();
    const movies = [film(), { ...alien, title }, film({ minutes: 0, colour: 'red' }), 7];
    const { body } = await post('/import', { movies }).expect(200);
    expect(body.results).toEqual([
      { status: 'created', id: expect.stringMatching(/^[\da-f-]{36}$/) },
      { status: 'existed' },
      {
        status: 'refused',
        errors: [
          { pointer: '/colour', detail: 'is not known, or cannot be set' },
          { pointer: '/minutes', detail: 'must not be less than 1' },
        ],
      },
      { status: 'refused', errors: [{ pointer: '', detail: 'must be a JSON object' }] },
    ]);
    expect((await seen(body.results[0].id)).body).toMatchObject({ retired: false });
    const again = await post('/import', { movies: movies.slice(0, 2), dryRun: true }).expect(200);
    expect(again.body.results).toEqual([{ status: 'accepted' }, { status: 'accepted' }]);
    expect((await post('/import', { movies: {} }).expect(400)).body.errors[0].pointer).toBe('/movies');
  });
});

describe('a lost update', () => {
  it('is 412 when the request named the version it read', async () => {
    const { id } = await create();
    await patch(id, { minutes: 1 }).set('If-Match', '"1"').expect(200);
    for (const tag of ['"1"', 'W/"2"', '"x"']) {
      const { body } = await patch(id, { minutes: 2 }).set('If-Match', tag).expect(412);
      expect(body).toMatchObject({ type: '/problems/stale', version: 2 });
    }
    await remove(id).set('If-Match', '"1"').expect(412);
    await post(`/${id}/retire`).set('If-Match', '"1"').expect(412);
    expect((await patch(id, { minutes: 2 }).set('If-Match', '2').expect(400)).body.errors[0]).toMatchObject({
      pointer: '/If-Match',
    });
    await patch(id, { minutes: 2 }).set('If-Match', '*').expect(200);
    await patch(id, { minutes: 3 }).set('If-Match', '"3"').expect(200);
  });

  it('is 409 when it did not, and never happens', async () => {
    const { id } = await create();
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => patch(id, { minutes: i + 1 })));
    const done = answers.filter(({ status }) => status === 200);
    expect(answers.filter(({ status }) => status === 409).every(({ body }) => body.type === '/problems/stale')).toBe(true);
    expect(done.length).toBeGreaterThan(0);
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect((await seen(id, done.length + 1)).body.version).toBe(done.length + 1);
  });

  it('is no removal either: what was removed was seen as it was', async () => {
    const films = await Promise.all(Array.from({ length: 10 }, () => create()));
    const races = films.map(async ({ id }) => {
      const [changed, removed] = await Promise.all([patch(id, { minutes: 5 }), remove(id)]);
      expect([200, 404, 409]).toContain(changed.status);
      expect([204, 409]).toContain(removed.status);
      return { id, isGone: removed.status === 204, version: [changed, removed].filter(({ status }) => status < 300).length + 1 };
    });
    for (const { id, isGone, version } of await Promise.all(races)) await seen(id, version, isGone ? 404 : 200);
  });
});

describe('reading your own writes', () => {
  it('waits for the version, then gives what there is, saying so', async () => {
    const { id } = await create();
    await seen(id);
    const started = performance.now();
    const { headers, body } = await query(`/${id}`).set('Min-Version', '9').expect(200);
    expect([headers.stale, body.version]).toEqual(['true', 1]);
    expect(performance.now() - started).toBeGreaterThan(450);
    const nobody = await query('/01890000-0000-7000-8000-000000000000').set('Min-Version', '1').expect(404);
    expect(nobody.headers.stale).toBe('true');
    for (const version of ['0', 'x', '1.5']) {
      expect((await query(`/${id}`).set('Min-Version', version).expect(400)).body.errors[0].pointer).toBe('/Min-Version');
    }
  });

  it('is not repeated while nothing changed', async () => {
    const { id } = await create();
    await seen(id);
    await query(`/${id}`).set('If-None-Match', '"1"').expect(304).expect('etag', '"1"');
    await query(`/${id}`).set('If-None-Match', 'W/"7", W/"1"').expect(304);
    await query(`/${id}`).set('If-None-Match', '"2"').expect(200);
  });
});

describe('events', () => {
  const state = { ...alien, title: 'Old news', minutes: 1, retired: true };
  const tell = (events: { name: string; key: string; version: number; body?: object }[]) => {
    const at = new Date().toISOString();
    const told = events.map((event) => ({ body: state, ...event, id: randomUUID(), at }));
    return mesh
      .running('movie-command')
      .app.get(Storage)
      .transaction((tx) => publish(tx, told));
  };
  /** Until what was told of other keys has been folded as well. */
  const settled = async () => {
    await seen((await create()).id);
    await sleep(100);
  };

  it('that come twice or late change nothing', async () => {
    const { id, title } = await create();
    await patch(id, { minutes: 99 }).expect(200);
    await seen(id, 2);
    await tell([
      { name: 'movie.created', key: id, version: 1 },
      { name: 'movie.changed', key: id, version: 2 },
      { name: 'movie.removed', key: id, version: 1 },
    ]);
    await settled();
    expect((await query(`/${id}`).expect(200)).body).toMatchObject({ title, minutes: 99, version: 2, retired: false });
  });

  it('that come late and in an older shape hold nothing up', async () => {
    const { id } = await create();
    await seen(id);
    await tell([{ name: 'movie.created', key: id, version: 1, body: { title: 'Without a date' } }]);
    await patch(id, { minutes: 98 }).expect(200);
    expect((await seen(id, 2)).body.minutes).toBe(98);
  });

  it('never bring a removed movie back, not even one that was never seen', async () => {
    const { id } = await create();
    await remove(id).expect(204);
    await seen(id, 2, 404);
    const unseen = randomUUID();
    await tell([
      { name: 'movie.created', key: id, version: 1 },
      { name: 'movie.removed', key: unseen, version: 3 },
      { name: 'movie.changed', key: unseen, version: 2 },
    ]);
    await settled();
    for (const gone of [id, unseen]) await query(`/${gone}`).expect(404);
  });
});

it.each(['movie-command', 'movie-query'])('the tables of %s are as its entities say', async (process) => {
  const { db } = mesh.running(process).app.get(Storage);
  expect(await migrationFor(db, { process, name: 'none', atMs: 0 })).toBeUndefined();
});
