import { Storage } from '#storage';
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

describe('wrong input', () => {
  const refused = async (body: string | object, status = 400) => {
    const answer = await command().post('/api/movies').set('authorization', staff).type('json').send(body).expect(status);
    expect(answer.headers['content-type']).toMatch('application/problem+json');
    expect(answer.body.instance).toMatch(/^urn:trace:[\da-f]{32}$/);
    return answer.body;
  };

  it.each([
    ['an unknown property', { colour: 'red' }, '/colour', 'is not known, or cannot be set'],
    ['a property of ours', { retired: true }, '/retired', 'is not known, or cannot be set'],
    ['its own id', { id: '01890000-0000-7000-8000-000000000000' }, '/id', 'is not known, or cannot be set'],
    ['a wrong type', { minutes: '117' }, '/minutes', 'must be an integer number'],
    ['a running time of zero', { minutes: 0 }, '/minutes', 'must not be less than 1'],
    ['no title', { title: undefined }, '/title', 'is required'],
    ['a day that never was', { releaseOn: '2001-02-30' }, '/releaseOn', 'must be a valid ISO 8601 date string'],
    ['a genre that is a number', { genres: [1] }, '/genres', 'each value in genres must be a string'],
    [
      'a rating of its own',
      { rating: '12' },
      '/rating',
      'must be one of the following values: G, PG, PG-13, R, NC-17, Not Rated, Open',
    ],
  ])('with %s is refused, naming it', async (_, over, pointer, detail) => {
    const { errors, type } = await refused(film(over));
    expect(type).toBe('/problems/invalid-input');
    expect(errors).toContainEqual({ pointer, detail });
  });

  it.each([['[]'], ['null'], ['7'], ['"x"']])('that is %s is no movie', async (body) => {
    expect((await refused(body)).errors).toEqual([{ pointer: '', detail: 'must be a JSON object' }]);
  });

  it('that is no JSON says where it breaks', async () => {
    expect(await refused('{"title": "A",}')).toMatchObject({ type: '/problems/invalid-json', position: 14, line: 1, column: 15 });
  });

  it('with a dangerous name, or too deep, or unstorable, is refused, naming it', async () => {
    expect((await refused('{"__proto__":{"retired":true}}')).errors[0].pointer).toBe('/__proto__');
    const deep = `{"title":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
    expect((await refused(deep)).errors[0].pointer).toMatch('/title/0');
    expect((await refused(String.raw`{"title":"a\u0000"}`)).errors[0].pointer).toBe('/title');
  });

  it('of 50 MB is not read', async () => {
    expect((await refused(`{"title":"${'x'.repeat(50 * 1024 * 1024)}"}`, 413)).type).toBe('/problems/body-too-large');
  });

  it('of another media type is 415', async () => {
    const { id } = await create();
    await command()
      .patch(`/api/movies/${id}`)
      .set('authorization', staff)
      .type('application/json-patch+json')
      .send('[]')
      .expect(415);
    await command().post('/api/movies').set('authorization', staff).type('text/plain').send('title').expect(415);
  });

  it('in the path is a film that is not there', async () => {
    for (const id of ['1', 'x'.repeat(190), '%00', "'", '01890000-0000-7000-8000-000000000000']) {
      expect((await query(`/${id}`).expect(404)).body.type).toBe('/problems/not-found');
      await patch(id, {}).expect(404);
      await remove(id).expect(404);
    }
  });
});

describe('an Idempotency-Key', () => {
  const keyed = (key: string, body: object) => post('', body).set('Idempotency-Key', key);

  it('makes fifty equal requests one effect, all with its answer', async () => {
    const body = film();
    const answers = await Promise.all(Array.from({ length: 50 }, () => keyed('fifty', body)));
    expect(answers.map(({ status }) => status).filter((status) => status !== 201 && status !== 409)).toEqual([]);
    const created = answers.filter(({ status }) => status === 201);
    expect(new Set(created.map((answer) => JSON.stringify(answer.body))).size).toBe(1);
    expect(created.filter(({ headers }) => headers['idempotency-replayed'] === undefined)).toHaveLength(1);
    for (const { headers } of answers.filter(({ status }) => status === 409)) expect(headers['retry-after']).toBe('1');
    const { headers } = await keyed('fifty', body).expect(201);
    expect(headers).toMatchObject({
      location: `/api/movies/${created[0]!.body.id}`,
      etag: '"1"',
      'idempotency-replayed': 'true',
    });
    expect((await seen(created[0]!.body.id)).body.title).toBe(body.title);
    expect((await query(`?title=${encodeURIComponent(body.title)}`)).body.items).toHaveLength(1);
  });

  it('is bound to its body, its caller and its path', async () => {
    const { body } = await keyed('bound', film()).expect(201);
    expect((await keyed('bound', film()).expect(422)).body.type).toBe('/problems/idempotency-key-reused');
    await post(`/${body.id}/retire`).set('Idempotency-Key', 'bound').expect(200);
    expect((await post(`/${body.id}/retire`).set('Idempotency-Key', 'bound').expect(200)).body).toMatchObject({
      version: 2,
      retired: true,
    });
  });

  it('keeps no refusal: the request may be mended and sent again', async () => {
    await keyed('mended', film({ minutes: 0 })).expect(400);
    await keyed('mended', film()).expect(201);
  });

  it.each([[' '], ['a b'], ['x'.repeat(256)]])('%j is none', async (key) => {
    expect((await keyed(key, film()).expect(400)).body.errors[0].pointer).toBe('/Idempotency-Key');
  });

  it('being worked on makes others wait for its answer, then ask again', async () => {
    const storage = mesh.running('movie-command').app.get(Storage);
    const body = film();
    await keyed('held', body).expect(201);
    const scope = (await storage.query<{ scope: Buffer }>('SELECT scope FROM idempotency ORDER BY "keptAt" DESC LIMIT 1'))[0]!
      .scope;
    await storage.query('DELETE FROM idempotency WHERE scope = $1', [scope]);
    await storage.transaction(async (tx) => {
      await tx.query('SELECT pg_advisory_xact_lock($1)', [scope.readBigInt64BE().toString()]);
      const started = performance.now();
      const { headers, body: problem } = await keyed('held', body).expect(409);
      expect([problem.type, headers['retry-after']]).toEqual(['/problems/idempotency-in-flight', '1']);
      expect(performance.now() - started).toBeGreaterThan(450);
    });
    expect((await keyed('held', body).expect(409)).body.type).toBe('/problems/movie-exists');
  });
});

describe('what the processes say of themselves', () => {
  const paths = async (process: string) =>
    (await mesh.http(process).get('/openapi.json').expect(200)).body as {
      openapi: string;
      components: { schemas: object };
      paths: Record<
        string,
        Record<
          string,
          {
            operationId: string;
            responses: object;
            parameters?: { name: string }[];
            requestBody?: { content: Record<string, { schema: { required?: string[]; properties: object } }> };
          }
        >
      >;
    };
  const at = (found: Awaited<ReturnType<typeof paths>>['paths'], path: string) => found[path]!;

  it('is every route with its body, answers and problems', async () => {
    const { openapi, paths: found, components } = await paths('movie-command');
    expect(openapi).toBe('3.1.0');
    const { post: created } = at(found, '/api/movies');
    expect(created!.operationId).toBe('movieCreate');
    expect(Object.keys(created!.responses)).toEqual(['201', '400', '401', '403', '409', '413', '415', '422']);
    const { schema } = created!.requestBody!.content['application/json']!;
    expect(schema.required).toEqual(['title', 'releaseOn']);
    expect(schema.properties).toMatchObject({
      minutes: { anyOf: [{ type: 'integer', minimum: 1, maximum: 600 }, { type: 'null' }] },
      genres: { type: 'array', items: { type: 'string', maxLength: 40 } },
    });
    const { patch: changed } = at(found, '/api/movies/{id}');
    expect(changed!.requestBody!.content['application/merge-patch+json']!.schema.properties).toMatchObject({
      minutes: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
    });
    expect(Object.keys(at(found, '/api/movies/{id}/retire').post!.responses)).toContain('412');
    const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
    expect(created!.responses).toMatchObject({ '409': { content: problem } });
    expect(Object.keys(components.schemas)).toContain('Problem');
  });

  it('is every parameter of the list', async () => {
    const { paths: found } = await paths('movie-query');
    const names = at(found, '/api/movies').get!.parameters!.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['title', 'releaseOn.gte', 'genre', 'sort', 'limit', 'cursor', 'q']));
  });
});
