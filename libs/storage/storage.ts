import type { DataSource, EntityManager } from 'typeorm';
import { context, newContext, runWith, runWithout } from '#context';
import { backoffMs, rest } from './backoff.js';
import { reasonToWait } from './faults.js';
import { Lanes } from './lanes.js';
import { type Listen, Listener } from './listener.js';
import { migrate } from './migrations.js';
import { type Committed, guardSource, makeSource, type SourceOptions, tellCommits, tidingsFor } from './source.js';

export { backoffMs, rest } from './backoff.js';
export { isUnavailable, storageFault } from './faults.js';
export type { Listen } from './listener.js';
export { migrationFor, migrationsOf, type MigrationClass, type MigrationText } from './migrations.js';
export type { Committed, Entities, Migrations } from './source.js';
export { markRound, Rounds, type RoundsOptions } from './rounds.js';
export { StorageConfig } from './storage-section.js';

/** The limits that background work sets itself, since a request's are too narrow for it. */
export interface Limits {
  /** A statement may take, ms. */
  statementTimeoutMs: number;
  /** A statement may wait for a lock, ms. */
  lockTimeoutMs: number;
  /**
   * False for work that is done again when the machine fails before the log is on disk: it then commits without waiting
   * for the disk. Nobody can see its result and keep it: what is written later is on disk later.
   *
   * @source https://www.postgresql.org/docs/current/wal-async-commit.html
   */
  isDurable?: boolean;
}

/** For a connection's good-bye, ms. */
const CLOSE_PATIENCE_MS = 2_000;

/**
 * The database of one process: its own role, its own schema.
 *
 * Every statement, also through `db`, fails with Problem `storage-unavailable` (503) while the database is away, and with
 * `storage-slow` (503) when it is too busy; it works again by itself.
 */
export class Storage {
  private readonly commits = new Set<(tx: Committed) => void>();

  /** Made by `openStorage`. */
  constructor(
    readonly db: DataSource,
    private readonly listener: Listener,
    private readonly lanes: Lanes,
  ) {
    tellCommits(db, (tx) => this.commits.forEach((told) => told(tx)));
  }

  /**
   * Do `fn` in one transaction: the one this request or event has open, or else a new one, which is the request's until
   * `fn` ends. What throws rolls it back.
   *
   * @throws Problem `storage-unavailable`, `storage-slow` (503)
   */
  async transaction<T>(fn: (tx: EntityManager) => Promise<T>): Promise<T> {
    const open = this.open();
    if (open) return fn(open);
    const now = context() ?? newContext();
    return this.db.transaction((tx) => runWith({ ...now, tx }, () => fn(tx)));
  }

  /** Do `fn` in a transaction of its own with limits of its own. The context is the caller's, without its transaction. */
  async background<T>(
    { statementTimeoutMs, lockTimeoutMs, isDurable = true }: Limits,
    fn: (tx: EntityManager) => Promise<T>,
  ): Promise<T> {
    return this.db.transaction(async (tx) => {
      await tx.query(
        `SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true), set_config('synchronous_commit', $3, true)`,
        [String(statementTimeoutMs), String(lockTimeoutMs), isDurable ? 'on' : 'off'],
      );
      return fn(tx);
    });
  }

  /** The rows of one statement, in the open transaction if there is one. */
  async query<T>(sql: string, params: unknown[] = []): Promise<T[]> {
    const open = this.open()?.queryRunner;
    const runner = open ?? this.db.createQueryRunner();
    try {
      return ((await runner.query(sql, params, true)) as { records?: T[] }).records ?? [];
    } finally {
      if (!open) await runner.release();
    }
  }

  /**
   * The rows of one statement that is a transaction of its own, in one round trip, whatever is open here; it does not wait for others
   * to be answered. Its text is always the same. Those who wait for commits are told of it as of any other.
   *
   * @param did  marks what happened in it, before they are told
   * @throws Problem `storage-unavailable`, `storage-slow` (503)
   */
  async statement<T>(sql: string, params: unknown[], did: (tx: Committed) => void): Promise<T[]> {
    const rows = await this.lanes.query<T>(sql, params);
    const committed: Committed = { queryRunner: { data: {} } };
    did(committed);
    this.commits.forEach((told) => told(committed));
    return rows;
  }

  /** Hear what is said on `channel` until the function that is returned is called. @see Listen */
  listen(channel: string, listen: Listen): Promise<() => Promise<void>> {
    return this.listener.add(channel, listen);
  }

  /** Call `told` after each commit, with what was the transaction: its `queryRunner.data` tells what happened in it. */
  onCommit(told: (tx: Committed) => void): () => void {
    this.commits.add(told);
    return () => void this.commits.delete(told);
  }

  /** @throws Problem when the database does not answer */
  async ping(): Promise<void> {
    await this.db.query('SELECT 1');
  }

  /** End all connections. Transactions that are open are rolled back. */
  async close(): Promise<void> {
    const closed = async () => {
      await Promise.all([this.listener.close(), this.lanes.close()]);
      if (this.db.isInitialized) await this.db.destroy();
    };
    // A server that hangs never answers the good-bye.
    const late = new AbortController();
    await Promise.race([closed(), rest(CLOSE_PATIENCE_MS, late.signal)]);
    late.abort();
  }

  private open(): EntityManager | undefined {
    const tx = context()?.tx as EntityManager | undefined;
    // Of processes folded into one, another one's transaction is none of ours.
    return tx?.dataSource === this.db ? tx : undefined;
  }
}

/** What a process's storage needs. */
export interface OpenOptions extends SourceOptions {
  /** Told what is waited for, each time that changes. */
  waiting?: (why: string) => void;
  /** Give up when aborted. */
  signal?: AbortSignal;
}

/**
 * Open the database of a process and bring its tables up to date. Waits for the database, and for its preparation, as long
 * as it takes; of several instances that start together one migrates.
 *
 * @throws AbortError when told to give up, Error when a migration fails
 */
export function openStorage(options: OpenOptions): Promise<Storage> {
  return runWithout(() => open(options));
}

async function open({ waiting, signal, ...options }: OpenOptions): Promise<Storage> {
  const { process, url, log, config } = options;
  for (let attempt = 0, said = ''; ; attempt++) {
    signal?.throwIfAborted();
    // A source that failed is of no more use.
    const db = makeSource(options);
    try {
      await db.initialize();
      await migrate(db, process, log, config);
      const tidings = tidingsFor(log);
      guardSource(db, tidings, config);
      return new Storage(db, new Listener({ url, name: process, log, config }), new Lanes({ process, url, config, tidings }));
    } catch (error) {
      if (db.isInitialized) await db.destroy();
      const why = reasonToWait(error, url, process);
      if (why === undefined) throw error;
      if (why !== said) waiting?.(why);
      said = why;
    }
    await rest(backoffMs(attempt, config), signal);
  }
}
