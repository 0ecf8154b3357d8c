import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { environment, fileSettings, type Environment } from '#config';
import { silentLog } from '#log';
import { outboxTables } from '#outbox';
import { prepareDatabase, processUrl } from '#postgres';
import { isServiceDefinition, type ServiceDefinition } from '#service';
import { migrationFor, migrationsOf, openStorage, StorageConfig } from '#storage';
import { projects } from '../up/projects.js';
import { makeMeshSecrets } from '../up/secrets.js';

/** `mesh db prepare`: schemas, roles and extensions on the server of DATABASE_URL. @returns what was done, in a sentence */
export async function prepare(): Promise<string> {
  const { root, dataDir, databaseUrl, databaseIsEmbedded } = environment();
  if (!databaseUrl || databaseIsEmbedded) throw new Error('set DATABASE_URL to the server to prepare, with a role that may create roles; the embedded one is prepared by npm start'); // prettier-ignore
  const processes = projects(root).map(({ name }) => name);
  const secretsDir = join(dataDir, 'secrets');
  makeMeshSecrets(dataDir, processes);
  await prepareDatabase(databaseUrl, { processes, secretsDir });
  return `${new URL(databaseUrl).host} is ready for ${processes.length} processes; their passwords and client secrets are in ${secretsDir}`;
}

/**
 * `mesh migration <name>`: writes the difference between entities and schema of each process, or of one.
 *
 * @returns the files written
 */
export async function writeMigrations(name: string, only?: string): Promise<string[]> {
  const env = environment();
  const { databaseUrl } = env;
  if (!databaseUrl) throw new Error('there is no database to compare with: start the mesh (npm start), or set DATABASE_URL');
  const chosen = projects(env.root).filter((project) => !only || project.name === only);
  if (chosen.length === 0) throw new Error(`there is no process '${only}'`);
  const files: string[] = [];
  for (const project of chosen) {
    const definition = await definitionIn(project.module);
    const file = definition?.tables?.length ? await writeOne(env, databaseUrl, definition, name) : undefined;
    if (file) files.push(file);
  }
  return files;
}

async function definitionIn(module: string): Promise<ServiceDefinition | undefined> {
  const exports = (await import(pathToFileURL(module).href)) as Record<string, unknown>;
  return Object.values(exports).find(isServiceDefinition);
}

async function writeOne(
  env: Environment,
  databaseUrl: string,
  definition: ServiceDefinition,
  name: string,
): Promise<string | undefined> {
  const { name: process, tables = [], emits } = definition;
  const settings = fileSettings({ process, profile: env.profile, sections: [StorageConfig], log: silentLog });
  const outbox = emits ? outboxTables : { entities: [], migrations: [] };
  const storage = await openStorage({
    process,
    url: processUrl(databaseUrl, process, join(env.dataDir, 'secrets')),
    entities: [...tables, ...outbox.entities],
    migrations: [...outbox.migrations, ...(await migrationsOf(process))],
    log: silentLog,
    config: settings.section(StorageConfig),
  });
  try {
    const migration = await migrationFor(storage.db, { process, name, atMs: Date.now() });
    if (!migration) return undefined;
    mkdirSync(dirname(join(env.root, migration.file)), { recursive: true });
    writeFileSync(join(env.root, migration.file), migration.text);
    return migration.file;
  } finally {
    await storage.close();
  }
}
