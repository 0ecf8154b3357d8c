import { setTimeout as sleep } from 'node:timers/promises';
import { runWithout } from '#context';

/** How long to wait before a try: twice as long each time, and by chance up to half less, so that many do not come back at once. ms */
export function backoffMs(attempt: number, { retryMinMs, retryMaxMs }: { retryMinMs: number; retryMaxMs: number }): number {
  const full = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(attempt, 20));
  return full * (1 - Math.random() / 2);
}

/** Wait, outside of any request's context; ends early, without complaint, when `stop` is aborted. */
export async function rest(ms: number, stop?: AbortSignal): Promise<void> {
  await runWithout(() => sleep(ms, undefined, { signal: stop })).catch((error: unknown) => {
    if (!stop?.aborted) throw error;
  });
}
