import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, openClient, prepareDatabase, processUrl, removePostgres, startPostgres } from '#postgres';

/** A throw-away database, prepared for some processes. */
export interface TestDatabase {
  readonly dir: string;
  readonly secretsDir: string;
  readonly postgres: EmbeddedPostgres;
  /** The address with that process's own role. */
  url(process: string): string;
  /** Start PostgreSQL again on its port after it was stopped or killed. */
  restart(): Promise<void>;
  /** Stop it and remove every file. */
  stop(): Promise<void>;
}

/**
 * Start a database for a test, fast rather than durable, on a free port and in a folder of its own.
 *
 * @param dir  a folder that exists and is the caller's to remove; a temporary one by default
 */
export async function startTestDatabase(processes: readonly string[], dir?: string): Promise<TestDatabase> {
  const home = dir ?? mkdtempSync(join(tmpdir(), 'cinemanzana-test-'));
  const cluster = join(home, 'postgres');
  const secretsDir = join(home, 'secrets');
  let postgres = await startPostgres({ dir: cluster, durable: false });
  await prepareDatabase(postgres.url(), { processes, secretsDir });
  return {
    dir: home,
    secretsDir,
    get postgres() {
      return postgres;
    },
    url: (process) => processUrl(postgres.url(), process, secretsDir),
    restart: async () => {
      await postgres.gone;
      postgres = await startPostgres({ dir: cluster, durable: false, port: postgres.port });
    },
    stop: async () => {
      await postgres.stop();
      // As root under a folder of root's alone, the data lie elsewhere.
      await removePostgres(cluster);
      if (!dir) rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A database of a test's own on a server given from outside; `stop` removes it. */
export async function outsideDatabase(serverUrl: string, processes: readonly string[], secretsDir: string) {
  const url = new URL(serverUrl);
  const name = `cinemanzana_${randomBytes(6).toString('hex')}`;
  url.pathname = `/${name}`;
  await prepareDatabase(url.href, { processes, secretsDir });
  const stop = async () => {
    const server = await openClient(serverUrl);
    await server.query(`DROP DATABASE ${name} WITH (FORCE)`).finally(() => server.end());
  };
  return { url: url.href, stop };
}
