import { Controller } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { Column, Entity } from 'typeorm';
import { Public } from '#auth';
import { openClient } from '#postgres';
import { QueryController, queryService, ViewRow } from '#resource';
import { startTestMesh, type TestMesh, until } from '#testing';

const FILMS = 3_000;

interface FilmState {
  title: string;
}

@Entity('film_view')
class FilmView extends ViewRow {
  @Column('varchar') title: string;
}

@Controller('films')
@Public()
class FilmQueryController extends QueryController(FilmView, { sort: 'title', search: 'title' }) {}

const FilmQuery = queryService<FilmView, { 'film.created': FilmState; 'film.removed': { id: string } }>({
  name: 'film-query',
  view: FilmView,
  controller: FilmQueryController,
  on: { 'film.created': ({ title }) => ({ title }), 'film.removed': () => null },
});

let mesh: TestMesh;
let admin: Awaited<ReturnType<typeof openClient>>;
const ids = Array.from({ length: FILMS }, () => randomUUID());
const row = async <T>(sql: string): Promise<T> => (await admin.query<{ it: T }>(`SELECT (${sql}) AS it`)).rows[0]!.it;
const CONTENTS = `SELECT count(*) || ':' || coalesce(md5(string_agg(v::text, ',' ORDER BY id)), '') FROM film_query.film_view v`;

async function append(name: string, version: number, some: readonly string[]): Promise<void> {
  const at = new Date().toISOString();
  const events = some.map((key, n) => ({
    topic: 'film',
    id: randomUUID(),
    name,
    key,
    version,
    body: { title: `Film ${n}` },
    at,
  }));
  await admin.query('SELECT bus.append($1::json)', [JSON.stringify(events)]);
}

/** The status of one answer; 0 when there was none. */
const get = (path: string) =>
  new Promise<number>((done) => {
    const sent = request(`${mesh.url('film-query')}${path}`, (answer) =>
      answer.resume().once('end', () => done(answer.statusCode!)),
    );
    sent.once('error', () => done(0)).end();
  });

beforeAll(async () => {
  mesh = await startTestMesh({ processes: [FilmQuery] });
  admin = await openClient(mesh.postgres!.url());
  await admin.query(`SET ROLE film_query; CREATE TABLE film_query.film_view (
    id uuid PRIMARY KEY, version integer NOT NULL, removed boolean NOT NULL DEFAULT false, title varchar NOT NULL);
    CREATE INDEX film_view_search ON film_query.film_view USING gin (extensions.plain(title) extensions.gin_trgm_ops); RESET ROLE`);
  for (let from = 0; from < FILMS; from += 500) await append('film.created', 1, ids.slice(from, from + 500));
  await append('film.removed', 2, ids.slice(0, 10));
}, 30_000);

afterAll(async () => {
  await admin.end();
  await mesh.stop();
});

it('rebuilds the view of a query service while it is asked without a pause: the same content, no failed answer', async () => {
  const counts = (removed: boolean) => row<number>(`SELECT count(*)::int FROM film_query.film_view WHERE removed = ${removed}`);
  await until('all is there', async () => (await counts(false)) === FILMS - 10 && (await counts(true)) === 10, 20_000);
  const right = await row<string>(CONTENTS);
  await admin.query(`UPDATE film_query.film_view SET title = 'corrupted' WHERE id = '${ids[77]}'`);
  const answers: number[] = [];
  let isOver = false;
  const paths = [`/api/films/${ids[50]}`, '/api/films?limit=20', '/api/films?q=flm%2012&limit=5'];
  const asking = Promise.all(
    paths.map(async (path) => {
      while (!isOver) answers.push(await get(path));
    }),
  );
  await admin.query(`SELECT bus.ask_rebuild('film-query')`);
  await until('it is rebuilt', async () => (await row('SELECT state FROM bus.rebuild')) === 'done', 20_000);
  isOver = true;
  await asking;
  expect(new Set(answers)).toEqual(new Set([200]));
  expect(answers.length).toBeGreaterThan(30);
  expect(await row<string>(CONTENTS)).toBe(right);
  expect(await row('SELECT (done, ahead)::text FROM bus.rebuild')).toBe(`(${FILMS + 10},0)`);
});
