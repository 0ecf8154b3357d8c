import type { EntityManager } from 'typeorm';
import { markEmitted } from '#outbox';
import type { Storage } from '#storage';

/** All that `purchase_hold` must know of one who wants seats. */
export interface HoldRequest {
  id: string;
  /** The id of the event that will tell it. */
  event: string;
  screening: string;
  /** By which version of it the prices are. */
  screeningVersion: number;
  seats: readonly string[];
  /** Whose seats are counted; nobody's of the box office. */
  holder?: string;
  /** So many the holder may have unpaid. */
  mostHeld?: number;
  holdSeconds: number;
  /** The purchase as others are told of it, without the times; what is stored of it has the lines, tax and show last. */
  body: { lines: unknown; tax: unknown; show: unknown; [field: string]: unknown };
  accessKeyHash?: string;
  email?: string;
  /** When the show is over, UTC, ISO 8601. */
  overAt: string;
  by?: string;
  /** Of its idempotency key: a lock, who asks what (hex), and the whole request (hex). */
  lock?: string;
  scope?: string;
  request?: string;
  keptSeconds: number;
  trace?: string;
}

/** What became of one request. */
export type HoldOutcome =
  | { outcome: 'held'; said: { at: string; heldUntilAt: string } }
  /** It came before: what it was answered then. */
  | { outcome: 'kept'; said: { status: number; body: Record<string, unknown> } }
  /** Its key came before with another body. */
  | { outcome: 'reused' }
  /** The first request of its key is still under way. */
  | { outcome: 'in-flight' }
  /** The screening is no longer as it was when the request was made of it. */
  | { outcome: 'stale' }
  /** How many seats the holder has unpaid. */
  | { outcome: 'too-many-held'; said: number }
  /** Which of the seats others have; none when they let them go in this moment. */
  | { outcome: 'taken'; said: string[] | null };

type Row = HoldOutcome & { n: number };

const ALL = 'SELECT n, outcome, said FROM purchase_hold($1, $2, $3)';
const ONE = 'SELECT n, outcome, said FROM purchase_hold_one($1)';

/** Flat, with what is stored as JSON beside the rest: it is read once there. */
function wish(request: HoldRequest, n: number) {
  const { lines, tax, show, ...body } = request.body;
  return { n, ...body, ...request, body, lines, tax, show };
}

/** The statement for so many, and its parameters. */
function asked(requests: readonly HoldRequest[]): [string, unknown[]] {
  if (requests.length === 1) return [ONE, [JSON.stringify(wish(requests[0]!, 0))]];
  const [locks, holders] = [requests.map(({ lock }) => lock ?? null), requests.map(({ holder }) => holder ?? null)];
  return [ALL, [JSON.stringify(requests.map(wish)), locks, holders]];
}

function inOrder(requests: readonly HoldRequest[], rows: readonly Row[]): HoldOutcome[] {
  const found = new Map(rows.map((row) => [row.n, row]));
  return requests.map((_, n) => found.get(n)!);
}

/**
 * Take the seats of all of them in one round trip and one commit, each all or none. No two may name the same seat, holder or scope.
 *
 * @returns what became of each, in their order
 * @throws Problem `storage-unavailable`, `storage-slow` (503)
 */
export async function holdAll(storage: Storage, requests: readonly HoldRequest[]): Promise<HoldOutcome[]> {
  return inOrder(requests, await storage.statement<Row>(...asked(requests), markEmitted));
}

/** The same for one, as a part of the transaction `tx`. */
export async function holdIn(tx: EntityManager, request: HoldRequest): Promise<HoldOutcome> {
  const rows = await tx.query<Row[]>(...asked([request]));
  markEmitted(tx);
  return inOrder([request], rows)[0]!;
}
