import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, openClient, prepareDatabase, processUrl, removePostgres, startPostgres } from '#postgres';

/** A superuser's connection. */
export type Admin = Awaited<ReturnType<typeof openClient>>;

/** The two sides of a resource that is nobody's. */
export const SIDES = { command: 'made-command', query: 'made-query' };

const TABLES = `
  CREATE TABLE made_command.thing (key text PRIMARY KEY, version int NOT NULL, title text, body text);
  CREATE TABLE made_command.plain (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text, version int, title text, body text);
  CREATE TABLE made_query.made_view (id text PRIMARY KEY, version int NOT NULL, removed boolean NOT NULL, title text, body text);
  CREATE TABLE made_query.counter (key text PRIMARY KEY, events int NOT NULL) WITH (fillfactor = 50);
  CREATE TABLE made_query.journal (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL, version int NOT NULL);
  ALTER TABLE made_command.thing OWNER TO made_command;
  ALTER TABLE made_command.plain OWNER TO made_command;
  ALTER TABLE made_query.made_view OWNER TO made_query;
  ALTER TABLE made_query.counter OWNER TO made_query;
  ALTER TABLE made_query.journal OWNER TO made_query;
  GRANT USAGE ON SCHEMA made_command TO made_query;
  GRANT SELECT ON made_command.plain TO made_query`;

/** A PostgreSQL of its own, every commit on disk, in a folder that goes with it. */
export class Arena {
  private constructor(
    private readonly home: string,
    private server: EmbeddedPostgres,
  ) {}

  static async open(): Promise<Arena> {
    const home = mkdtempSync(join(tmpdir(), 'cinemanzana-load-'));
    const arena = new Arena(home, await startPostgres({ dir: join(home, 'postgres') }));
    const processes = Object.values(SIDES);
    await prepareDatabase(arena.server.url(), { processes, secretsDir: join(home, 'secrets') });
    await arena.asAdmin((db) => db.query(TABLES));
    return arena;
  }

  url(process: string): string {
    return processUrl(this.server.url(), process, join(this.home, 'secrets'));
  }

  async asAdmin<T>(use: (db: Admin) => Promise<T>): Promise<T> {
    const db = await openClient(this.server.url(), { name: 'mesh-load' });
    try {
      return await use(db);
    } finally {
      await db.end();
    }
  }

  /** Kill PostgreSQL with all that was not on disk, and start it again on its port. */
  async crash(): Promise<void> {
    await this.server.kill();
    this.server = await startPostgres({ dir: join(this.home, 'postgres'), port: this.server.port });
  }

  async close(): Promise<void> {
    await this.server.stop();
    await removePostgres(join(this.home, 'postgres'));
    rmSync(this.home, { recursive: true, force: true });
  }
}
