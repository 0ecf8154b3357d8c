import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ClusterPlace, openClient } from '#postgres';
import { segmentsIn } from './wal.js';

/** A superuser's connection. */
export type Database = Awaited<ReturnType<typeof openClient>>;

/** A piece of the log is copied within a second; the archiver itself rests for a minute after three failures, ms. */
const ARCHIVED_WITHIN_MS = 90_000;
const LOOK_MS = 20;

/**
 * Have PostgreSQL copy each piece of its log that is complete into the archive, from now on, by its own module: it writes
 * under another name, waits for the disk and renames. Asked again it changes nothing.
 *
 * @returns whether it began only now
 * @source https://www.postgresql.org/docs/current/basic-archive.html
 */
export async function beginArchive(db: Database, { archiveDir, user }: ClusterPlace): Promise<boolean> {
  // What the files say: a session hears of a new setting a moment later.
  const said = (name: string) => `(SELECT setting FROM pg_file_settings WHERE name = '${name}' ORDER BY seqno DESC LIMIT 1)`;
  const [now] = await rows<{ mode: string; library: string | null; folder: string | null }>(
    db,
    `SELECT current_setting('archive_mode') AS mode, ${said('archive_library')} AS library,
            ${said('basic_archive.archive_directory')} AS folder`,
  );
  if (now?.mode !== 'on') throw new Error('this PostgreSQL was started by an older version of the mesh: start the mesh again');
  if (now.library === 'basic_archive' && now.folder === archiveDir && existsSync(archiveDir)) return false;
  mkdirSync(archiveDir, { recursive: true, mode: 0o700 });
  chmodSync(archiveDir, 0o700);
  if (user) chownSync(archiveDir, user.uid, user.gid);
  await db.query(`LOAD 'basic_archive'`);
  await db.query(`ALTER SYSTEM SET basic_archive.archive_directory = ${db.escapeLiteral(archiveDir)}`);
  await db.query(`ALTER SYSTEM SET archive_library = 'basic_archive'`);
  await db.query(`ALTER SYSTEM SET archive_command = ''`);
  await db.query('SELECT pg_reload_conf()');
  return true;
}

/** Do nothing with the log again, and remove what was archived: backups can then be restored to their own end alone. */
export async function endArchive(db: Database, { archiveDir }: ClusterPlace): Promise<void> {
  await db.query(`ALTER SYSTEM SET archive_command = 'exit 0'`);
  await db.query('ALTER SYSTEM RESET archive_library');
  await db.query('SELECT pg_reload_conf()');
  rmSync(archiveDir, { recursive: true, force: true });
}

/**
 * Complete the piece of the log that is being written, and wait until it is in the archive.
 *
 * @throws Error saying why it does not get there
 */
export async function archiveNow(db: Database, place: ClusterPlace, why: string): Promise<void> {
  // A piece to which nothing was added is not completed, so something is.
  const [mark] = await rows<{ name: string }>(db, `SELECT pg_walfile_name(pg_create_restore_point($1)) AS name`, [why]);
  await db.query('SELECT pg_switch_wal()');
  await archived(db, place, mark!.name);
}

/** Wait until that piece of the log is in the archive. @throws Error saying why it does not get there */
export async function archived(db: Database, { archiveDir }: ClusterPlace, name: string): Promise<void> {
  for (const giveUpAt = Date.now() + ARCHIVED_WITHIN_MS; !existsSync(join(archiveDir, name)); await pause(LOOK_MS)) {
    if (Date.now() < giveUpAt) continue;
    const [state] = await rows<{ failed: string; piece: string | null }>(
      db,
      'SELECT failed_count AS failed, last_failed_wal AS piece FROM pg_stat_archiver',
    );
    const tries = state?.piece ? `; ${state.failed} tries failed, the last with ${state.piece}` : '';
    throw new Error(`PostgreSQL did not archive ${name} in ${archiveDir} within ${ARCHIVED_WITHIN_MS / 1000} s${tries}: is the disk full?`); // prettier-ignore
  }
}

/** Remove what lies before `first` and is older than `keepDays`. @returns how many pieces went */
export function pruneArchive(archiveDir: string, first: string, keepDays: number): number {
  const youngest = Date.now() - keepDays * 86_400_000;
  const old = segmentsIn(archiveDir).filter((name) => name < first && statSync(join(archiveDir, name)).mtimeMs < youngest);
  for (const name of old) rmSync(join(archiveDir, name));
  return old.length;
}

/** The rows of one statement. */
export async function rows<T>(db: Database, sql: string, params: unknown[] = []): Promise<T[]> {
  return (await db.query(sql, params)).rows as T[];
}
