import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import request from 'supertest';
import type TestAgent from 'supertest/lib/agent.js';
import type { Role } from '#auth';
import { environment, type Environment, fileSettings, type Flat, makeSecrets } from '#config';
import { type Log, silentLog } from '#log';
import type { EmbeddedPostgres } from '#postgres';
import { launch, type LaunchOptions, platformSections, type Running, type ServiceDefinition } from '#service';
import { outsideDatabase, startTestDatabase } from './database.js';
import { Neighbours } from './neighbours.js';
import { forger, type Forger } from './tokens.js';

export { startTestDatabase, type TestDatabase } from './database.js';
export { Browser, type Page } from './browser.js';
export { Desk, type Made, type Told } from './desk.js';
export { FORGERIES, forger, type Forger } from './tokens.js';

/** Which processes a test needs, and what beside them. */
export interface TestMeshOptions {
  processes: readonly ServiceDefinition[];
  /** Values that win over the files of config/. */
  config?: Flat;
  /** A server given from outside, with a role that may make a database there: used in place of the embedded one. */
  databaseUrl?: string;
  log?: Log;
}

/** Some processes as they run in production, on a database and a data folder of their own, outside of discovery. */
export interface TestMesh {
  /** The embedded one, unless an outside one was given. */
  readonly postgres?: EmbeddedPostgres;
  readonly dataDir: string;
  running(name: string): Running;
  url(name: string): string;
  /** HTTP to that process. */
  http(name: string): TestAgent;
  /** A bearer token as `Authorization` wants it, for a caller with these roles. */
  bearer(...roles: Role[]): Promise<string>;
  /** The same for a certain user or client: `{ client: 'oauth' }` is what that service says of itself. */
  bearerFor(bearer: Bearer): Promise<string>;
  /** One more instance, on slot 1, 2, … */
  launch(definition: ServiceDefinition, options?: LaunchOptions): Promise<Running>;
  stop(): Promise<void>;
}

/** Who a test's token speaks for. */
export interface Bearer {
  /** The user's id; without one the client speaks for itself. */
  id?: string;
  roles?: readonly Role[];
  /** Through which client. */
  client?: string;
}

async function bearerOf({ token }: Forger, { client = 'test', id = client, roles = [] }: Bearer): Promise<string> {
  return `Bearer ${await token({ sub: id, client_id: client, roles, sid: undefined })}`;
}

/** A database, and how it is left. */
interface Prepared {
  url?: string;
  postgres?: EmbeddedPostgres;
  stop(): Promise<void>;
}

/** A throw-away database for those of these processes that store. */
async function testDatabase(dataDir: string, { processes, databaseUrl }: TestMeshOptions): Promise<Prepared> {
  const names = processes.filter(({ tables }) => tables?.length).map(({ name }) => name);
  if (names.length === 0) return { stop: () => Promise.resolve() };
  if (databaseUrl) return outsideDatabase(databaseUrl, names, join(dataDir, 'secrets'));
  const database = await startTestDatabase(names, dataDir);
  return { url: database.postgres.url(), postgres: database.postgres, stop: database.stop };
}

function settingsOf({ name, sections = [] }: ServiceDefinition, { config, log }: { config: Flat; log: Log }) {
  return fileSettings({ process: name, profile: 'test', sections: [...platformSections, ...sections], log, over: config });
}

/** The secrets that these processes want, where `environment()` finds them also without this test's data folder. */
function giveSecrets(dataDir: string, processes: readonly ServiceDefinition[]): void {
  const names = processes.flatMap(({ secrets = [] }) => secrets);
  makeSecrets(dataDir, names);
  const { secret } = environment({ MESH_DATA: dataDir });
  for (const name of names) process.env[name] ??= secret(name);
}

/** Start processes for a test. Everything listens on a free port, and `stop()` leaves nothing behind. */
export async function startTestMesh(options: TestMeshOptions): Promise<TestMesh> {
  const { processes, config = {}, log = silentLog } = options;
  const dataDir = mkdtempSync(join(tmpdir(), 'cinemanzana-test-'));
  const database = await testDatabase(dataDir, options);
  const mint = await forger();
  const bearerFor = (bearer: Bearer) => bearerOf(mint, bearer);
  const env = (): Environment => environment({ MESH_DATA: dataDir, MESH_PROFILE: 'test', DATABASE_URL: database.url });
  giveSecrets(dataDir, processes);
  const neighbours = new Neighbours();
  const common = { env, log, issuer: mint.issuer, registry: neighbours, port: 0, unregistered: true };
  const start = async (definition: ServiceDefinition, options: LaunchOptions = {}) => {
    const settings = settingsOf(definition, { config, log });
    const running = await launch(definition, { ...common, settings, ...options });
    neighbours.add(running);
    await running.ready;
    return running;
  };
  await Promise.all(processes.map((definition) => start(definition)));
  return {
    postgres: database.postgres,
    dataDir,
    running: (name) => neighbours.named(name),
    url: (name) => neighbours.named(name).url,
    http: (name) => request.agent(neighbours.named(name).url),
    bearer: (...roles) => bearerFor({ id: 'tester', roles }),
    bearerFor,
    launch: (definition, options) => start(definition, { slot: neighbours.all.length, ...options }),
    stop: async () => {
      await Promise.all(neighbours.all.map((running) => running.close({ hasty: true })));
      await database.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
export { isAlive, startWholeMesh, until, type Answer, WholeMesh, type WholeMeshOptions } from './whole.js';
