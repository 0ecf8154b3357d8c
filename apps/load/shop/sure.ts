import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import { type Callers, type Reply, slugOf } from './http.js';

/** A POST that may be sent again and again, and is done once. */
export interface Order {
  path: string;
  body?: object;
  key: string;
  /** Who asks: made for each try, since tokens end. */
  headers: () => Promise<Record<string, string>>;
}

/** A new one, with a key of its own. */
export const orderOf = (path: string, headers: Order['headers'], body?: object): Order => ({ path, body, headers, key: uuid() });

/** How patient a caller is. */
export interface Patience {
  /** Between two tries, ms. */
  pauseMs: number;
  /** After this it is not known what became of it, ms. */
  untilMs: number;
}

/** Slugs of refusals that pass by themselves. */
const PASSING = new Set(['idempotency-in-flight', 'stale']);

/** Whether that is what became of it. What a part that starts again answers is not; nor is 401, for a token may have ended just now. */
export function isFinal(reply: Reply): boolean {
  if (reply.status >= 500 || [401, 404, 408, 429].includes(reply.status)) return false;
  return !(reply.status === 409 && PASSING.has(slugOf(reply)));
}

/** Sends it once. @returns undefined when it is not known what became of it */
export async function attempt(callers: Callers, { path, body, key, headers }: Order): Promise<Reply | undefined> {
  try {
    const reply = await callers.ask(path, { method: 'POST', headers: { 'idempotency-key': key, ...(await headers()) }, body });
    return isFinal(reply) ? reply : undefined;
  } catch {
    return undefined; // lost on the way
  }
}

/** Sends it until it is answered. @returns undefined when patience ends before */
export async function insist(callers: Callers, order: Order, { pauseMs, untilMs }: Patience): Promise<Reply | undefined> {
  for (const end = performance.now() + untilMs; ;) {
    const reply = await attempt(callers, order);
    if (reply || performance.now() > end) return reply;
    await sleep(pauseMs);
  }
}
