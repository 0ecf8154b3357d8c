import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment } from '#config';
import { type EmbeddedPostgres, openClient, prepareDatabase, processUrl, startPostgres } from '#postgres';

/** A server from outside, as a superuser, where all of this must be true as well: PostgreSQL 15 and later. */
const given = environment().secret('TEST_DATABASE_URL');
const servers: [string, string | undefined][] = [['the embedded PostgreSQL', undefined]];
if (given) servers.push(['the PostgreSQL of TEST_DATABASE_URL', given]);

// Names of nobody's, since roles belong to the whole server.
const command = 'spec-command';
const query = 'spec-query';

describe.each(servers)('prepareDatabase on %s', (_, outside) => {
  let dir: string;
  let embedded: EmbeddedPostgres | undefined;
  let admin: string;
  let secretsDir: string;

  async function as<T extends object>(url: string, sql: string): Promise<T[]> {
    const client = await openClient(url);
    try {
      return (await client.query<T>(sql)).rows;
    } finally {
      await client.end();
    }
  }
  const asProcess = <T extends object>(process: string, sql: string) => as<T>(processUrl(admin, process, secretsDir), sql);

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'cinemanzana-prepare-'));
    chmodSync(dir, 0o711);
    secretsDir = join(dir, 'secrets');
    embedded = outside ? undefined : await startPostgres({ dir: join(dir, 'postgres'), durable: false });
    const url = new URL(outside ?? embedded!.url());
    url.pathname = `/spec_${randomBytes(4).toString('hex')}`;
    admin = url.href;
    const options = { processes: [command, query], secretsDir };
    await prepareDatabase(admin, options);
    await Promise.all([prepareDatabase(admin, options), prepareDatabase(admin, options)]);
    await asProcess(command, 'CREATE TABLE movie (title text)');
    await asProcess(query, 'CREATE TABLE movie_view (title text)');
  });

  afterAll(async () => {
    if (outside) {
      await as(outside, `DROP DATABASE ${new URL(admin).pathname.slice(1)}`);
      await as(outside, 'DROP ROLE spec_command, spec_query');
    }
    await embedded?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('gives each process a role whose tables land in its own schema', async () => {
    const rows = await as(
      admin,
      `SELECT schemaname, tableowner, tablename FROM pg_tables WHERE tablename LIKE 'movie%' ORDER BY 3`,
    );
    expect(rows).toEqual([
      { schemaname: 'spec_command', tableowner: 'spec_command', tablename: 'movie' },
      { schemaname: 'spec_query', tableowner: 'spec_query', tablename: 'movie_view' },
    ]);
  });

  it.each([
    [`the other side's tables`, 'SELECT * FROM spec_command.movie', /permission denied for schema spec_command/],
    [`the log of events`, 'SELECT * FROM bus.event', /permission denied for table event/],
    [`the places of consumers`, 'UPDATE bus.place SET seq = 0', /permission denied for table place/],
    [`another process's place`, `SELECT bus.move('spec-command', 'movie', 0, 9)`, /spec_query may not read as spec-command/],
    [`the place of another's instance`, `SELECT bus.subscribe('spec-command:a', '{movie}')`, /may not read as spec-command:a/],
    [`events of today`, `SELECT bus.compact('1 hour', 10)`, /may not remove events younger than a day/],
    [`the schema public`, 'CREATE TABLE public.t ()', /permission denied for schema public/],
    [`a schema of its own making`, 'CREATE SCHEMA mine', /permission denied for database/],
    [`temporary tables`, 'CREATE TEMP TABLE t ()', /permission denied to create temporary tables/],
    [`the bus's own role`, 'SET ROLE mesh_bus', /permission denied to set role/],
    [`other roles' secrets`, 'SELECT * FROM pg_authid', /permission denied/],
    [`the functions of the bus`, 'DROP FUNCTION bus.append', /must be owner|permission denied/],
  ])('keeps a process out of %s', async (_what, sql, refusal) => {
    await expect(asProcess(query, sql)).rejects.toThrow(refusal);
  });

  it('lets no function of the bus be called by whoever has no part in it', async () => {
    const rows = await as(
      admin,
      `SELECT proname FROM pg_proc WHERE pronamespace = 'bus'::regnamespace AND
      (proacl IS NULL OR proacl::text ~ '[{,]=')`,
    );
    expect(rows).toEqual([]);
  });

  it('offers search without accents and case, in an index as well, and ranges that exclude each other', async () => {
    await asProcess(query, 'CREATE INDEX ON movie_view USING gin (plain(title) gin_trgm_ops)');
    await asProcess(query, 'CREATE TABLE show (hall int, busy tstzrange, EXCLUDE USING gist (hall WITH =, busy WITH &&))');
    const rows = await asProcess(query, `SELECT plain('Amélie ÑANDÚ') AS plain, similarity('amelie', 'amlie') > 0.3 AS alike`);
    expect(rows).toEqual([{ plain: 'amelie nandu', alike: true }]);
  });

  it('writes no password into the server, only what it is checked with', async () => {
    const rows = await as<{ rolpassword: string }>(admin, `SELECT rolpassword FROM pg_authid WHERE rolname = 'spec_query'`);
    expect(rows[0]!.rolpassword).toMatch(/^SCRAM-SHA-256\$4096:/);
    expect(() => processUrl(admin, 'unknown-query', secretsDir)).toThrow('run npx mesh db prepare');
  });
});

if (!given) it.skip('prepareDatabase on a PostgreSQL from outside: TEST_DATABASE_URL names none', () => undefined);
