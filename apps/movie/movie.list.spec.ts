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

interface Listed {
  items: { id: string }[];
  next: string | null;
}
const days = ['1990-01-01', '1990-01-01', '1991-05-05', '1992-06-06', '1992-06-06', '1993-07-07', '1994-08-08'];
const mark = 'Listed';
let all: { id: string; minutes?: number; releaseOn: string; title: string }[];

beforeAll(async () => {
  const made = days.map((releaseOn, i) => ({
    title: `${mark} ${i}`,
    releaseOn,
    director: mark,
    genres: i % 2 ? ['Drama'] : ['Comedy', 'Drama'],
    ...(i % 3 ? { minutes: 90 + (i % 2) } : {}),
  }));
  const { body } = await post('/import', { movies: made }).expect(200);
  const ids = (body.results as { id: string }[]).map(({ id }) => id);
  await Promise.all(ids.map((id) => seen(id)));
  all = made.map((movie, i) => ({ ...movie, id: ids[i]! }));
});

const list = (q: string) => query(`?director=${mark}&${q}`);
const pages = async (q: string, between: () => Promise<unknown> = () => Promise.resolve()) => {
  const ids: string[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const { body }: { body: Listed } = await list(`${q}&limit=2${cursor && `&cursor=${cursor}`}`).expect(200);
    ids.push(...body.items.map(({ id }) => id));
    cursor = body.next;
    await between();
  }
  return ids;
};

describe('a list of movies', () => {
  it.each(['releaseOn', '-releaseOn', 'minutes', '-minutes', 'title', '-title'])(
    'is walked by %s, each once, equal and missing values too',
    async (sort) => {
      const ids = await pages(`sort=${sort}`);
      expect([...ids].sort()).toEqual(all.map(({ id }) => id).sort());
      const field = sort.replace('-', '') as 'minutes';
      const values = ids.map((id) => all.find((movie) => movie.id === id)![field]);
      const given = values.filter((value) => value !== undefined);
      expect(values.slice(given.length).every((value) => value === undefined)).toBe(true);
      expect(sort.startsWith('-') ? [...given].reverse() : given).toEqual([...given].sort());
    },
  );

  it('stays steady while films are added before and behind', async () => {
    const added: string[] = [];
    const ids = await pages('sort=-releaseOn', async () => {
      const { id } = await create({ director: mark, releaseOn: added.length % 2 ? '1989-01-01' : '1999-01-01' });
      added.push(id);
      await seen(id);
    });
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => !added.includes(id)).sort()).toEqual(all.map(({ id }) => id).sort());
    for (const id of added) await remove(id).expect(204);
    for (const id of added) await seen(id, 2, 404);
  });

  it('is filtered by what is equal, contained, or between', async () => {
    const of = async (q: string) =>
      (await list(`${q}&sort=title`).expect(200)).body.items.map(({ title }: { title: string }) => Number(title.slice(-1)));
    expect(await of('genre=Comedy')).toEqual([0, 2, 4, 6]);
    expect(await of('minutes=91&genre=Drama')).toEqual([1, 5]);
    expect(await of('releaseOn=1990-01-01')).toEqual([0, 1]);
    expect(await of('releaseOn.gte=1992-06-06&releaseOn.lt=1994-01-01')).toEqual([3, 4, 5]);
    expect(await of('retired=true')).toEqual([]);
    expect(await of('rating=PG')).toEqual([]);
  });

  it.each([
    ['colour=red', '/colour'],
    ['__proto__=1', '/__proto__'],
    ['sort=synopsis', '/sort'],
    ['limit=0', '/limit'],
    ['limit=101', '/limit'],
    ['limit=ten', '/limit'],
    ['cursor=nonsense', '/cursor'],
    ['cursor=WzEsMiwzXQ', '/cursor'],
    ['minutes=long', '/minutes'],
    ['minutes=99999999999', '/minutes'],
    ['retired=yes', '/retired'],
    ['rating=12', '/rating'],
    ['releaseOn=2001-02-30', '/releaseOn'],
    ['genre=a&genre=b', '/genre'],
    ['title=%00', '/title'],
    ['q=%20', '/q'],
    ['q=%00', '/q'],
  ])('with %s is refused, naming it', async (q, pointer) => {
    const { body } = await query(`?${q}`).expect(400);
    expect(body).toMatchObject({ type: '/problems/invalid-input', errors: [{ pointer, in: 'query' }] });
  });

  it("refuses another list's cursor", async () => {
    const { body } = await list('limit=2').expect(200);
    expect((await query(`?limit=2&cursor=${body.next}`).expect(400)).body.errors[0].pointer).toBe('/cursor');
  });

  it('answers HEAD', async () => {
    await mesh.http('movie-query').head(`/api/movies/${all[0]!.id}`).expect(200).expect('etag', '"1"');
    await mesh.http('movie-query').head('/api/movies').expect(200);
  });
});

describe('a search', () => {
  beforeAll(async () => {
    const titles = [
      "Le Fabuleux destin d'Amélie Poulain",
      'The Shawshank Redemption',
      'Léon',
      'The Lion King',
      'Per qualche dollaro in più',
      'Se7en',
    ];
    const { body } = await post('/import', { movies: titles.map((title) => ({ title, releaseOn: '1994-01-01' })) });
    await Promise.all(body.results.map(({ id }: { id: string }) => seen(id)));
  });
  const found = async (q: string) =>
    (await query(`?q=${encodeURIComponent(q)}`).expect(200)).body.items.map(({ title }: { title: string }) => title);

  it.each([
    ['amelie', "Le Fabuleux destin d'Amélie Poulain"],
    ['AMÉLIE poulin', "Le Fabuleux destin d'Amélie Poulain"],
    ['shawshenk', 'The Shawshank Redemption'],
    ['redemtion', 'The Shawshank Redemption'],
    ['leon', 'Léon'],
    ['piu dolaro', 'Per qualche dollaro in più'],
  ])('for %s finds it first', async (q, title) => {
    expect((await found(q))[0]).toBe(title);
  });

  it('finds nothing for nonsense, and is paged', async () => {
    expect(await found('zzyzx qwfp')).toEqual([]);
    const one = await query('?q=leon&limit=1').expect(200);
    expect(one.body.items).toHaveLength(1);
    const rest = await query(`?q=leon&limit=100&cursor=${one.body.next}`).expect(200);
    expect(rest.body.items.map(({ id }: { id: string }) => id)).not.toContain(one.body.items[0].id);
    expect(1 + rest.body.items.length).toBe((await query('?q=leon&limit=100')).body.items.length);
  });
});
