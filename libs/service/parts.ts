import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Breakers, BreakerConfig } from '#breaker';
import { BusConfig, KafkaConfig, type KafkaLog, openLog } from '#bus';
import { AuthConfig, meshIssuer, type TokenIssuer, Verifier } from '#auth';
import { Client, ClientConfig, type Registry } from '#client';
import { clientSecretName, type Environment, loadSettings, type SectionClass, type Settings } from '#config';
import { Discovery, DiscoveryConfig, type Instance } from '#discovery';
import type { Log } from '#log';
import { Metrics } from '#metrics';
import { OutboxConfig, outboxTables } from '#outbox';
import { processUrl } from '#postgres';
import { migrationsOf, openStorage, type Storage, StorageConfig } from '#storage';
import type { ServiceDefinition } from './definition.js';
import type { Life } from './life.js';
import { LogConfig, ServiceConfig } from './sections.js';

/** The sections every process has. */
export const platformSections: readonly SectionClass[] = [
  LogConfig,
  ServiceConfig,
  DiscoveryConfig,
  BreakerConfig,
  ClientConfig,
  AuthConfig,
  StorageConfig,
  BusConfig,
  KafkaConfig,
  OutboxConfig,
];

/** How long to wait before looking again for something that has no way to tell us, ms. */
const LOOK_AGAIN_MS = 100;

/** What a process is made of before Nest stands. */
export interface Parts {
  env: Environment;
  log: Log;
  settings: Settings;
  metrics: Metrics;
  discovery: Discovery;
  breakers: Breakers;
  client: Client;
  /** Whose tokens are accepted. */
  issuer: TokenIssuer;
  verifier: Verifier;
  storage?: Storage;
  /** The log of events, when it is not the one in the storage's database. */
  events?: KafkaLog;
}

export interface PartsOptions {
  definition: ServiceDefinition;
  life: Life;
  log: Log;
  /** Read again while waiting: a mesh may come up and leave its addresses. */
  env: () => Environment;
  settings?: Settings;
  issuer?: TokenIssuer;
  registry?: Registry;
  /** True for the first service of a Node process, which reports the process itself. */
  ofNode: boolean;
  signal: AbortSignal;
  /** Gets what must be closed, in the order of opening. */
  opened: (close: () => Promise<unknown> | void) => void;
}

async function readSettings({ definition, life, log, env, settings, signal }: PartsOptions): Promise<Settings> {
  if (settings) return settings;
  const sections = [...platformSections, ...(definition.sections ?? [])];
  const { profile } = env();
  const waiting = (why: string) => life.wait('config', why);
  const beginWithFiles = definition.settings === 'files';
  const url = () => env().configUrl;
  const loaded = await loadSettings({ process: definition.name, profile, sections, log, waiting, signal, url, beginWithFiles });
  life.met('config');
  return loaded;
}

/** @throws Error naming the secret that is missing, and where it may stand */
function checkSecrets({ definition, env }: PartsOptions): void {
  for (const name of definition.secrets ?? []) {
    if (env().secret(name) !== undefined) continue;
    const file = name.toLowerCase().replaceAll('_', '-');
    throw new Error(
      `the secret ${name} is missing: set ${name} or ${name}_FILE, or put it into ${join(env().dataDir, 'secrets', file)}; npm start makes it`,
    );
  }
}

async function databaseUrl({ life, env, signal }: PartsOptions): Promise<string> {
  for (;;) {
    const { databaseUrl: url, dataDir } = env();
    if (url) {
      life.met('database-address');
      return url;
    }
    life.wait(
      'database-address',
      `a database: set DATABASE_URL, or start the mesh (npm start), which leaves its address in ${dataDir}`,
    );
    await sleep(LOOK_AGAIN_MS, undefined, { signal });
  }
}

async function openTables(options: PartsOptions, settings: Settings): Promise<Storage | undefined> {
  const { definition, life, log, env, signal } = options;
  if (!definition.tables?.length) return undefined;
  const outbox = definition.emits ? outboxTables : { entities: [], migrations: [] };
  const url = await databaseUrl(options);
  const storage = await openStorage({
    process: definition.name,
    url: processUrl(url, definition.name, join(env().dataDir, 'secrets')),
    entities: [...definition.tables, ...outbox.entities],
    migrations: [...outbox.migrations, ...(await migrationsOf(definition.name))],
    log,
    config: settings.section(StorageConfig),
    waiting: (why) => life.wait('database', why),
    signal,
  });
  life.met('database');
  return storage;
}

/** The log that the process's events come from and go to. */
async function openEvents({ definition, log, env, opened }: PartsOptions, settings: Settings, storage?: Storage) {
  if (!storage || !(definition.emits || definition.listens)) return undefined;
  const { kafkaBrokers: brokers, secret } = env();
  const [config, busConfig] = [settings.section(KafkaConfig), settings.section(BusConfig)];
  const events = await openLog({ storage, process: definition.name, brokers, secret, log, config, busConfig });
  if (events) opened(() => events.close());
  return events;
}

/** Whose tokens are accepted: the mesh's own issuer's, unless a test has another. */
function trust({ issuer: given, env, opened }: PartsOptions, client: Client, config: AuthConfig) {
  const own = given ? undefined : meshIssuer(env().publicUrl, client, config);
  if (own) opened(() => own.close());
  const issuer = given ?? own!;
  return { issuer, verifier: new Verifier(issuer, config.cacheTokens) };
}

/** Open the parts of a process, saying what is waited for. @throws ConfigError, or AbortError when it is to stop meanwhile */
export async function openParts(options: PartsOptions): Promise<Parts> {
  checkSecrets(options);
  const { definition, log, opened, env } = options;
  const settings = await readSettings(options);
  opened(() => settings.close());
  const logConfig = settings.section(LogConfig);
  log.configure(logConfig);
  settings.onChange(() => log.configure(logConfig));
  const metrics = new Metrics(definition.name, { ofNode: options.ofNode });
  const now = env();
  const discovery = new Discovery({
    url: now.consulUrl,
    token: now.secret('CONSUL_HTTP_TOKEN'),
    log,
    config: settings.section(DiscoveryConfig),
  });
  opened(() => discovery.close());
  const breakers = new Breakers({ config: settings.section(BreakerConfig), log, metrics });
  opened(() => breakers.close());
  for (const name of definition.calls ?? []) breakers.of(name);
  const self = { id: definition.name, secret: () => env().secret(clientSecretName(definition.name)) };
  const registry = options.registry ?? discovery;
  const client = new Client({ discovery: registry, breakers, log, metrics, config: settings.section(ClientConfig), self });
  opened(() => client.close());
  const { issuer, verifier } = trust(options, client, settings.section(AuthConfig));
  const storage = await openTables(options, settings);
  if (storage) opened(() => storage.close());
  const events = await openEvents(options, settings, storage);
  return { env: env(), log, settings, metrics, discovery, breakers, client, issuer, verifier, storage, events };
}

/** An instance's id is the same after a restart, so that the restart replaces it. */
export const instanceId = (name: string, slot: number): string => `${name}-${hostname().replace(/[^\w.-]/g, '-')}-${slot}`;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // somebody else's, but alive
  }
}

/**
 * The slot to register under. What an ended process left is replaced; a living process of this host keeps its slot, and one started
 * beside it by hand takes the next.
 */
export function freeSlot(name: string, wanted: number, known: readonly Pick<Instance, 'id' | 'meta'>[]): number {
  const held = known.filter(({ meta }) => Number(meta.pid) !== process.pid && isAlive(Number(meta.pid)));
  let slot = wanted;
  while (held.some(({ id }) => id === instanceId(name, slot))) slot++;
  return slot;
}
