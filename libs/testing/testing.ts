import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportSPKI, generateKeyPair, SignJWT } from 'jose';
import request from 'supertest';
import type TestAgent from 'supertest/lib/agent.js';
import type { Role, TokenIssuer } from '#auth';
import { environment, type Environment, fileSettings, type Flat } from '#config';
import { type Log, silentLog } from '#log';
import type { EmbeddedPostgres } from '#postgres';
import { launch, type LaunchOptions, platformSections, type Running, type ServiceDefinition } from '#service';
import { outsideDatabase, startTestDatabase } from './database.js';

export { startTestDatabase, type TestDatabase } from './database.js';

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
  /** One more instance, on slot 1, 2, … */
  launch(definition: ServiceDefinition, options?: LaunchOptions): Promise<Running>;
  stop(): Promise<void>;
}

async function testIssuer(): Promise<{
  issuer: TokenIssuer;
  sign: (roles: readonly string[], subject: string) => Promise<string>;
}> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const issuer: TokenIssuer = {
    issuer: 'urn:cinemanzana:test',
    audience: 'cinemanzana',
    algorithms: ['ES256'],
    publicKey: await exportSPKI(publicKey),
  };
  const sign = (roles: readonly string[], subject: string) =>
    new SignJWT({ roles, client_id: 'test' })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .setIssuer(issuer.issuer)
      .setAudience(issuer.audience)
      .setSubject(subject)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
  return { issuer, sign };
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

/** Start processes for a test. Everything listens on a free port, and `stop()` leaves nothing behind. */
export async function startTestMesh(options: TestMeshOptions): Promise<TestMesh> {
  const { processes, config = {}, log = silentLog } = options;
  const dataDir = mkdtempSync(join(tmpdir(), 'cinemanzana-test-'));
  const database = await testDatabase(dataDir, options);
  const { issuer, sign } = await testIssuer();
  const env = (): Environment => environment({ MESH_DATA: dataDir, MESH_PROFILE: 'test', DATABASE_URL: database.url });
  const all: Running[] = [];
  const start = async (definition: ServiceDefinition, options: LaunchOptions = {}) => {
    const sections = [...platformSections, ...(definition.sections ?? [])];
    const settings = fileSettings({ process: definition.name, profile: 'test', sections, log, over: config });
    const running = await launch(definition, { env, log, settings, issuer, port: 0, unregistered: true, ...options });
    all.push(running);
    await running.ready;
    return running;
  };
  const named = (name: string) => {
    const found = all.find((running) => running.name === name);
    if (!found) throw new Error(`${name} is not among the processes of this test`);
    return found;
  };
  await Promise.all(processes.map((definition) => start(definition)));
  return {
    postgres: database.postgres,
    dataDir,
    running: named,
    url: (name) => named(name).url,
    http: (name) => request.agent(named(name).url),
    bearer: async (...roles) => `Bearer ${await sign(roles, 'tester')}`,
    launch: (definition, options) => start(definition, { slot: all.length, ...options }),
    stop: async () => {
      await Promise.all(all.map((running) => running.close({ hasty: true })));
      await database.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
export { isAlive, startWholeMesh, until, type Answer, WholeMesh, type WholeMeshOptions } from './whole.js';
