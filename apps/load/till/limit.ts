import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { bareEnvironment } from '#config';

/** PostgreSQL's own benchmark is not here. */
export class PgbenchMissing extends Error {}

const DEBIAN = '/usr/lib/postgresql';

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where pgbench is: as given, on the PATH, or where Debian has it. @throws PgbenchMissing */
export function findPgbench(given?: string): string {
  if (given !== undefined && isProgram(given)) return given;
  if (given !== undefined) throw new PgbenchMissing(`${given} cannot be run`);
  const path = (bareEnvironment().PATH ?? '').split(delimiter).filter(Boolean);
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const places = [...path, ...versions.map((version) => join(DEBIAN, version, 'bin'))];
  const found = places.map((place) => join(place, 'pgbench')).find(isProgram);
  if (found !== undefined) return found;
  throw new PgbenchMissing(
    `pgbench, the measure, is on neither the PATH nor in ${DEBIAN}/*/bin: install it (Debian: postgresql-contrib or postgresql-client-common's postgresql; macOS: brew install libpq), or name it by --pgbench or PGBENCH`,
  );
}

/** The same tables once more, so that the relay and the sweeper of the process have nothing to do with them. */
export const LIMIT_TABLES = `CREATE SCHEMA till_limit;
  CREATE TABLE till_limit.seat_claim (LIKE purchase_command.seat_claim INCLUDING ALL);
  ALTER TABLE till_limit.seat_claim SET (fillfactor = 80);
  CREATE TABLE till_limit.purchase (LIKE purchase_command.purchase INCLUDING ALL);
  CREATE TABLE till_limit.outbox (LIKE purchase_command.outbox INCLUDING ALL);
  CREATE SEQUENCE till_limit.seat CACHE 1000`;

/** What a purchase of one seat is made of: sent with each, as any client of a database must. */
export interface Sample {
  chain: string;
  lines: string;
  tax: string;
  show: string;
  history: string;
  /** The event. */
  event: string;
}

/** One seat each time, over so many screenings. */
const statement = (screenings: number) => `WITH seat AS (SELECT nextval('till_limit.seat') AS n),
claimed AS (
  INSERT INTO till_limit.seat_claim AS c (screening, seat, purchase, until)
  SELECT md5((n % ${screenings})::text)::uuid, 'A' || n / ${screenings}, uuidv7(), now() + interval '480 s' FROM seat
  ON CONFLICT (screening, seat) DO UPDATE SET purchase = excluded.purchase, until = excluded.until WHERE c.until <= now()
  RETURNING purchase, screening, until),
sold AS (
  INSERT INTO till_limit.purchase (id, version, chain, cinema, screening, "accessKeyHash", state, lines, "totalMinor", "taxMinor", tax,
    currency, "heldUntilAt", show, history, email, "overAt")
  SELECT purchase, 1, :chain::uuid, :chain::uuid, screening, 'ixW1wq8CkRXmkmVPaLzdxZgZVIrj0Xb8yRDO7dH5a5Q', 'held', :lines::jsonb, 2400, 366, :tax::jsonb,
    'PEN', until, :show::jsonb, :history::jsonb, purchase || '@till.example', now() + interval '1 day' FROM claimed
  RETURNING id)
INSERT INTO till_limit.outbox (id, name, key, version, body, trace_id)
SELECT uuidv7(), 'purchase.held', id::text, 1, :event::json, '4bf92f3577b34da6a3ce929d0e0e4736' FROM sold`;

/** How it is run. */
export interface LimitOptions {
  pgbench: string;
  /** A superuser's address of the database. */
  url: string;
  /** For the script. */
  dir: string;
  screenings: number;
  sample: Sample;
}

const TPS = /^tps = ([\d.]+)/m;

/** What PostgreSQL does by itself: a seat claimed, a purchase and an event written, in one prepared statement and one commit. */
export class Limit {
  private readonly script: string;

  constructor(private readonly options: LimitOptions) {
    this.script = join(options.dir, 'one-seat.sql');
    // pgbench takes what is on one line.
    writeFileSync(this.script, `${statement(options.screenings).replaceAll('\n', ' ')};\n`);
  }

  /** @returns seats a second */
  async measure(clients: number, seconds: number): Promise<number> {
    const { pgbench, url, sample } = this.options;
    const { hostname, port, username, password, pathname } = new URL(url);
    const values = Object.entries(sample).flatMap(([name, value]) => ['-D', `${name}=${value}`]);
    const how = ['-n', '-M', 'prepared', '-f', this.script, '-c', String(clients), '-j', '1', '-T', String(seconds)];
    const where = ['-h', hostname, '-p', port, '-U', decodeURIComponent(username), pathname.slice(1)];
    const env = { ...bareEnvironment(), PGPASSWORD: decodeURIComponent(password) };
    const { stdout, stderr } = await promisify(execFile)(pgbench, [...how, ...values, ...where], { env });
    const tps = TPS.exec(stdout)?.[1];
    if (tps === undefined) throw new Error(`pgbench did not say how fast it was:\n${stdout}${stderr}`);
    return Number(tps);
  }
}
