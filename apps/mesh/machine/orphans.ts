import { setTimeout as pause } from 'node:timers/promises';
import { stillRuns, type Identity } from './identity.js';

/** The hosts of a launcher that was killed drain by themselves; they have this long, ms: their own 15 s and a little. */
const PATIENCE_MS = 16_000;
const LOOK_MS = 50;

/**
 * Waits until processes left behind by a launcher that was killed are gone, and ends those that stay.
 *
 * @param say  told once for each that is waited for
 */
export async function outlive(
  orphans: readonly Identity[],
  say: (text: string) => void,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  await Promise.all(
    orphans.map(async (orphan) => {
      say(`waiting for process ${orphan.pid} of a mesh that was killed`);
      for (const end = Date.now() + patienceMs; Date.now() < end; await pause(LOOK_MS)) if (!stillRuns(orphan)) return;
      say(`process ${orphan.pid} does not end; killing it`);
      if (stillRuns(orphan)) process.kill(orphan.pid, 'SIGKILL');
      while (stillRuns(orphan)) await pause(LOOK_MS);
    }),
  );
}
