import { join } from 'node:path';
import type { Environment } from '#config';
import { openClient, placeOf } from '#postgres';

/** What is asked of the bus in the database, as its administrator. */
export interface Admin {
  query<T extends object>(sql: string, params?: readonly unknown[]): Promise<T[]>;
}

/** What is needed of the environment. */
export type Where = Pick<Environment, 'dataDir' | 'databaseUrl' | 'databaseIsEmbedded'>;

/**
 * Do `fn` with the database as its administrator: the embedded one's, or whoever DATABASE_URL names.
 *
 * @throws Error when there is no database, or it is not prepared for this version
 */
export async function asAdmin<T>(
  { dataDir, databaseUrl, databaseIsEmbedded }: Where,
  fn: (admin: Admin) => Promise<T>,
): Promise<T> {
  if (!databaseUrl)
    throw new Error('no mesh runs from this folder, and DATABASE_URL names no database; start it first: npm start');
  const url = databaseIsEmbedded ? placeOf(join(dataDir, 'postgres')).url() : databaseUrl;
  const client = await openClient(url, { name: 'mesh-events' });
  try {
    return await fn({ query: async (sql, params = []) => (await client.query(sql, [...params])).rows as never });
  } catch (error) {
    throw isUnprepared(error) ? new Error('the database is not prepared for this version: npx mesh db prepare, or npm start', { cause: error }) : error; // prettier-ignore
  } finally {
    await client.end();
  }
}

// No such schema, no such function. @source PostgreSQL documentation, appendix A
const isUnprepared = (error: unknown) => ['3F000', '42883'].includes((error as { code?: string }).code ?? '');
