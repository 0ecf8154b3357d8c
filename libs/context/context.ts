import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Who is calling, as the verified token says. */
export interface Caller {
  id: string;
  roles: readonly string[];
  /** Through which client; the same as `id` when it speaks for itself. */
  client?: string;
  /** The session it was signed in by. */
  sessionId?: string;
}

/** What is dropped last when there is too much: critical is purchase and door. */
export type Priority = 'critical' | 'normal' | 'best-effort';
const PRIORITIES: readonly string[] = ['critical', 'normal', 'best-effort'] satisfies Priority[];

/** The facts of the current request, event or job. */
export interface Context {
  /** W3C trace id, 32 hex digits. */
  traceId: string;
  /** W3C span id of our own part, 16 hex digits. */
  spanId: string;
  caller?: Caller;
  /** When the answer stops being wanted, ms since the epoch. */
  deadlineAt?: number;
  priority: Priority;
  /** The transaction this request has open, if any; `#storage` knows its type. */
  tx?: unknown;
  /** The version named by `If-Match`. */
  ifMatch?: number;
}

// One store for the whole Node process is right even when many services are folded into it: each request runs in its own.
const store = new AsyncLocalStorage<Context>();

/** The current context, or undefined outside of any request. */
export const context = (): Context | undefined => store.getStore();

/** Run `fn` with `c` as its context, also in everything it awaits. */
export const runWith = <T>(c: Context, fn: () => T): T => store.run(c, fn);

/** Run `fn` outside of any context: for pools and timers, which outlive the request that happens to make them. */
export const runWithout = <T>(fn: () => T): T => store.exit(fn);

// Node draws UUIDs from a pool; randomBytes asks the system each time, which costs a gateway a tenth of its work.
const hex = (bytes: number) =>
  randomUUID()
    .replaceAll('-', '')
    .slice(0, bytes * 2);

/** A fresh context: a new trace unless `init` names one. */
export const newContext = (init: Partial<Context> = {}): Context => ({
  traceId: hex(16),
  spanId: hex(8),
  priority: 'normal',
  ...init,
});

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-|$)/;

/**
 * The context a request came with. What is malformed is ignored: a bad header must not refuse a good request.
 *
 * @source W3C Trace Context §3.2
 */
export function contextFromHeaders(headers: IncomingHttpHeaders, nowMs = Date.now()): Context {
  const init: Partial<Context> = {};
  const trace = typeof headers.traceparent === 'string' ? TRACEPARENT.exec(headers.traceparent) : null;
  if (trace) init.traceId = trace[1]!;
  const left = headers['x-deadline-ms'];
  if (typeof left === 'string' && /^\d{1,7}$/.test(left)) init.deadlineAt = nowMs + Number(left);
  const priority = headers['x-priority'];
  if (typeof priority === 'string' && PRIORITIES.includes(priority)) init.priority = priority as Priority;
  return newContext(init);
}

/**
 * The headers that carry `c` to the next service: trace, what is left of the deadline, priority.
 * The deadline travels as a remainder, since clocks of two hosts differ.
 */
export function contextHeaders(c: Context, nowMs = Date.now()): Record<string, string> {
  const headers: Record<string, string> = { traceparent: `00-${c.traceId}-${c.spanId}-01`, 'x-priority': c.priority };
  if (c.deadlineAt !== undefined) headers['x-deadline-ms'] = String(Math.max(0, Math.round(c.deadlineAt - nowMs)));
  return headers;
}

/** What is left of the current deadline, ms, never below 0; Infinity without one. */
export function remainingMs(c = context(), nowMs = Date.now()): number {
  return c?.deadlineAt === undefined ? Infinity : Math.max(0, c.deadlineAt - nowMs);
}
