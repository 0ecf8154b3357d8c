import pg from 'pg';
import { DataSource, type DataSourceOptions, type EntitySubscriberInterface, type QueryRunner } from 'typeorm';
import { runWithout } from '#context';
import type { Log } from '#log';
import { roleOf } from '#postgres';
import { isUnavailable, storageFault, tooSlow } from './faults.js';
import type { StorageConfig } from './storage-section.js';

/** Classes or schemas of TypeORM, as its data source takes them. */
export type Entities = Exclude<DataSourceOptions['entities'], undefined>;
/** Classes of migrations, as TypeORM's data source takes them. */
export type Migrations = Exclude<DataSourceOptions['migrations'], undefined>;

export interface SourceOptions {
  process: string;
  url: string;
  entities: Entities;
  migrations: Migrations;
  log: Log;
  config: StorageConfig;
}

/** A socket lives longer than the request that happens to open it, and must not carry that request's trace. */
class PooledClient extends pg.Client {
  override connect(): Promise<pg.Client>;
  override connect(callback: Parameters<pg.Client['connect']>[0]): void;
  override connect(callback?: Parameters<pg.Client['connect']>[0]): Promise<pg.Client> | void {
    return runWithout(() => (callback ? super.connect(callback) : super.connect()));
  }
}

/** What each connection is told once. Said as statements, since poolers refuse them as start-up parameters. */
export const manners = (process: string, config: StorageConfig) => `
  SET search_path TO ${pg.escapeIdentifier(roleOf(process))}, extensions;
  SET TIME ZONE 'UTC';
  SET statement_timeout = ${Number(config.statementTimeoutMs)};
  SET lock_timeout = ${Number(config.lockTimeoutMs)};
  SET idle_in_transaction_session_timeout = ${Number(config.idleTransactionMs)}`;

/** A data source named after its process, not yet connected. */
export function makeSource({ process, url, entities, migrations, config, log }: SourceOptions): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    entities,
    migrations,
    applicationName: process,
    installExtensions: false,
    logging: false,
    poolSize: config.poolSize,
    poolErrorHandler: (error: unknown) => log.debug('idle database connection lost', { error }),
    extra: {
      min: 0,
      idleTimeoutMillis: config.idleMs,
      connectionTimeoutMillis: config.connectTimeoutMs,
      keepAlive: true,
      Client: PooledClient,
      onConnect: (client: pg.Client) => client.query(manners(process, config)),
    },
  });
}

const poolOf = (db: DataSource) => (db.driver as unknown as { master?: pg.Pool }).master;

/** Told of each statement whether the database answered. */
export interface Tidings {
  heard(): void;
  lost(error: unknown): void;
}

/** Says once when the database goes and once when it is back. */
export function tidingsFor(log: Log): Tidings {
  let isAway = false;
  return {
    heard: () => {
      if (isAway) log.info('the database answers again');
      isAway = false;
    },
    lost: (error: unknown) => {
      if (!isAway) log.warn('the database does not answer', { error });
      isAway = true;
    },
  };
}

/**
 * Make every statement of `db`, however it is asked for, fail with problems where the database is to blame, and refuse to
 * queue for a connection behind too many others.
 */
export function guardSource(db: DataSource, { heard, lost }: Tidings, config: StorageConfig): void {
  const create = db.createQueryRunner.bind(db);
  const guard = (runner: QueryRunner): QueryRunner => {
    const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
    let isConnected = false;
    const guarded = async (...args: unknown[]) => {
      const { waitingCount = 0, idleCount = 0 } = poolOf(db) ?? {};
      if (!isConnected && waitingCount - idleCount >= config.maxWaiting) throw tooSlow();
      try {
        const result = await query(...args);
        isConnected = true;
        heard();
        return result;
      } catch (error) {
        const fault = storageFault(error);
        if (isUnavailable(fault)) lost(error);
        throw fault;
      }
    };
    return Object.assign(runner, { query: guarded });
  };
  db.createQueryRunner = (mode) => guard(create(mode));
}

/** What was a transaction; what happened in it is marked in `data`. */
export type Committed = { readonly queryRunner?: { readonly data: Record<string, unknown> } };

/** Call `listener` after each commit of a whole transaction on `db`; not after the release of an inner savepoint. */
export function tellCommits(db: DataSource, listener: (tx: Committed) => void): void {
  const subscriber: EntitySubscriberInterface = {
    afterTransactionCommit: ({ queryRunner }) => {
      if (!queryRunner.isTransactionActive) listener(queryRunner.manager);
    },
  };
  db.subscribers.push(subscriber);
}
