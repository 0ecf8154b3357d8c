import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { BUS_FUNCTIONS, BUS_SCHEMA } from './bus.schema.js';
import { openClient } from './client.js';

/** For whom a database is prepared. */
export interface PrepareOptions {
  /** Every process that stores, `movie-command`; each gets a schema and a role of its own. */
  processes: readonly string[];
  /** Where the processes' passwords are kept, each in a file that we alone can read. */
  secretsDir: string;
}

const file = (secretsDir: string, process: string) => join(secretsDir, `db-${process}`);

/** A process's own password, made on first use, readable by us alone. */
function makePassword(secretsDir: string, process: string): string {
  mkdirSync(secretsDir, { recursive: true, mode: 0o700 });
  if (!existsSync(file(secretsDir, process)))
    writeFileSync(file(secretsDir, process), `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  return readPassword(secretsDir, process);
}

/** @throws Error when the database was never prepared for that process from here */
function readPassword(secretsDir: string, process: string): string {
  try {
    return readFileSync(file(secretsDir, process), 'utf8').trim();
  } catch (error) {
    throw new Error(`there is no password of ${process} in ${secretsDir}: run npx mesh db prepare`, { cause: error });
  }
}

const ITERATIONS = 4096;

/**
 * What the server keeps instead of a password. It is made here so that the password is in no statement and no server log.
 *
 * @source RFC 5802 §3, RFC 7677
 */
function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const mac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(mac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${stored}:${mac('Server Key').toString('base64')}`;
}

const OLDEST = 15;
const EXTENSIONS = ['btree_gist', 'pg_trgm', 'unaccent'];
const quote = (name: string) => pg.escapeIdentifier(name);

/** The role and the schema of a process: `movie_command` of `movie-command`. */
export const roleOf = (process: string): string => process.replaceAll('-', '_');

/** The schema in which a process builds its views again. */
export const rebuildSchemaOf = (process: string): string => `${roleOf(process)}_rebuild`;

/**
 * The address of `process`'s own role on the server and database of `url`.
 *
 * @throws Error when the database was not prepared for it from here
 */
export function processUrl(url: string, process: string, secretsDir: string): string {
  const own = new URL(url);
  own.username = roleOf(process);
  own.password = readPassword(secretsDir, process);
  return own.href;
}

async function createDatabase(adminUrl: string): Promise<pg.Client> {
  try {
    return await openClient(adminUrl, { name: 'mesh-prepare' });
  } catch (error) {
    if ((error as { code?: string }).code !== '3D000') throw error;
  }
  const url = new URL(adminUrl);
  const name = decodeURIComponent(url.pathname.slice(1));
  url.pathname = '/postgres';
  const server = await openClient(url.href, { name: 'mesh-prepare' });
  try {
    await server.query(`CREATE DATABASE ${quote(name)} TEMPLATE template0 ENCODING 'UTF8'`);
  } catch (error) {
    // Another one made it in this very moment.
    if (!['42P04', '23505'].includes((error as { code?: string }).code ?? '')) throw error;
  } finally {
    await server.end();
  }
  return openClient(adminUrl, { name: 'mesh-prepare' });
}

async function ensureRole(db: pg.Client, role: string, attributes: string) {
  const { rowCount } = await db.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
  await db.query(`${rowCount ? 'ALTER' : 'CREATE'} ROLE ${quote(role)} ${attributes}`);
}

/** Only a superuser may give things to a role it is not a member of. */
async function joinRole(db: pg.Client, role: string) {
  await db.query(`DO $$ BEGIN IF NOT pg_has_role(current_user, ${pg.escapeLiteral(role)}, 'MEMBER') THEN
    GRANT ${quote(role)} TO CURRENT_USER; END IF; END $$`);
}

// `unaccent` reads a dictionary that could be changed, so PostgreSQL takes it for unstable and refuses it in an index;
// naming the dictionary with its schema makes it as stable as the index needs.
const PLAIN = `CREATE OR REPLACE FUNCTION extensions.plain(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN lower(extensions.unaccent('extensions.unaccent'::regdictionary, $1))`;

async function prepareExtensions(db: pg.Client) {
  await db.query('CREATE SCHEMA IF NOT EXISTS extensions');
  for (const extension of EXTENSIONS) {
    await db.query(`CREATE EXTENSION IF NOT EXISTS ${extension} SCHEMA extensions`);
    const { rows } = await db.query<{ schema: string }>(
      'SELECT n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = $1',
      [extension],
    );
    if (rows[0]?.schema !== 'extensions') await db.query(`ALTER EXTENSION ${extension} SET SCHEMA extensions`);
  }
  await db.query(PLAIN);
}

// A function cannot be replaced by one with other columns.
const DROP_FUNCTIONS = `DO $$ DECLARE old regprocedure; BEGIN
  FOR old IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'bus'::regnamespace LOOP
    EXECUTE format('DROP FUNCTION %s', old);
  END LOOP; END $$;`;

async function prepareBus(db: pg.Client) {
  await ensureRole(db, 'mesh_bus', 'NOLOGIN');
  await joinRole(db, 'mesh_bus');
  await db.query('CREATE SCHEMA IF NOT EXISTS bus AUTHORIZATION mesh_bus');
  const edition = createHash('sha256').update(BUS_SCHEMA).update(BUS_FUNCTIONS).digest('hex');
  const { rows } = await db.query<{ edition: string | null }>(
    `SELECT obj_description('bus'::regnamespace, 'pg_namespace') AS edition`,
  );
  if (rows[0]?.edition === edition) return;
  await db.query(`SET LOCAL ROLE mesh_bus; ${BUS_SCHEMA} ${DROP_FUNCTIONS} ${BUS_FUNCTIONS}
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bus FROM PUBLIC; COMMENT ON SCHEMA bus IS '${edition}'; RESET ROLE`);
}

async function prepareProcess(db: pg.Client, database: string, process: string, secretsDir: string) {
  const role = roleOf(process);
  await ensureRole(db, role, `LOGIN PASSWORD ${pg.escapeLiteral(scramVerifier(makePassword(secretsDir, process)))}`);
  await joinRole(db, role);
  const own = quote(role);
  await db.query(`
    CREATE SCHEMA IF NOT EXISTS ${own} AUTHORIZATION ${own};
    CREATE SCHEMA IF NOT EXISTS ${quote(rebuildSchemaOf(process))} AUTHORIZATION ${own};
    REVOKE ALL ON SCHEMA ${own}, ${quote(rebuildSchemaOf(process))} FROM PUBLIC;
    GRANT CONNECT ON DATABASE ${quote(database)} TO ${own};
    GRANT USAGE ON SCHEMA extensions, bus TO ${own};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA bus TO ${own};
    ALTER ROLE ${own} IN DATABASE ${quote(database)} SET search_path = ${own}, extensions`);
}

/**
 * Make the database of `adminUrl` ready for the mesh, and the database itself if need be: extensions, the bus, and for each
 * process a schema with a role that may use that schema, execute the bus's functions, and nothing else. Again and again
 * does no harm, and neither do two at a time.
 *
 * @param adminUrl  a superuser, or a role that may create roles and owns the database
 * @throws Error on a PostgreSQL older than 15
 */
export async function prepareDatabase(adminUrl: string, { processes, secretsDir }: PrepareOptions): Promise<void> {
  const db = await createDatabase(adminUrl);
  try {
    const { rows } = await db.query<{ version: number; name: string }>(
      `SELECT current_setting('server_version_num')::int AS version, current_database() AS name`,
    );
    const { version, name } = rows[0]!;
    if (version < OLDEST * 10_000)
      throw new Error(`PostgreSQL ${OLDEST} or later is needed, this is ${Math.floor(version / 10_000)}`);
    await db.query(`BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('mesh:prepare', 0))`);
    await db.query('SET LOCAL client_min_messages = warning');
    await db.query(`REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE TEMPORARY ON DATABASE ${quote(name)} FROM PUBLIC`);
    await prepareExtensions(db);
    await prepareBus(db);
    for (const process of processes) await prepareProcess(db, name, process, secretsDir);
    await db.query('COMMIT');
  } finally {
    await db.end();
  }
}
