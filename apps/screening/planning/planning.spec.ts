import { randomUUID } from 'node:crypto';
import { Storage } from '#storage';
import { type Desk, startTestMesh, type TestMesh } from '#testing';
import { deskOf, inDays, Place } from '../contract.js';
import { ScreeningCommand } from '../screening.command.js';

let mesh: TestMesh, desk: Desk, place: Place;
beforeAll(async () => {
  // A film that never comes is waited for only so long.
  mesh = await startTestMesh({ processes: [ScreeningCommand], config: { 'resource.minVersionWaitMs': 100 } });
  desk = await deskOf(mesh);
  place = await new Place(desk).open();
}, 20_000);
afterAll(() => mesh.stop());

const price = (over: object = {}) => ({ area: 'standard', category: 'adult', amountMinor: 5000, ...over });

const WRONG: [string, object, string, string][] = [
  ['nothing of what it needs', { language: undefined }, '/language', 'is required'],
  ['a film that is none', { movie: 'alien' }, '/movie', 'must be a UUID'],
  ['an unknown film', { movie: randomUUID() }, '/movie', 'is no movie that is known here'],
  ['an unknown auditorium', { auditorium: randomUUID() }, '/auditorium', 'is no auditorium that is known here'],
  ['a language that is none', { language: 'Spanish!' }, '/language', 'must be a BCP 47 tag such as es or pt-BR'],
  ['a format that is none', { format: '5D' }, '/format', 'must be one of the following values: 2D, 3D, IMAX, 4DX'],
  ['an end', { endAt: inDays(11) }, '/endAt', 'is not known, or cannot be set'],
  ['no start', { startAt: undefined }, '/startAt', 'is required, or localStartAt in its place'],
  ['two starts', { localStartAt: '2100-01-01T10:00' }, '/localStartAt', 'must not be given together with startAt'],
  [
    'a start without a zone',
    { startAt: '2027-04-03T23:30' },
    '/startAt',
    'must be an instant such as 2027-04-03T23:30:00Z or 2027-04-03T23:30-05:00',
  ],
  [
    'a start that never comes',
    { startAt: '2027-02-30T23:30:00Z' },
    '/startAt',
    'must be an instant that exists, such as 2027-04-03T23:30:00Z',
  ],
  ['a start in the past', { startAt: inDays(-1) }, '/startAt', 'must be in the future'],
  ['a start in two years', { startAt: inDays(401) }, '/startAt', 'must be at most 400 days ahead'],
  ['a price below nothing', { prices: [price({ amountMinor: -1 })] }, '/prices/0/amountMinor', 'must not be less than 0'],
  [
    'half a cent',
    { prices: [price(), price({ area: 'premium', amountMinor: 0.5 })] },
    '/prices/1/amountMinor',
    'must be an integer number',
  ],
  [
    'a price of nowhere',
    { prices: [price({ area: 'balcony' })] },
    '/prices/0/area',
    'must be one of the following values: standard, premium',
  ],
  [
    'two prices for one',
    { prices: [price(), price()] },
    '/prices',
    'must name each area and category once: number 1, from 0, does it again',
  ],
];

describe('what is wanted is refused', () => {
  it.each(WRONG)('with %s', async (_, over, pointer, detail) => {
    const { body } = await desk.post('', place.wanted(over)).expect(400);
    expect(body.type).toBe('/problems/invalid-input');
    expect(body.errors).toEqual([{ pointer, detail }]);
  });

  it.each([[7], [null], [[price()]]])('with %j among the prices', async (one) => {
    const { body } = await desk.post('', place.wanted({ prices: [one] })).expect(400);
    expect(body.errors).toContainEqual({ pointer: '/prices', detail: 'each value in prices must be an object' });
  });

  it('with a film that is retired, or of which nobody knows how long it runs', async () => {
    const [retired, endless] = [
      await place.addFilm(undefined, { retired: true }),
      await place.addFilm(undefined, { minutes: undefined }),
    ];
    expect((await desk.post('', place.wanted({ movie: retired })).expect(409)).body.type).toBe('/problems/movie-retired');
    expect((await desk.post('', place.wanted({ movie: endless })).expect(409)).body.type).toBe('/problems/movie-without-minutes');
  });

  it('in another currency than the cinema sells in', async () => {
    const { body } = await desk.post('', place.wanted({ currency: 'PEN' })).expect(400);
    expect(body).toMatchObject({ type: '/problems/wrong-currency', currency: 'CLP', errors: [{ pointer: '/currency' }] });
    await desk.post('', place.wanted({ currency: 'CLP', startAt: inDays(3) })).expect(201);
  });

  it('where nothing says what a seat costs', async () => {
    const free = await new Place(desk).open({ priceCard: [] });
    const { body } = await desk.post('', free.wanted()).expect(400);
    expect(body.errors[0].pointer).toBe('/prices');
    await desk.post('', free.wanted({ prices: [price({ amountMinor: 0 })] })).expect(201);
  });

  it('until its cinema is heard of; what is on its way is waited for', async () => {
    const unheard = new Place(desk);
    const auditorium = await unheard.addAuditorium();
    const { body } = await desk.post('', place.wanted({ auditorium })).expect(400);
    expect(body.errors).toEqual([{ pointer: '/auditorium', detail: 'is in a cinema that is not known here' }]);
    const movie = randomUUID();
    const asked = desk.post('', place.wanted({ movie, startAt: inDays(4) })).expect(201);
    await Promise.all([asked, place.addFilm(movie)]);
  });
});

describe('an hour on the wall', () => {
  /** The next change of Santiago's clocks, and an hour that it takes away or brings twice. */
  function nextChange(skips: boolean): { wall: Temporal.PlainDateTime; change: Temporal.ZonedDateTime } {
    let change = Temporal.Now.zonedDateTimeISO('America/Santiago').getTimeZoneTransition('next')!;
    const gains = () => change.offsetNanoseconds > change.subtract({ nanoseconds: 1 }).offsetNanoseconds;
    if (gains() !== skips) change = change.getTimeZoneTransition('next')!;
    const wall = skips ? change.toPlainDateTime().subtract({ minutes: 30 }) : change.toPlainDateTime().add({ minutes: 30 });
    return { wall, change };
  }
  const local = (wall: Temporal.PlainDateTime) => ({
    startAt: undefined,
    localStartAt: wall.toString({ smallestUnit: 'minute' }),
  });

  it('is that of the cinema', async () => {
    const soon = Temporal.Now.zonedDateTimeISO('America/Santiago').add({ days: 7 }).with({ hour: 12 }).round('hour');
    const { body } = await desk.post('', place.wanted(local(soon.toPlainDateTime()))).expect(201);
    expect(body.startAt).toBe(new Date(soon.epochMilliseconds).toISOString());
  });

  it('that clocks leave out is refused', async () => {
    const { wall, change } = nextChange(true);
    const { body } = await desk.post('', place.wanted(local(wall))).expect(400);
    const day = change.toPlainDate().toString();
    const detail = `does not exist in America/Santiago: there clocks go from ${day}T00:00 straight to ${day}T01:00`;
    expect(body.errors).toEqual([{ pointer: '/localStartAt', detail }]);
  });

  it('that comes twice is refused with both instants, and taken when one is named', async () => {
    const { wall, change } = nextChange(false);
    const at = (hours: number) => new Date(change.epochMilliseconds + 30 * 60_000 + hours * 3_600_000).toISOString();
    const { body } = await desk.post('', place.wanted(local(wall))).expect(400);
    const detail = `comes twice in America/Santiago, where clocks go back: at ${at(-1)} and at ${at(0)}; say which by startAt`;
    expect(body.errors).toEqual([{ pointer: '/localStartAt', detail }]);
    await desk.post('', place.wanted({ startAt: at(0) })).expect(201);
  });
});

describe('an auditorium', () => {
  it('is given to one of twenty who want it at once', async () => {
    const auditorium = await place.addAuditorium();
    const wanted = (i: number) => place.wanted({ auditorium, startAt: inDays(50, i) });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => desk.post('', wanted(i))));
    const [won, ...more] = answers.filter(({ status }) => status === 201);
    expect(more).toEqual([]);
    // A lock that is waited for too long is 503, and no place is given twice for it.
    const lost = answers.filter(({ status }) => status !== 503 && status !== 201);
    expect(lost.length).toBeGreaterThan(0);
    const { id, startAt, endAt } = won!.body;
    for (const { status, body } of lost)
      expect({ status, ...body }).toMatchObject({
        status: 409,
        type: '/problems/screening-overlaps',
        with: { id, startAt, endAt },
      });
    expect(await desk.sql('SELECT id FROM screening WHERE auditorium = $1', [auditorium])).toEqual([{ id }]);
  });

  it('is taken for 20 minutes after a film, and not a minute longer', async () => {
    const auditorium = await place.addAuditorium();
    await desk.create(place.wanted({ auditorium, startAt: inDays(51) }));
    await desk.post('', place.wanted({ auditorium, startAt: inDays(51, 119) })).expect(409);
    await desk.post('', place.wanted({ auditorium, startAt: inDays(51, -119) })).expect(409);
    await desk.create(place.wanted({ auditorium, startAt: inDays(51, 120) }));
    await desk.create(place.wanted({ auditorium, startAt: inDays(51, -120) }));
  });

  it('that is taken spoils no request with an Idempotency-Key', async () => {
    const auditorium = await place.addAuditorium();
    const post = () => desk.post('', place.wanted({ auditorium }), { 'Idempotency-Key': 'taken' });
    const { id } = (await desk.post('', place.wanted({ auditorium })).expect(201)).body;
    expect((await post().expect(409)).body.with.id).toBe(id);
    await desk.post(`/${id}/cancel`).expect(200);
    await post().expect(201);
  });
});

describe('many screenings at once', () => {
  it('are each told what became of them, in order', async () => {
    const auditorium = await place.addAuditorium();
    const there = await desk.create(place.wanted({ auditorium, startAt: inDays(60) }));
    const screenings = [
      place.wanted({ auditorium, startAt: inDays(61) }),
      place.wanted({ auditorium, startAt: inDays(60) }),
      place.wanted({ auditorium, startAt: inDays(60, 30) }),
      place.wanted({ auditorium, startAt: inDays(61, 60) }),
      place.wanted({ auditorium, startAt: inDays(62), format: '5D', colour: 'red' }),
      place.wanted({ auditorium, startAt: inDays(62), movie: await place.addFilm(undefined, { retired: true }) }),
      7,
    ];
    const overlapping = { status: 'refused', type: '/problems/screening-overlaps' };
    const refused = [
      { ...overlapping, with: { id: there.id } },
      overlapping,
      { status: 'refused', errors: [{ pointer: '/colour' }, { pointer: '/format' }] },
      { status: 'refused', type: '/problems/movie-retired', detail: 'Alien is retired: it gets no new screenings' },
      { status: 'refused', errors: [{ pointer: '', detail: 'must be a JSON object' }] },
    ];
    const trial = (await desk.post('/import', { screenings, dryRun: true }).expect(200)).body;
    expect(trial.results).toMatchObject([{ status: 'accepted' }, { status: 'existed', id: there.id }, ...refused]);
    const { results } = (await desk.post('/import', { screenings }).expect(200)).body;
    expect(results).toMatchObject([{ status: 'created' }, { status: 'existed', id: there.id }, ...refused]);
    expect(results[3].with.id).toBe(results[0].id);
    expect(await desk.sql('SELECT id FROM screening WHERE auditorium = $1 ORDER BY "startAt"', [auditorium])).toEqual([
      { id: there.id },
      { id: results[0].id },
    ]);
    await desk.post('/import', { screenings: {} }).expect(400);
  });

  /** Begin to count the statements of the process. @returns how many there were */
  function countStatements(): () => number {
    const { db } = mesh.running('screening-command').app.get(Storage);
    const make = db.createQueryRunner.bind(db);
    let count = 0;
    db.createQueryRunner = (mode) => {
      const runner = make(mode);
      const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
      return Object.assign(runner, { query: (...args: unknown[]) => (count++, query(...args)) });
    };
    return () => {
      db.createQueryRunner = make;
      return count;
    };
  }

  it('are planned in a few statements, each with its event and its record', async () => {
    const auditoriums = [await place.addAuditorium(), await place.addAuditorium()];
    const screenings = Array.from({ length: 200 }, (_, i) =>
      place.wanted({ auditorium: auditoriums[i % 2], startAt: inDays(70 + i, 0), prices: [price()] }),
    );
    const statements = countStatements();
    const { results } = (await desk.post('/import', { screenings }).expect(200)).body;
    expect(new Set(results.map(({ status }: { status: string }) => status))).toEqual(new Set(['created']));
    // Those of the outbox and of the log among them: a few for all, and none for each.
    expect(statements()).toBeLessThan(60);
    const ids = results.map(({ id }: { id: string }) => id);
    const [made] = await desk.sql<object>(
      `SELECT (SELECT count(*)::int FROM screening WHERE id = ANY($1)) AS rows,
         (SELECT count(*)::int FROM audit_record WHERE "subjectId" = ANY($1::text[]) AND action = 'created') AS records`,
      [ids],
    );
    expect(made).toEqual({ rows: 200, records: 200 });
    const again = (await desk.post('/import', { screenings }).expect(200)).body.results as object[];
    expect(again).toEqual(ids.map((id: string) => ({ status: 'existed', id })));
  });
});
