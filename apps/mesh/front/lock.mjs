import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** How often a waiting process looks again, ms: short beside the 0.4 s that a build takes. */
const LOOK_MS = 50;
/** A lock older than this belongs to a process whose number was given to another, ms: ten times the slowest install seen. */
const STALE_MS = 600_000;

/**
 * Runs `work` while holding a lock file that names this process; waits for a living holder, takes over from a dead one.
 *
 * @template T
 * @param {string} file
 * @param {() => Promise<T> | T} work
 * @param {() => void} [waiting]  called once when somebody else holds it
 * @returns {Promise<T>}
 */
export async function withLock(file, work, waiting) {
  mkdirSync(dirname(file), { recursive: true });
  for (let said = false; !take(file);) {
    if (holderIsGone(file)) rmSync(file, { force: true });
    else {
      if (!said) waiting?.();
      said = true;
      await pause(LOOK_MS);
    }
  }
  const release = () => rmSync(file, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.removeListener('exit', release);
    release();
  }
}

function take(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function holderIsGone(file) {
  try {
    if (Date.now() - statSync(file).mtimeMs > STALE_MS) return true;
    const pid = Number(readFileSync(file, 'utf8'));
    if (!pid) return false; // between its creation and its first byte
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH' || error.code === 'ENOENT';
  }
}
