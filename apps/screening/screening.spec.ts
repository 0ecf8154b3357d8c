import { randomUUID } from 'node:crypto';
import { migrationFor, Storage } from '#storage';
import { type Desk, startTestMesh, type TestMesh } from '#testing';
import { deskOf, inDays, LAYOUT, Place } from './contract.js';
import { ScreeningCommand } from './screening.command.js';
import { ScreeningQuery } from './screening.query.js';

let mesh: TestMesh, desk: Desk, place: Place;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [ScreeningCommand, ScreeningQuery] });
  desk = await deskOf(mesh);
  place = await new Place(desk).open();
}, 20_000);
afterAll(() => mesh.stop());

/** A screening in an auditorium that it has to itself. */
const plan = async (over: object = {}) => desk.create(place.wanted({ auditorium: await place.addAuditorium(), ...over }));
const standard = { area: 'standard', category: 'adult', amountMinor: 6000 };

describe('a screening', () => {
  it('holds all that a seller needs, and is readable without its layout', async () => {
    const startAt = inDays(10);
    const auditorium = await place.addAuditorium();
    const wanted = place.wanted({
      auditorium,
      startAt,
      subtitles: 'es',
      prices: [{ ...standard, category: 'child', amountMinor: 4000 }],
    });
    const { body, headers } = await desk.post('', wanted).expect(201);
    const snapshot = {
      ...{ id: body.id, version: 1, chain: place.chain, cinema: place.cinema, auditorium, movie: place.movie },
      ...{ title: 'Alien', minutes: 100, rating: 'R', cinemaName: 'Manzana Centro', city: 'Santiago', auditoriumName: 'Sala 1' },
      ...{ timeZone: 'America/Santiago', currency: 'CLP', tax: { name: 'IVA', basisPoints: 1900 } },
      ...{ startAt, endAt: new Date(Date.parse(startAt) + 100 * 60_000).toISOString() },
      ...{ language: 'en', subtitles: 'es', format: '2D', layoutVersion: 3, capacity: 7 },
      prices: [standard, { area: 'standard', category: 'child', amountMinor: 4000 }],
      policy: { holdSeconds: 480, seatsPerPurchase: 8, seatsHeldAtOnce: 16, refundUntilMinutes: 60 },
    };
    expect(body).toEqual({ ...snapshot, layout: LAYOUT });
    expect(headers).toMatchObject({ location: `/api/screenings/${body.id}`, etag: '"1"' });
    expect((await desk.seen(body.id)).body).toEqual({ ...snapshot, cancelled: false });
  });

  it('may change what is said of it and its prices, and nothing else', async () => {
    const { id } = await plan({ subtitles: 'es' });
    const prices = [{ ...standard, amountMinor: 1 }];
    const { body } = await desk.patch(id, { language: 'pt-BR', subtitles: null, format: 'IMAX', prices }).expect(200);
    expect(body).toMatchObject({ version: 2, language: 'pt-BR', format: 'IMAX', prices });
    const seen = (await desk.seen(id, 2)).body;
    expect(seen).toMatchObject({ language: 'pt-BR', format: 'IMAX', prices });
    expect(seen.subtitles).toBeUndefined();
    const fixed = await desk.patch(id, { startAt: inDays(12), auditorium: randomUUID(), movie: randomUUID() }).expect(400);
    const detail = 'cannot be changed: cancel this screening and plan another';
    expect(fixed.body.errors).toEqual(['/movie', '/auditorium', '/startAt'].map((pointer) => ({ pointer, detail })));
    expect((await desk.patch(id, { title: 'Aliens' }).expect(400)).body.errors[0].pointer).toBe('/title');
    const cheap = await desk.patch(id, { prices: [{ ...standard, area: 'premium' }] }).expect(400);
    expect(cheap.body.errors).toEqual([{ pointer: '/prices', detail: 'must say what a standard seat costs an adult' }]);
    await desk.patch(id, { format: '3D' }, { 'If-Match': '"1"' }).expect(412);
  });

  it('is never removed', async () => {
    const { id } = await plan();
    const { body, headers } = await desk.remove(id).expect(405);
    expect(body).toMatchObject({ type: '/problems/method-not-allowed', detail: expect.stringContaining(`${id}/cancel`) });
    expect(headers.allow).toBe('GET, HEAD, PATCH');
  });

  it('is cancelled once, which frees its auditorium and is told', async () => {
    const { id, auditorium, startAt } = await plan();
    const { body } = await desk.post(`/${id}/cancel`, { reason: 'the projector broke' }).expect(200);
    expect(body).toMatchObject({ version: 2, cancelReason: 'the projector broke', cancelledAt: expect.stringMatching(/Z$/) });
    expect((await desk.seen(id, 2)).body).toMatchObject({ cancelled: true, cancelReason: 'the projector broke' });
    for (const call of [desk.post(`/${id}/cancel`), desk.patch(id, { format: '3D' })])
      expect((await call.expect(409)).body.type).toBe('/problems/screening-cancelled');
    await desk.create(place.wanted({ auditorium, startAt }));
    const [told] = await desk.sql<{ before: object; action: string }>(
      `SELECT action, before FROM audit_record WHERE "subjectId" = $1 ORDER BY id DESC LIMIT 1`,
      [id],
    );
    expect(told).toEqual({ action: 'cancelled', before: { cancelledAt: null, cancelReason: null } });
  });

  it('that is over is neither cancelled nor changed', async () => {
    const { id } = await plan();
    await desk.post(`/${id}/cancel`, { reason: ' ' }).expect(400);
    await desk.sql(
      `UPDATE screening SET "startAt" = now() - interval '100 min', "endAt" = now() - interval '1 s' WHERE id = $1`,
      [id],
    );
    for (const call of [desk.post(`/${id}/cancel`, {}), desk.patch(id, { format: '3D' })])
      expect((await call.expect(409)).body.type).toBe('/problems/screening-over');
    await desk.sql(`UPDATE screening SET "endAt" = now() + interval '1 min' WHERE id = $1`, [id]);
    await desk.post(`/${id}/cancel`).expect(200);
  });
});

describe('a member of staff', () => {
  it('acts in the own cinemas alone', async () => {
    const ana = randomUUID();
    const hers = desk.as(await mesh.bearerFor({ id: ana, roles: ['manager'] }));
    const elsewhere = await new Place(desk).open();
    const { id } = await desk.create(elsewhere.wanted());
    const body = { user: ana, role: 'manager', chain: place.chain, cinemas: [place.cinema] };
    await desk.tell({ name: 'manager.created', key: randomUUID(), body });
    await desk.found('SELECT 1 FROM staff WHERE "user" = $1', [ana]);
    const refusals = [hers.post('', elsewhere.wanted()), hers.patch(id, { format: '3D' }), hers.post(`/${id}/cancel`)];
    for (const call of refusals) expect((await call.expect(403)).body.type).toBe('/problems/out-of-bounds');
    const made = await hers.create(place.wanted({ startAt: inDays(20) }));
    await hers.patch(made.id, { format: '3D' }).expect(200);
    const screenings = [elsewhere.wanted({ startAt: inDays(30) }), place.wanted({ startAt: inDays(30) })];
    const { results } = (await hers.post('/import', { screenings }).expect(200)).body;
    expect(results).toMatchObject([{ status: 'refused', type: '/problems/out-of-bounds' }, { status: 'created' }]);
    for (const role of ['customer', 'cashier', 'usher'] as const)
      await desk
        .as(await mesh.bearer(role))
        .post('', place.wanted())
        .expect(403);
    await desk.as('').post('', place.wanted()).expect(401);
  });
});

describe('the programme', () => {
  it('is found by place, film, language, format and time, in order', async () => {
    const here = await new Place(desk).open({ city: 'Arequipa' });
    const dune = await here.addFilm(undefined, { title: 'Dune', minutes: 155 });
    const first = await desk.create(here.wanted({ startAt: inDays(40), format: 'IMAX' }));
    const second = await desk.create(here.wanted({ startAt: inDays(40, 400), movie: dune, language: 'es' }));
    await desk.seen(first.id);
    await desk.seen(second.id);
    const ids = async (query: string) => {
      const { body } = await desk.get(`?cinema=${here.cinema}&${query}`).expect(200);
      return (body.items as { id: string }[]).map(({ id }) => id);
    };
    expect(await ids('')).toEqual([first.id, second.id]);
    expect(await ids('sort=-startAt')).toEqual([second.id, first.id]);
    expect(await ids('sort=-title')).toEqual([second.id, first.id]);
    expect(await ids(`from=${inDays(40, 1)}`)).toEqual([second.id]);
    expect(await ids(`to=${inDays(40, 400)}`)).toEqual([first.id]);
    expect(await ids(`movie=${dune}`)).toEqual([second.id]);
    expect(await ids('city=Arequipa&language=en&cancelled=false')).toEqual([first.id]);
    expect(await ids(`format=IMAX&chain=${here.chain}&auditorium=${here.auditorium}`)).toEqual([first.id]);
    expect(await ids('q=aline')).toEqual([first.id]);
    const { items } = (await desk.get(`?cinema=${here.cinema}`)).body as { items: object[] };
    expect(items[0]).toMatchObject({ prices: [standard], currency: 'CLP', cinemaName: 'Manzana Centro' });
    expect(items[0]).not.toHaveProperty('layout');
    await desk.get('?format=5D').expect(400);
  });
});

it('says in its document what a screening is changed and planned with', async () => {
  const { body } = await mesh.http('screening-command').get('/openapi.json').expect(200);
  const bodyOf = (path: string, method: string) => body.paths[path][method].requestBody;
  const change = bodyOf('/api/screenings/{id}', 'patch').content['application/merge-patch+json'].schema;
  expect(Object.keys(change.properties)).toEqual(['language', 'subtitles', 'format', 'prices']);
  expect(bodyOf('/api/screenings', 'post').content['application/json'].schema.required).toEqual(
    expect.arrayContaining(['movie', 'auditorium', 'language', 'format']),
  );
  expect(bodyOf('/api/screenings/{id}/cancel', 'post').required).toBe(false);
});

it.each(['screening-command', 'screening-query'])('the tables of %s are as its entities say', async (process) => {
  const { db } = mesh.running(process).app.get(Storage);
  expect(await migrationFor(db, { process, name: 'none', atMs: 0 })).toBeUndefined();
});
