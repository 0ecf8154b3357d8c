/** The first pause before a crashed process is started again, ms: long enough not to spin, short enough that nobody waits. */
const FIRST_MS = 250;
/** The longest pause, ms: a mended cause is noticed within half a minute. */
const LONGEST_MS = 30_000;
/** A process that was ready this long has recovered: its next crash is a first one, ms. */
export const STEADY_MS = 30_000;

/**
 * How long to wait before starting again: exponential, with half of it random so that many do not come back together.
 *
 * @param attempt  0 for the first restart
 * @param random   0 to 1
 * @returns ms
 * @source M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("equal jitter")
 */
export function backoffMs(attempt: number, random: number = Math.random()): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 30));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}

/** Counts the crashes of one thing, and forgets them once it was steady. */
export class Backoff {
  private attempt = 0;
  private readySinceMs?: number;

  ready(nowMs: number): void {
    this.readySinceMs ??= nowMs;
  }

  /** @returns ms to wait before the next start */
  crashed(nowMs: number): number {
    if (this.readySinceMs !== undefined && nowMs - this.readySinceMs >= STEADY_MS) this.attempt = 0;
    this.readySinceMs = undefined;
    return backoffMs(this.attempt++);
  }
}
