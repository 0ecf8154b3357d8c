import { Problem } from '#problem';
import { until } from '#testing';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Bench, type Handler, inPostgres, listeningLog } from '../bench.contract.js';

const FILMS = 300;
let bench: Bench;

// An event that is handled twice, or not at all, is seen in the number of times.
const fill: Handler = async (body, { event: { key, version }, tx }) => {
  await tx.query(
    `INSERT INTO film_view AS v (id, version, title) VALUES ($1, $2, $3)
     ON CONFLICT (id) DO UPDATE SET version = excluded.version, title = excluded.title, times = v.times + 1`,
    [key, version, (body as { title: string }).title],
  );
};
const consume = (over = {}, log?: ReturnType<typeof listeningLog>['log'], handle = fill) =>
  bench.consume({ on: { 'film.made': handle }, extras: { views: ['film_view'] }, over, log });
const film = (n: number, version = 1) => bench.event('film.made', `film-${n}`, version, { title: `Film ${n}, ${version}` });

async function contents(): Promise<string> {
  const sql = `SELECT count(*) || ':' || coalesce(md5(string_agg(v::text, ',' ORDER BY id)), '') AS sum FROM film_view v`;
  return (await bench.reader.query<{ sum: string }>(sql))[0]!.sum;
}
const ask = async () => (await bench.reader.query<{ begun: boolean }>(`SELECT bus.ask_rebuild('seen-query') AS begun`))[0]!.begun;
const standing = async () =>
  (
    await bench.reader.query<{ state: string; done: string; note: string | null }>(`SELECT * FROM bus.rebuild_of('seen-query')`)
  )[0]!;
/** @throws Error at once when it has failed, and with how far it is when it takes too long */
async function untilRebuilt(): Promise<void> {
  const isOver = async () => ['done', 'failed'].includes((await standing()).state);
  await until('it is rebuilt', isOver, 20_000).catch(() => undefined);
  expect(await standing()).toMatchObject({ state: 'done', note: null });
}
const indexes = () =>
  bench.reader.query(
    `SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'film_view' AND schemaname = 'seen_query' ORDER BY 1`,
  );

const untrue = () => bench.reader.query('SELECT id, version, times FROM film_view WHERE times <> version');

beforeAll(async () => {
  bench = await Bench.open(inPostgres);
  await bench.reader.query(`CREATE TABLE film_view (
    id text NOT NULL, version int NOT NULL, title text NOT NULL DEFAULT 'none' CHECK (title <> ''), times int NOT NULL DEFAULT 1, CONSTRAINT "PK_film" PRIMARY KEY (id))`);
  await bench.reader.query('CREATE INDEX film_view_title ON film_view (extensions.plain(title), id)');
  for (let sent = 0; sent < FILMS; sent += 100) await bench.send(...Array.from({ length: 100 }, (_, n) => film(sent + n)));
});
afterEach(() => bench.closeServers());
afterAll(() => bench.close());

it('builds a view again while it is read and written: the same content and indexes, no read fails, and what was wrong is right', async () => {
  consume();
  await until('the view is full', async () => (await contents()).startsWith(`${FILMS}:`));
  const [right, before] = [await contents(), await indexes()];
  await bench.reader.query(`UPDATE film_view SET title = 'corrupted' WHERE id = 'film-7'`);
  await bench.reader.query(`DELETE FROM film_view WHERE id = 'film-8'`);
  expect(await ask()).toBe(true);
  expect(await ask()).toBe(false);
  let reads = 0;
  let isOver = false;
  const read = async () => {
    while (!isOver) {
      const [row] = await bench.reader.query<{ n: number }>('SELECT count(*)::int AS n FROM film_view');
      expect(row!.n).toBeGreaterThanOrEqual(FILMS - 1);
      reads += 1;
    }
  };
  const readers = Promise.all([read(), read()]);
  for (let n = 0; n < 50; n++) await bench.send(film(n, 2));
  await untilRebuilt();
  isOver = true;
  await readers;
  expect(reads).toBeGreaterThan(50);
  await until(
    'the changes are there',
    async () => (await bench.reader.query(`SELECT 1 FROM film_view WHERE version = 2`)).length === 50,
  );
  expect(await untrue()).toEqual([]);
  await bench.reader.query(`UPDATE film_view SET version = 1, times = 1, title = replace(title, ', 2', ', 1') WHERE version = 2`);
  expect(await contents()).toBe(right);
  expect(await indexes()).toEqual(before);
  expect(Number((await standing()).done)).toBeGreaterThanOrEqual(FILMS);
  expect(await bench.reader.query(`SELECT 1 FROM pg_tables WHERE schemaname = 'seen_query_rebuild'`)).toEqual([]);
});

it('leaves out what the process has parked, and keeps it parked', async () => {
  const over = { 'bus.parkAfterTries': 1, 'bus.parkAfterMs': 0 };
  let isBroken = true;
  const handle: Handler = async (body, context) => {
    if (isBroken && context.event.key === 'film-1' && context.event.version === 3) throw new TypeError('not this one');
    await fill(body, context);
  };
  consume(over, undefined, handle);
  await bench.send(film(1, 3), film(1, 4), film(2, 3));
  const parked = () => bench.reader.query<{ behind: number }>('SELECT grp, key, version, behind FROM bus.parked_events(NULL)');
  await until('one is parked and one waits', async () => (await parked())[0]?.behind === 1);
  isBroken = false;
  await ask();
  await untilRebuilt();
  const version = async (id: string) =>
    (await bench.reader.query<{ version: number }>('SELECT version FROM film_view WHERE id = $1', [id]))[0]?.version;
  expect([await version('film-1'), await version('film-2')]).toEqual([2, 3]);
  expect(await parked()).toEqual([{ grp: 'seen-query', key: 'film-1', version: 3, behind: 1 }]);
  await bench.reader.query('SELECT bus.redrive(NULL, NULL)');
  await until('it is handled in the new view', async () => (await version('film-1')) === 4);
  expect(await untrue()).toEqual([]);
  expect(await parked()).toEqual([]);
});

it('replays no further than the process is, so that nothing is handled twice', async () => {
  let isAway = true;
  const handle: Handler = async (body, context) => {
    const [{ here }] = await context.tx.query<[{ here: string }]>('SELECT current_schema() AS here');
    // The process stands still at an event that the replay could handle.
    if (isAway && here === 'seen_query' && context.event.key === 'film-90') throw new Problem('breaker-open', 503, 'away');
    await fill(body, context);
  };
  consume({ 'bus.retryMaxMs': 100 }, undefined, handle);
  await bench.send(...[2, 3, 4].map((version) => film(90, version)));
  await ask();
  await untilRebuilt();
  const times = () => bench.reader.query(`SELECT version, times FROM film_view WHERE id = 'film-90'`);
  expect(await times()).toEqual([{ version: 1, times: 1 }]);
  isAway = false;
  await until('the process has gone on', async () => ((await times()) as { version: number }[])[0]?.version === 4);
  expect(await times()).toEqual([{ version: 4, times: 4 }]);
});

it('parks for the process what the replay alone cannot handle, and finishes', async () => {
  const over = { 'bus.parkAfterTries': 1, 'bus.parkAfterMs': 0 };
  consume(over, undefined, async (body, context) => {
    if (context.event.key === 'film-5') throw new TypeError('no more');
    await fill(body, context);
  });
  await ask();
  await untilRebuilt();
  const [row] = await bench.reader.query('SELECT grp, key, version, behind FROM bus.parked_events(NULL)');
  expect(row).toEqual({ grp: 'seen-query', key: 'film-5', version: 1, behind: 1 });
  expect(await bench.reader.query(`SELECT 1 FROM film_view WHERE id = 'film-5'`)).toEqual([]);
  await bench.closeServers();
  consume(over);
  await bench.reader.query('SELECT bus.redrive(NULL, NULL)');
  await until('it is there again', async () => (await bench.reader.query(`SELECT 1 FROM film_view WHERE id = 'film-5' AND version = 2`)).length === 1); // prettier-ignore
});

it('says why when it cannot be done, and leaves the old view as it is', async () => {
  const { log, warned } = listeningLog();
  consume({}, log);
  await bench.reader.query('CREATE VIEW on_top AS SELECT id FROM film_view');
  const before = await contents();
  await ask();
  await until('it has failed', async () => (await standing()).state === 'failed');
  expect((await standing()).note).toMatch(/cannot drop table .*film_view because other objects depend on it/);
  expect(warned).toMatchObject([['views cannot be rebuilt; the old ones stay', {}]]);
  expect(await contents()).toBe(before);
  expect(await bench.reader.query(`SELECT 1 FROM pg_tables WHERE schemaname = 'seen_query_rebuild'`)).toEqual([]);
  await bench.reader.query('DROP VIEW on_top');
});

/** An instance in a Node of its own, which replays slowly enough to be killed in the middle. */
async function slowInstance(): Promise<ChildProcess> {
  const url = JSON.stringify(bench.database.url('seen-query'));
  const script = `
    import { BusConfig, BusServer } from '#bus';
    import { fileSettings } from '#config';
    import { silentLog as log } from '#log';
    import { Metrics } from '#metrics';
    import { openStorage, StorageConfig } from '#storage';
    const settings = fileSettings({ process: 'seen-query', profile: 'test', sections: [BusConfig, StorageConfig], log });
    const storage = await openStorage({ process: 'seen-query', url: ${url}, entities: [], migrations: [], log, config: settings.section(StorageConfig) });
    const server = new BusServer({ storage, process: 'seen-query', instance: 'slow', log, metrics: new Metrics('seen-query'), config: settings.section(BusConfig) });
    server.addHandler('film.made', async (body, { event: { key, version }, tx }) => {
      await tx.query('INSERT INTO film_view (id, version, title) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING', [key, version, 'half done']);
      await tx.query('SELECT pg_sleep(0.03)');
    }, true, { views: ['film_view'] });
    server.listen(() => console.log('listening'));`;
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const args = ['--import', `${root}libs/testing/typescript.mjs`, '--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(createInterface({ input: child.stdout }), 'line');
  return child;
}

it('is begun anew by another instance when the one at it is killed in the middle; one is at it at a time', async () => {
  const before = await contents();
  const child = await slowInstance();
  await ask();
  await until('it is under way', async () => Number((await standing()).done) > 100);
  consume({ 'bus.rebuildLeaseMs': 1000 });
  await new Promise((done) => setTimeout(done, 1_300));
  expect(await standing()).toMatchObject({ state: 'running', worker: 'slow' });
  child.kill('SIGKILL');
  await untilRebuilt();
  expect((await standing()) as object).not.toMatchObject({ worker: 'slow' });
  expect(await contents()).toBe(before);
  expect(await bench.reader.query(`SELECT 1 FROM bus.places('seen-query:rebuild', '{film}')`)).toEqual([]);
});
