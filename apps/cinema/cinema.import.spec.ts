import { randomUUID } from 'node:crypto';
import { Desk, startTestMesh, type TestMesh } from '#testing';
import { CinemaCommand } from './cinema.command.js';

const [chain, other] = [randomUUID(), randomUUID()];
const cinema = (over: object = {}) => ({
  ...{ chain, name: 'Alcázar', city: 'Lima', country: 'PE', address: 'Av. Santa Cruz 814', amenities: [] },
  ...{ position: { latitude: -12.1131, longitude: -77.0369 }, timeZone: 'America/Lima', currency: 'PEN' },
  ...{
    tax: { name: 'IGV', basisPoints: 1800 },
    priceCard: [{ area: 'standard', category: 'adult', amountMinor: 2450 }],
    ...over,
  },
});

let mesh: TestMesh, desk: Desk;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [CinemaCommand] });
  desk = new Desk(mesh, 'cinema', await mesh.bearer('chain-admin'));
  for (const key of [chain, other]) await desk.tell({ name: 'chain.created', key, body: { name: key } });
});
afterAll(() => mesh.stop());

const bring = async (cinemas: object[], over: object = {}, as = desk) =>
  (await as.post('/import', { cinemas, ...over }).expect(200)).body.results as { status: string; errors?: object[] }[];
const stored = async () => (await desk.sql<{ name: string }>('SELECT name FROM cinema ORDER BY name')).map(({ name }) => name);

describe('cinemas brought together', () => {
  it('are tried first, and nothing is written', async () => {
    const results = await bring([cinema(), cinema({ country: 'XX' })], { dryRun: true });
    expect(results.map(({ status }) => status)).toEqual(['accepted', 'refused']);
    expect(await stored()).toEqual([]);
  });

  it('are made in their order, a bad one costing no other, and stay as they are when they come again', async () => {
    const batch = [
      cinema(),
      cinema({ chain: randomUUID() }),
      cinema({ name: 'Centro' }),
      cinema({ name: 'ALCÁZAR' }),
      7 as never,
    ];
    const results = await bring(batch);
    expect(results.map(({ status }) => status)).toEqual(['created', 'refused', 'created', 'existed', 'refused']);
    expect(results[1]!.errors).toMatchObject([{ pointer: '/chain' }]);
    expect(await stored()).toEqual(['Alcázar', 'Centro']);
    expect((await bring(batch)).map(({ status }) => status)).toEqual(['existed', 'refused', 'existed', 'existed', 'refused']);
    expect((await bring([cinema({ city: 'Cusco' })])).map(({ status }) => status)).toEqual(['created']);
    const told = await desk.sql(`SELECT 1 FROM audit_record WHERE subject = 'cinema' AND action = 'created'`);
    expect(told).toHaveLength(3);
  });

  it('are opened in an own chain alone, and not by managers', async () => {
    const user = randomUUID();
    await desk.tell({
      name: 'manager.created',
      key: randomUUID(),
      body: { user, role: 'chain-admin', chain: other, cinemas: [] },
    });
    await desk.found('SELECT 1 FROM staff WHERE "user" = $1', [user]);
    const bound = desk.as(await mesh.bearerFor({ id: user, roles: ['chain-admin'] }));
    const results = await bring([cinema({ name: 'Norte' }), cinema({ chain: other })], {}, bound);
    expect(results).toMatchObject([{ errors: [{ pointer: '/chain', detail: 'is a chain that you do not act in' }] }, { status: 'created' }]); // prettier-ignore
    await desk
      .as(await mesh.bearer('manager'))
      .post('/import', { cinemas: [] })
      .expect(403);
    await desk.post('/import', { cinemas: Array(101).fill(7) }).expect(400);
  });
});
