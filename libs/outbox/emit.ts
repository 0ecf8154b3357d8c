import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { context } from '#context';
import type { Committed } from '#storage';

/** Something that happened to one thing, as whoever changed it says it. */
export interface Emitted<T = unknown> {
  /** `movie.created`. */
  name: string;
  /** The thing's id: events of one key are delivered in order. */
  key: string;
  /** The thing's version after it. */
  version: number;
  body: T;
}

const EMITTED = 'outbox.emitted';

/**
 * Write events in `tx`, the transaction that changes the things, after the changes, in one statement however many: they are sent in
 * this order when it commits, and not if it does not.
 *
 * @throws Problem `storage-unavailable`, `storage-slow` (503)
 */
export async function emit(tx: EntityManager, ...events: readonly Emitted[]): Promise<void> {
  if (events.length === 0) return;
  const written = events.map(({ name, key, version, body }) => ({ id: uuidv7(), name, key, version, body }));
  await tx.query(
    `INSERT INTO outbox (id, name, key, version, body, trace_id)
     SELECT e.id, e.name, e.key, e.version, e.body, $2
     FROM ROWS FROM (json_to_recordset($1::json) AS (id uuid, name text, key text, version integer, body json))
          WITH ORDINALITY AS e (id, name, key, version, body, n)
     ORDER BY e.n`,
    [JSON.stringify(written), context()?.traceId ?? null],
  );
  markEmitted(tx);
}

/** Say that events were written in `tx` by a statement of one's own, so that they are sent once it has committed. */
export function markEmitted(tx: Committed): void {
  if (tx.queryRunner) tx.queryRunner.data[EMITTED] = true;
}

/** Whether something was emitted in what was this transaction. */
export const hasEmitted = (tx: Committed): boolean => tx.queryRunner?.data[EMITTED] === true;
