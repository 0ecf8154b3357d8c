import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '#config';
import type { ServiceDefinition } from '#service';
import { Desk, startTestMesh, type TestMesh } from '#testing';
import type { ImportOptions } from './batches.js';
import { importRecords } from './import.js';
import { KINDS } from './kinds.js';

const SIDES = { chain: 'cq', cinema: 'cq', auditorium: 'cq', movie: 'cq', screening: 'cq', purchase: 'c', user: 'c' };

/** As the launcher does it: by the file's name, since no app imports another. */
const load = async (name: string, side: 'command' | 'query') => {
  const module = (await import(join(projectRoot, `apps/${name}/${name}.${side}.ts`))) as Record<string, ServiceDefinition>;
  return Object.values(module).find((each) => each.name === `${name}-${side}`)!;
};

/** Passes requests on as the gateway does: reading and writing have a process each. */
function door(mesh: TestMesh): Server {
  return createServer((req, res) => {
    const name = /^\/api\/(\w+)s\b/.exec(req.url!)![1]!;
    const url = `${mesh.url(`${name}-${req.method === 'GET' ? 'query' : 'command'}`)}${req.url}`;
    const { host: _, ...headers } = req.headers;
    req.pipe(
      request(url, { method: req.method, headers }, (answer) => answer.pipe(res.writeHead(answer.statusCode!, answer.headers))),
    );
  });
}

let mesh: TestMesh, server: Server, options: ImportOptions, dir: string, desk: (name: string) => Desk;
beforeAll(async () => {
  const processes: ServiceDefinition[] = [];
  for (const [name, sides] of Object.entries(SIDES))
    for (const side of sides) processes.push(await load(name, side === 'c' ? 'command' : 'query'));
  mesh = await startTestMesh({ processes, config: { 'user.hashMemoryKib': 64, 'user.hashPasses': 1 } });
  server = door(mesh).listen(0, '127.0.0.1');
  const bearer = await mesh.bearer('chain-admin');
  options = {
    gatewayUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: () => Promise.resolve(bearer.replace('Bearer ', '')),
  };
  dir = mkdtempSync(join(tmpdir(), 'records-'));
  desk = (name) => new Desk(mesh, name, bearer);
  const chain = await desk('chain').create({ name: 'Manzana' });
  const film = await desk('movie').create({ title: 'Alien', releaseOn: '1979-05-25', minutes: 117, genres: [] });
  await desk('movie').create({ title: 'Alien', releaseOn: '2030-01-01', minutes: 100, genres: [] });
  await desk('chain').seen(chain.id);
  await desk('movie').seen(film.id);
});
afterAll(async () => {
  server.close();
  await mesh.stop();
  rmSync(dir, { recursive: true });
});

const bring = (what: string, text: string, over: object = {}) => {
  writeFileSync(join(dir, what), text);
  return importRecords(KINDS[what]!, join(dir, what), { ...options, ...over });
};
const seen = (name: string, rows: number) =>
  desk(name).found(`SELECT 1 FROM ${name}_view HAVING count(*) = ${rows}`, [], 'query');

const START = `${new Date(Date.now() + 9 * 86_400_000).toISOString().slice(0, 10)} 20:30`;
const CINEMAS = `chain,name,city,country,address,position.latitude,position.longitude,timeZone,currency,tax.name,tax.basisPoints,amenities,priceCard.standard.adult,priceCard.standard.child
manzana,Centro,Lima,PE,Jirón 1,-12.05,-77.04,America/Lima,PEN,IGV,1800,parking;bar,2450,1450
Manzana,Norte,Lima,PE,Jirón 2,-12.05,-777,America/Lima,PEN,IGV,1800,,2450,
Pera,Sur,Lima,PE,Jirón 3,-12.05,-77,America/Lima,PEN,IGV,1800,,2450,
`;
const AUDITORIUMS = '{"cinema":"centro","name":1,"layout":"A ss.wc; B SSSS"}\n{"cinema":"Centro","name":"2","layout":"A sq"}\n';
const SCREENINGS = `cinema,auditorium,title,releaseOn,start,language,format
Centro,1,Alien,1979-05-25,${START},en,2D
Centro,1,Alien,,${START},en,2D
Centro,1,Solaris,,${START},en,2D
Centro,9,Alien,1979-05-25,${START},en,2D
Centro,1,Alien,1979-05-25,2020-01-01 20:30,en,4D
`;
const SOLD = `cinema,auditorium,start,seats,reference,amountMinor
Centro,1,${START},A1;A2,R-1,4000
Centro,1,${START},A2,R-2,
Centro,1,2031-01-01 20:30,A3,R-3,
Centro,1,${START},Z1,R-4,
`;

describe('records of a file', () => {
  it('are tried first, and nothing is written', async () => {
    const steps: number[] = [];
    const result = await bring('cinemas', CINEMAS, {
      dryRun: true,
      onProgress: ({ done }: { done: number }) => steps.push(done),
    });
    expect(result).toMatchObject({ read: 3, created: 0, existed: 0 });
    expect(result.failed.map(({ line, field }) => [line, field])).toEqual([[3, 'position.longitude'], [4, 'chain']]); // prettier-ignore
    expect(steps.at(-1)).toBe(3);
    expect(await desk('cinema').sql('SELECT 1 FROM cinema')).toEqual([]);
  });

  it('become cinemas, with what CSV cannot hold in one column each in its own', async () => {
    const result = await bring('cinemas', CINEMAS);
    expect(result).toMatchObject({ created: 1, failed: [{ line: 3 }, { line: 4, detail: 'there is no chain Pera' }] });
    const [made] = await desk('cinema').sql<object>('SELECT position, tax, amenities, "priceCard" FROM cinema');
    expect(made).toEqual({
      ...{
        position: { latitude: -12.05, longitude: -77.04 },
        tax: { name: 'IGV', basisPoints: 1800 },
        amenities: ['parking', 'bar'],
      },
      priceCard: [
        { area: 'standard', category: 'adult', amountMinor: 2450 },
        { area: 'standard', category: 'child', amountMinor: 1450 },
      ],
    });
    expect(await bring('cinemas', CINEMAS)).toMatchObject({ created: 0, existed: 1 });
    await seen('cinema', 1);
  });

  it('become auditoriums of cinemas that are named, with their layouts', async () => {
    const result = await bring('auditoriums', AUDITORIUMS);
    expect(result).toMatchObject({ created: 1, failed: [{ line: 2, field: 'layout' }] });
    expect(await desk('auditorium').sql('SELECT name, capacity FROM auditorium')).toEqual([{ name: '1', capacity: 8 }]);
    expect(await bring('auditoriums', AUDITORIUMS)).toMatchObject({ created: 0, existed: 1 });
    await seen('auditorium', 1);
  });

  it('become screenings of films that are named, by the clocks of the place', async () => {
    const result = await bring('screenings', SCREENINGS);
    expect(result).toMatchObject({ read: 5, created: 1 });
    expect(result.failed.map(({ line, field }) => [line, field])).toEqual([
      [3, 'title'],
      [4, 'title'],
      [5, 'auditorium'],
      [6, 'format'],
    ]);
    expect(result.failed[0]!.detail).toBe('there are several films Alien: name releaseOn too (1979-05-25, 2030-01-01)');
    expect(await bring('screenings', SCREENINGS)).toMatchObject({ created: 0, existed: 1 });
    const found = await desk('screening').found<{ startAt: Date }>('SELECT "startAt" FROM screening_view', [], 'query');
    expect(found[0]!.startAt.toISOString()).toBe(new Date(`${START.replace(' ', 'T')}:00-05:00`).toISOString());
    await desk('purchase').found('SELECT 1 FROM known_screening');
  });

  it('become seats that were sold elsewhere', async () => {
    const result = await bring('sold', SOLD);
    expect(result).toMatchObject({ created: 1 });
    expect(result.failed).toEqual([
      { line: 3, field: '', detail: 'A2 cannot be had any more' },
      { line: 4, field: 'start', detail: 'there is no screening at 2031-01-01 20:30' },
      { line: 5, field: 'seats', detail: 'is no seat of 1' },
    ]);
    expect(await bring('sold', SOLD)).toMatchObject({ created: 0, existed: 1 });
  });

  it('become customers', async () => {
    const file = 'email,name,language,phone\nrosa@example.pe,Rosa,es,+51987654321\nluis@example.pe,,,\nnobody,,fr,\n';
    const result = await bring('customers', file);
    expect(result).toMatchObject({ created: 2, failed: [{ line: 4, field: 'email' }, { line: 4, field: 'language' }] }); // prettier-ignore
    expect(await bring('customers', file)).toMatchObject({ created: 0, existed: 2 });
  });

  it('are refused to who may not bring them', async () => {
    const nobody = { token: () => Promise.resolve('none') };
    await expect(bring('customers', 'email\nx@example.pe\n', nobody)).rejects.toThrow(/access token/);
  });
});
