import { randomUUID } from 'node:crypto';
import { Desk, startTestMesh, type TestMesh, type Told } from '#testing';
import { CinemaCommand } from './cinema.command.js';
import { CinemaQuery } from './cinema.query.js';
import { businessDay, readDay } from './cinema.rules.js';

const state = {
  ...{ chain: randomUUID(), country: 'PE', address: 'Av. Larco 1', timeZone: 'America/Lima', currency: 'PEN' },
  ...{ tax: { name: 'IGV', basisPoints: 1800 }, amenities: ['parking'], priceCard: [] },
};
const at = (latitude: number, longitude: number) => ({ position: { latitude, longitude } });
const CINEMAS = [
  { name: 'Centro', city: 'Lima', ...at(-12.0464, -77.0428), amenities: ['parking', 'imax'] },
  { name: 'Árbol', city: 'Lima', ...at(-12.1211, -77.0297) },
  { name: 'Gemelo', city: 'Lima', ...at(-12.1211, -77.0297) },
  { name: 'Misti', city: 'Arequipa', ...at(-16.409, -71.5375) },
  { name: 'Costanera', city: 'Santiago', ...at(-33.4179, -70.606), country: 'CL', currency: 'CLP', timeZone: 'America/Santiago' },
  { name: 'Taveuni', city: 'Suva', ...at(-16.8, 179.9), country: 'FJ', currency: 'FJD', timeZone: 'Pacific/Fiji' },
].map((cinema) => ({ id: randomUUID(), ...state, ...cinema }));
const named = (name: string) => CINEMAS.find((cinema) => cinema.name === name)!;

let mesh: TestMesh, desk: Desk;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [CinemaCommand, CinemaQuery] });
  desk = new Desk(mesh, 'cinema');
  await tell(...CINEMAS.map(({ id: key, ...body }) => ({ name: 'cinema.created', key, body })));
  await Promise.all(CINEMAS.map(({ id }) => desk.seen(id)));
});
afterAll(() => mesh.stop());

const tell = (...told: Told[]) => desk.tell(...told);
interface Listed {
  items: { name: string; distanceMetres?: number; latitude?: number }[];
  next: string | null;
}
const list = async (query: string) => (await desk.get(`?${query}`).expect(200)).body as Listed;
const names = ({ items }: Listed) => items.map(({ name }) => name);
const refused = async (query: string) => (await desk.get(`?${query}`).expect(400)).body.errors[0];

describe('a list of cinemas', () => {
  it('is by name, as people order them, and filtered by what it has', async () => {
    expect(names(await list('country=PE'))).toEqual(['Árbol', 'Centro', 'Gemelo', 'Misti']);
    expect(names(await list('sort=-city&currency=PEN')).slice(3)).toEqual(['Misti']);
    expect(names(await list('amenity=imax'))).toEqual(['Centro']);
    expect(names(await list(`city=Lima&chain=${randomUUID()}`))).toEqual([]);
    expect(names(await list('q=arbol'))).toEqual(['Árbol']);
    expect((await refused('amenity=sauna')).pointer).toBe('/amenity');
  });
});

describe('cinemas near a place', () => {
  it('come by the great circle, each with its distance', async () => {
    const { items } = await list('near=-12.04,-77.03');
    expect(names({ items, next: null }).slice(3)).toEqual(['Misti', 'Costanera', 'Taveuni']);
    expect(items[0]).toMatchObject({ name: 'Centro', city: 'Lima' });
    expect(items[0]!.latitude).toBeUndefined();
    // By Vincenty's formulae on the WGS 84 ellipsoid, from which a sphere differs by at most 0.56 %.
    const metres = { Centro: 1563, Árbol: 8972, Misti: 764_760, Costanera: 2_456_245 };
    for (const [name, expected] of Object.entries(metres)) {
      const { distanceMetres } = items.find((item) => item.name === name)!;
      expect([name, Math.abs(distanceMetres! / expected - 1) < 0.006]).toEqual([name, true]);
    }
  });

  it('are near across the date line, at their own door, and at the other end of the earth', async () => {
    const [taveuni] = (await list('near=-16.8,-179.9')).items;
    expect(taveuni!.name).toBe('Taveuni');
    expect(Math.abs(taveuni!.distanceMetres! - 21_320)).toBeLessThan(120);
    expect((await list('near=-16.409,-71.5375')).items[0]).toMatchObject({ name: 'Misti', distanceMetres: 0 });
    const antipode = (await list('near=16.409,108.4625')).items.at(-1)!;
    expect(antipode.name).toBe('Misti');
    expect(Math.abs(antipode.distanceMetres! - 20_015_114)).toBeLessThan(10);
  });

  it('are walked page by page, each once, those at the same place too', async () => {
    const walked: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Listed = await list(`near=-12.12,-77.03&limit=2${cursor && `&cursor=${cursor}`}`);
      walked.push(...names(page));
      cursor = page.next;
    }
    expect(walked.slice(0, 2).sort()).toEqual(['Gemelo', 'Árbol']);
    expect(walked.slice(2)).toEqual(['Centro', 'Misti', 'Costanera', 'Taveuni']);
    const { next } = await list('near=-12.12,-77.03&limit=2');
    expect(await refused(`near=-12.12,-77.04&limit=2&cursor=${next}`)).toMatchObject({ pointer: '/cursor' });
  });

  it('may be only those within some kilometres, and those that match', async () => {
    expect(names(await list('near=-12.04,-77.03&withinKm=5'))).toEqual(['Centro']);
    expect(names(await list('near=-12.04,-77.03&withinKm=0.5'))).toEqual([]);
    expect(names(await list('near=-12.04,-77.03&withinKm=1000&city=Arequipa'))).toEqual(['Misti']);
    expect(names(await list('near=-33.4,-70.6&q=arbol'))).toEqual(['Árbol']);
  });

  it.each([
    ['near=', '/near'],
    ['near=-12.04', '/near'],
    ['near=-12.04,-77.03,5', '/near'],
    ['near=-12.04, -77.03', '/near'],
    ['near=90.1,0', '/near'],
    ['near=0,180.5', '/near'],
    ['near=1e1,2', '/near'],
    ['near=NaN,0', '/near'],
    ['near=1,2&near=3,4', '/near'],
    ['withinKm=5', '/near'],
    ['near=1,2&withinKm=0', '/withinKm'],
    ['near=1,2&withinKm=-1', '/withinKm'],
    ['near=1,2&withinKm=20017', '/withinKm'],
    ['near=1,2&sort=name', '/sort'],
  ])('%s is malformed, and said to be', async (query, pointer) => {
    expect(await refused(query)).toMatchObject({ pointer, in: 'query' });
  });
});

const screening = (cinema: string, startAt: string, over: object = {}) => ({
  ...{ cinema, startAt, endAt: startAt, movie: randomUUID(), title: 'Alien', minutes: 117, auditoriumName: 'Sala 1' },
  ...{ format: '2D', language: 'en', ...over },
});
/** Put screenings on boards, once they are there. */
async function show(...bodies: object[]) {
  const told = bodies.map((body) => ({ name: 'screening.created', key: randomUUID(), body }));
  await tell(...told);
  const ids = told.map(({ key }) => key);
  await desk.found('SELECT 1 FROM known_screening WHERE id = ANY($1) HAVING count(*) = $2', [ids, ids.length], 'query');
  return ids;
}
interface Shown {
  startAt: string;
  startLocal: string;
}
const board = async (id: string, query = '') => (await desk.get(`/${id}/board${query}`).expect(200)).body;
const times = (body: { films: { screenings: Shown[] }[] }) =>
  body.films.flatMap(({ screenings }) => screenings.map(({ startLocal }) => startLocal));

describe('the board of a cinema', () => {
  it('has the films of a business day in order of time, without those cancelled', async () => {
    const { id } = named('Centro');
    const [alien, brazil] = [randomUUID(), randomUUID()];
    const other = { movie: brazil, title: 'Brazil', minutes: 132, rating: 'R' };
    const [late, early, middle, gone] = await show(
      screening(id, '2026-11-22T23:30:00.000Z', { movie: alien }),
      screening(id, '2026-11-22T20:00:00.000Z', { movie: alien, format: 'IMAX', language: 'es', subtitles: 'qu' }),
      screening(id, '2026-11-22T21:00:00.000Z', other),
      screening(id, '2026-11-22T22:00:00.000Z', other),
    );
    const cancelled = screening(id, '2026-11-22T22:00:00.000Z', { ...other, cancelledAt: '2026-11-20T00:00:00.000Z' });
    await tell({ name: 'screening.cancelled', key: gone!, version: 2, body: cancelled });
    await desk.found('SELECT 1 FROM known_screening WHERE id = $1 AND version = 2', [gone], 'query');
    const entry = (entryId: string | undefined, utc: string, local: string, over: object = {}) => ({
      ...{ id: entryId, startAt: `2026-11-22T${utc}:00.000Z`, startLocal: `2026-11-22T${local}:00-05:00` },
      ...{ auditoriumName: 'Sala 1', format: '2D', language: 'en', ...over },
    });
    const big = entry(early, '20:00', '15:00', { format: 'IMAX', language: 'es', subtitles: 'qu' });
    expect(await board(id, '?day=2026-11-22')).toEqual({
      ...{ cinema: id, day: '2026-11-22', timeZone: 'America/Lima' },
      films: [
        { movie: alien, title: 'Alien', minutes: 117, screenings: [big, entry(late, '23:30', '18:30')] },
        { movie: brazil, title: 'Brazil', minutes: 132, rating: 'R', screenings: [entry(middle, '21:00', '16:00')] },
      ],
    });
    expect((await board(named('Misti').id, '?day=2026-11-22')).films).toEqual([]);
  });

  it('is that of today without a day, and moves with a screening that is moved', async () => {
    const { id } = named('Árbol');
    const [now] = await show(screening(id, new Date().toISOString()));
    const today = await board(id);
    expect(today.films[0].screenings[0].id).toBe(now);
    expect(today.day).toBe(businessDay(Temporal.Now.instant(), 'America/Lima').toString());
    await tell({ name: 'screening.changed', key: now!, version: 2, body: screening(id, '2031-01-01T20:00:00.000Z') });
    await desk.found('SELECT 1 FROM known_screening WHERE id = $1 AND version = 2', [now], 'query');
    expect([(await board(id)).films, (await board(id, '?day=2031-01-01')).films.length]).toEqual([[], 1]);
  });

  it('ends at 06:00 by its own clocks, to the second', async () => {
    const { id } = named('Gemelo');
    await show(...['10:59:59', '11:00:00'].map((time) => screening(id, `2026-11-23T${time}.000Z`)));
    expect(times(await board(id, '?day=2026-11-22'))).toEqual(['2026-11-23T05:59:59-05:00']);
    expect(times(await board(id, '?day=2026-11-23'))).toEqual(['2026-11-23T06:00:00-05:00']);
  });

  it('has 23 hours when clocks skip one, and 25 when they repeat one', async () => {
    const { id } = named('Costanera');
    // Santiago goes from -04 to -03 when Sunday 2026-09-06 begins, and back when Sunday 2027-04-04 would.
    const spring = ['2026-09-05T10:00', '2026-09-06T03:59', '2026-09-06T04:00', '2026-09-06T08:59', '2026-09-06T09:00'];
    const autumn = ['2027-04-03T09:00', '2027-04-04T02:30', '2027-04-04T03:30', '2027-04-04T09:59', '2027-04-04T10:00'];
    await show(...[...spring, ...autumn].map((time) => screening(id, `${time}:00.000Z`)));
    expect(times(await board(id, '?day=2026-09-05'))).toEqual([
      '2026-09-05T06:00:00-04:00',
      '2026-09-05T23:59:00-04:00',
      '2026-09-06T01:00:00-03:00',
      '2026-09-06T05:59:00-03:00',
    ]);
    expect(times(await board(id, '?day=2026-09-06'))).toEqual(['2026-09-06T06:00:00-03:00']);
    expect(times(await board(id, '?day=2027-04-03'))).toEqual([
      '2027-04-03T06:00:00-03:00',
      '2027-04-03T23:30:00-03:00',
      '2027-04-03T23:30:00-04:00',
      '2027-04-04T05:59:00-04:00',
    ]);
    expect(times(await board(id, '?day=2027-04-04'))).toEqual(['2027-04-04T06:00:00-04:00']);
  });

  it('is asked for by a day, of a cinema that is there', async () => {
    const { id } = named('Misti');
    for (const day of ['2026-02-29', '2026-2-9', 'today', '', '0000-01-01', '1899-12-31', '2026-11-22T00:00'])
      expect((await desk.get(`/${id}/board?day=${day}`).expect(400)).body.errors[0]).toMatchObject({
        pointer: '/day',
        in: 'query',
      });
    expect((await desk.get(`/${id}/board?date=2026-11-22`).expect(400)).body.errors[0].pointer).toBe('/date');
    for (const nobody of [randomUUID(), 'x']) await desk.get(`/${nobody}/board`).expect(404);
    await tell({ name: 'cinema.removed', key: id, version: 2, body: { id } });
    await desk.seen(id, 2, 404);
    await desk.get(`/${id}/board`).expect(404);
  });
});

it('says to clients what it can be asked', async () => {
  const { paths } = (await mesh.http('cinema-query').get('/openapi.json').expect(200)).body;
  const { get } = paths['/api/cinemas/{id}/board'];
  expect(Object.keys(get.responses).sort()).toEqual(['200', '400', '404']);
  const names = (paths['/api/cinemas'].get.parameters as { name: string }[]).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['near', 'withinKm', 'city', 'amenity', 'q', 'sort', 'limit', 'cursor']));
});

describe('a business day', () => {
  it.each([
    ['2026-11-22T10:59:59Z', 'America/Lima', '2026-11-21'],
    ['2026-11-22T11:00:00Z', 'America/Lima', '2026-11-22'],
    ['2026-11-22T04:30:00Z', 'America/Lima', '2026-11-21'],
    ['2026-09-06T08:59:59Z', 'America/Santiago', '2026-09-05'],
    ['2026-09-06T09:00:00Z', 'America/Santiago', '2026-09-06'],
    ['2027-04-04T09:59:59Z', 'America/Santiago', '2027-04-03'],
    ['2027-04-04T10:00:00Z', 'America/Santiago', '2027-04-04'],
    ['2026-11-21T17:59:59Z', 'Pacific/Fiji', '2026-11-21'],
    ['2026-11-21T18:00:00Z', 'Pacific/Fiji', '2026-11-22'],
  ])('at %s in %s is %s', (instant, timeZone, day) => {
    expect(businessDay(Temporal.Instant.from(instant), timeZone).toString()).toBe(day);
  });

  it('is read from a day that was', () => {
    expect([readDay('2028-02-29')?.toString(), readDay('2027-02-29'), readDay('2026-13-01')]).toEqual([
      '2028-02-29',
      undefined,
      undefined,
    ]);
  });
});
