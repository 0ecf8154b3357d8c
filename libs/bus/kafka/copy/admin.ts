import { Problem } from '#problem';

/** What is asked of the database, as its administrator, on one connection. */
export interface Admin {
  query<T extends object>(sql: string, params?: readonly unknown[]): Promise<T[]>;
}

/** The mesh, if it runs, waits no longer than this for the last events to be copied, ms. */
const LOCK_MS = 30_000;

export async function inTransaction<T>(admin: Admin, fn: () => Promise<T>): Promise<T> {
  await admin.query('BEGIN');
  try {
    await admin.query(`SELECT set_config('lock_timeout', $1, true)`, [String(LOCK_MS)]);
    const done = await fn();
    await admin.query('COMMIT');
    return done;
  } catch (error) {
    await admin.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/**
 * Do `fn` while nobody else copies; it gets what the database calls the log in use, and its topics.
 *
 * @throws Problem `conflict` (409) when another one is at it
 */
export async function alone<T>(admin: Admin, fn: (log: string, topics: string[]) => Promise<T>): Promise<T> {
  const [lock] = await admin.query<{ mine: boolean }>(`SELECT pg_try_advisory_lock(hashtextextended('bus:copy', 0)) AS mine`);
  if (!lock!.mine) throw new Problem('conflict', 409, 'another npx mesh events copy is at it');
  try {
    const [log] = await admin.query<{ name: string }>('SELECT name FROM bus.log');
    const topics = await admin.query<{ name: string }>('SELECT name FROM bus.topic ORDER BY name');
    return await fn(
      log!.name,
      topics.map(({ name }) => name),
    );
  } finally {
    await admin.query(`SELECT pg_advisory_unlock(hashtextextended('bus:copy', 0))`);
  }
}
