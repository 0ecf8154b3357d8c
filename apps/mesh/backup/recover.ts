import { chmodSync, chownSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHANGED_SETTINGS, type ClusterPlace, startPostgres } from '#postgres';
import { LATEST, type Log } from './log.js';
import type { Manifest } from './manifest.js';
import { segmentNumber, segmentNumberOf } from './wal.js';

/** What only the old cluster, or only a recovery, is told. */
const NOT_KEPT = /^(archive_|basic_archive\.|restore_command|recovery_)/;

/** Folders were made by us; PostgreSQL's user owns all of its data or refuses to start. */
export function own(dataDir: string, { user }: ClusterPlace) {
  chmodSync(dataDir, 0o700);
  if (!user) return;
  chownSync(dataDir, user.uid, user.gid);
  for (const entry of readdirSync(dataDir, { withFileTypes: true, recursive: true }))
    chownSync(join(entry.parentPath, entry.name), user.uid, user.gid);
}

function settings(place: ClusterPlace, more: readonly string[]) {
  const file = join(place.dataDir, CHANGED_SETTINGS);
  const kept = readFileSync(file, 'utf8').split('\n').filter((line) => line && !NOT_KEPT.test(line)); // prettier-ignore
  writeFileSync(file, [...kept, `archive_command = 'exit 0'`, ...more, ''].join('\n'));
}

/** Configuration is read before names of time zones are, `Z` among them. */
const inServerWords = (instant: string) => instant.replace('T', ' ').replace(/Z$/, '+00:00');

/** What PostgreSQL says of its recovery. */
export interface Recovery {
  lastCommitAt?: string;
  redoneTo?: string;
  isReached: boolean;
  problem?: Error;
}

/** All of the log lies in the cluster's own folder, so there is nothing to fetch. */
const FETCH_NOTHING = `restore_command = 'exit 1'`;

/**
 * Let PostgreSQL replay the log up to the instant, and stop it once it is a database like any other.
 *
 * @throws Error when the log does not reach the instant, is damaged, or PostgreSQL cannot use the data
 */
export async function recover(
  making: string,
  place: ClusterPlace,
  manifest: Manifest,
  to: string | undefined,
  log: Log,
): Promise<Recovery> {
  const target =
    to === undefined ? [`recovery_target = 'immediate'`] : to === LATEST ? [] : [`recovery_target_time = '${inServerWords(to)}'`];
  const always = [FETCH_NOTHING, `recovery_target_timeline = 'current'`, `recovery_target_action = 'promote'`];
  writeFileSync(join(place.dataDir, 'recovery.signal'), '', { mode: 0o600 });
  own(place.dataDir, place);
  settings(place, [...always, ...target]);
  let found = await replay(making);
  if (!found.isReached && log.isComplete) {
    // The log is all there is, and ends before that instant: nothing was written between.
    settings(place, always);
    found = await replay(making);
  }
  if (found.problem && !found.isReached)
    throw new Error(`the log ends with the commit of ${found.lastCommitAt ?? manifest.endedAt}, before ${to}: restore to that or to '${LATEST}'`); // prettier-ignore
  if (found.problem) throw found.problem;
  readToTheEnd(found, manifest, log, to);
  settings(place, []);
  return found;
}

/** A damaged piece of the log looks to PostgreSQL like its end. @throws Error when whole pieces after it were not read */
function readToTheEnd({ redoneTo }: Recovery, { walSegmentBytes }: Manifest, { lastWhole }: Log, to?: string) {
  if (to !== LATEST || !lastWhole || !redoneTo) return;
  if (segmentNumberOf(redoneTo, walSegmentBytes) < segmentNumber(lastWhole, walSegmentBytes))
    throw new Error(
      `the log is damaged at ${redoneTo}, before ${lastWhole}, where it should end: restore to an instant before that`,
    );
}

async function replay(making: string): Promise<Recovery> {
  const found: Recovery = { isReached: true };
  const onLog = (line: string) => {
    found.lastCommitAt = /last completed transaction was at log time (.+)$/.exec(line)?.[1] ?? found.lastCommitAt;
    found.redoneTo = /redo done at (\S+)/.exec(line)?.[1] ?? found.redoneTo;
    if (line.includes('recovery ended before configured recovery target was reached')) found.isReached = false;
  };
  try {
    const server = await startPostgres({ dir: making, onLog });
    await server.stop();
  } catch (error) {
    found.problem = error as Error;
  }
  return found;
}
