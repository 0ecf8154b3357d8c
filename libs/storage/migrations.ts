import { existsSync, readdirSync } from 'node:fs';
import { type DataSource, MigrationExecutor, type MigrationInterface } from 'typeorm';
import type { Log } from '#log';
import { roleOf } from '#postgres';
import { Unprepared } from './faults.js';
import type { StorageConfig } from './storage-section.js';

/** A class of a migration. */
export type MigrationClass = new () => MigrationInterface;

/** Compiled or, in tests, as written: apps/ lies beside libs/ either way. */
const apps = new URL('../../apps/', import.meta.url);
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** `movie-command` is the command side of `movie`; `config` has no sides. */
function sideOf(process: string): { subject: string; side?: string } {
  const [, subject = process, side] = /^(.+)-(command|query)$/.exec(process) ?? [];
  return { subject, side };
}

/** The migrations of a process, in apps/<subject>/migrations/: those that end in its side, or without sides all. */
export async function migrationsOf(process: string): Promise<MigrationClass[]> {
  const { subject, side } = sideOf(process);
  const folder = new URL(`${subject}/migrations/`, apps);
  if (!existsSync(folder)) return [];
  const ending = new RegExp(side ? `\\.${side}\\.${extension}$` : `^[^.]+\\.${extension}$`);
  const files = readdirSync(folder).filter((name) => ending.test(name));
  const modules = await Promise.all(files.sort().map((name) => import(new URL(name, folder).href) as Promise<object>));
  return modules.flatMap((module) =>
    Object.values(module).filter((value): value is MigrationClass => typeof value === 'function'),
  );
}

/**
 * Bring the tables of `process` up to date, all or nothing. Several instances that start together take turns, and all but
 * the first find nothing to do.
 *
 * @throws Unprepared when the process's schema does not exist
 */
export async function migrate(db: DataSource, process: string, log: Log, config: StorageConfig): Promise<void> {
  const runner = db.createQueryRunner();
  try {
    await runner.startTransaction();
    await runner.query(`SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true)`, [
      String(config.migrationTimeoutMs),
    ]);
    const [own] = (await runner.query('SELECT to_regnamespace($1) IS NOT NULL AS there', [roleOf(process)])) as {
      there: boolean;
    }[];
    if (!own?.there) throw new Unprepared();
    await runner.query(`SELECT pg_advisory_xact_lock(hashtextextended('migrate:' || $1, 0))`, [process]);
    const executor = new MigrationExecutor(db, runner);
    executor.transaction = 'all';
    const done = await executor.executePendingMigrations();
    await runner.commitTransaction();
    if (done.length > 0) log.info('tables migrated', { migrations: done.map(({ name }) => name) });
  } catch (error) {
    // The connection may be what failed; what matters is the first failure.
    if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
    throw error;
  } finally {
    await runner.release();
  }
}

/** A migration to be saved. */
export interface MigrationText {
  /** Its place below the project's folder. */
  file: string;
  text: string;
}

const camel = (name: string) =>
  name
    .split(/[^a-zA-Z0-9]+/)
    .filter(Boolean)
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join('');

const statement = ({ query, parameters }: { query: string; parameters?: unknown[] }) => {
  const sql = query.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('${', '\\${');
  return `    await db.query(\`${sql}\`${parameters?.length ? `, ${JSON.stringify(parameters)}` : ''});`;
};

/**
 * The migration that brings the database of `process` from what it is to what its entities say; undefined when they agree.
 *
 * @param db    the process's data source, with its migrations so far done
 * @param name  what it is for, in words: `add minutes`
 * @param atMs  when it is written, ms since the epoch: migrations run in that order
 */
export async function migrationFor(
  db: DataSource,
  { process, name, atMs }: { process: string; name: string; atMs: number },
): Promise<MigrationText | undefined> {
  const { upQueries, downQueries } = await db.driver.createSchemaBuilder().log();
  if (upQueries.length === 0) return undefined;
  const { subject, side } = sideOf(process);
  const words = name.trim().toLowerCase();
  const slug = words.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
  const text = `import type { MigrationInterface, QueryRunner } from 'typeorm';

/** ${process}: ${words}. */
export class ${camel(name)}${atMs} implements MigrationInterface {
  name = '${camel(name)}${atMs}';

  async up(db: QueryRunner): Promise<void> {
${upQueries.map(statement).join('\n')}
  }

  async down(db: QueryRunner): Promise<void> {
${downQueries.reverse().map(statement).join('\n')}
  }
}
`;
  return { file: `apps/${subject}/migrations/${[`${atMs}-${slug}`, ...(side ? [side] : []), 'ts'].join('.')}`, text };
}
