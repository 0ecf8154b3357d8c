import { randomUUID } from 'node:crypto';
import { BusConfig, BusServer, publish } from '#bus';
import { fileSettings } from '#config';
import { silentLog } from '#log';
import { Metrics } from '#metrics';
import { openStorage, type Storage, StorageConfig } from '#storage';
import { startTestDatabase, type TestDatabase, until } from '#testing';
import type { Where } from './admin.js';
import { drop, listParked, type ParkedEvent, redrive } from './parked.js';
import { rebuild } from './rebuild.js';

const over = { 'bus.parkAfterTries': 1, 'bus.parkAfterMs': 0, 'bus.retryMinMs': 10, 'bus.pollMs': 200 };
const settings = fileSettings({
  process: 'movie-query',
  profile: 'test',
  sections: [BusConfig, StorageConfig],
  log: silentLog,
  over,
});
let database: TestDatabase;
let storage: Storage;
let server: BusServer;
let where: Where;
const broken = new Set<string>();

/** What a command prints, without the colours of a terminal. */
async function said(command: () => Promise<unknown>): Promise<string> {
  const write = process.stdout.write.bind(process.stdout);
  let text = '';
  process.stdout.write = (part: string) => (text += part) !== '';
  try {
    await command();
    return text;
  } finally {
    process.stdout.write = write;
  }
}
const parked = async () => JSON.parse(await said(() => listParked({ json: true }, where))) as ParkedEvent[];
const send = (key: string, version: number) => {
  const event = { id: randomUUID(), name: 'movie.changed', key, version, body: { version }, at: new Date().toISOString() };
  return storage.transaction((tx) => publish(tx, [event]));
};

beforeAll(async () => {
  database = await startTestDatabase(['movie-query']);
  where = { dataDir: database.dir, databaseUrl: database.postgres.url(), databaseIsEmbedded: true };
  const config = settings.section(StorageConfig);
  storage = await openStorage({ process: 'movie-query', url: database.url('movie-query'), entities: [], migrations: [], log: silentLog, config }); // prettier-ignore
  await storage.query('CREATE TABLE film (id text PRIMARY KEY, version int)');
  server = new BusServer({ storage, process: 'movie-query', log: silentLog, metrics: new Metrics('movie-query'), config: settings.section(BusConfig) }); // prettier-ignore
  const fill = async (_: unknown, { event, tx }: { event: { key: string; version: number }; tx: Storage['db']['manager'] }) => {
    if (broken.has(event.key)) throw new TypeError(`nobody can read ${event.key}`);
    await tx.query('INSERT INTO film VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET version = $2', [event.key, event.version]);
  };
  server.addHandler('movie.changed', fill as never, true, { views: ['film'] });
  server.listen(() => undefined);
});

afterAll(async () => {
  await server.close();
  settings.close();
  await storage.close();
  await database.stop();
});

it('says that nothing is parked', async () => {
  expect(await said(() => listParked({}, where))).toBe('nothing is parked\n');
  expect(await said(() => redrive({ all: true }, where))).toBe('nothing is parked\n');
  await expect(drop(7, { yes: true }, where)).rejects.toThrow('no parked event has the id 7');
  await expect(redrive({}, where)).rejects.toThrow('say which');
});

it('lists what is parked, has it handled again, and says what became of it', async () => {
  broken.add('alien').add('brazil');
  await send('alien', 1);
  await send('alien', 2);
  await send('brazil', 1);
  await until('they are parked', async () => (await parked()).reduce((sum, { behind }) => sum + 1 + behind, 0) === 3);
  const table = await said(() => listParked({ group: 'movie-query' }, where));
  expect(table.split('\n')[0]).toMatch(/^id +group +event +key +reason +tries +since +behind it$/);
  expect(table).toMatch(/^\d+ +movie-query +movie\.changed +alien +TypeError: nobody can read alien +1 +\S+Z +1$/m);
  expect(await said(() => listParked({ group: 'user-query' }, where))).toBe('nothing is parked for user-query\n');
  broken.delete('alien');
  const { id } = (await parked()).find(({ key }) => key === 'alien')!;
  expect(await said(() => redrive({ id }, where))).toMatch(
    /^1 event asked for again, .* 1 handled, 0 parked again, 0 still tried\n$/,
  );
  let code = 0;
  const again = await said(async () => (code = await redrive({ group: 'movie-query' }, where)));
  expect(again).toMatch(
    /1 event asked for again, .* 0 handled, 1 parked again, 0 still tried\n {2}\d+: TypeError: nobody can read brazil\n$/,
  );
  expect(code).toBe(1);
  await until(
    'what waited is handled',
    async () => (await storage.query(`SELECT 1 FROM film WHERE id = 'alien' AND version = 2`)).length === 1,
  );
});

it('drops nothing without --yes, and then says what it dropped', async () => {
  const [{ id }] = (await parked()) as [ParkedEvent];
  await expect(drop(id, {}, where)).rejects.toThrow(
    'movie-query would never handle movie.changed of brazil; nothing was dropped',
  );
  expect(await said(() => drop(id, { yes: true }, where))).toBe(
    'dropped: movie-query will never handle movie.changed of brazil\n',
  );
  expect(await parked()).toEqual([]);
});

it('has a running process rebuild its views, tells how far it is, and says when nobody does it', async () => {
  broken.clear();
  const root = new URL('../../../', import.meta.url).pathname;
  const env = { ...where, root } as Parameters<typeof rebuild>[2];
  await storage.query('UPDATE film SET version = 77');
  const lines = await said(() => rebuild('movie-query', { json: true }, env));
  expect(JSON.parse(lines.slice(lines.lastIndexOf('\n{') + 1))).toMatchObject({ process: 'movie-query', state: 'done', done: 3 });
  expect(await storage.query('SELECT id, version FROM film ORDER BY id')).toEqual([
    { id: 'alien', version: 2 },
    { id: 'brazil', version: 1 },
  ]);
  expect(await said(() => rebuild('movie-query', {}, env))).toMatch(
    /^movie-query: 3 events replayed in \d\.\d s; the new views serve\n$/,
  );
  await expect(rebuild('gift-query', {}, env)).rejects.toThrow(`there is no process 'gift-query'`);
  await expect(said(() => rebuild('movie-command', {}, env, 300))).rejects.toThrow('no instance of movie-command began');
});
