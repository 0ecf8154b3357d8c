import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { context } from '#context';

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
 * Write an event in `tx`, the transaction that changes the thing, after the change: it is sent when that commits, and not
 * if it does not.
 *
 * @throws Problem `storage-unavailable`, `storage-slow` (503)
 */
export async function emit<T>(tx: EntityManager, { name, key, version, body }: Emitted<T>): Promise<void> {
  await tx.query('INSERT INTO outbox (id, name, key, version, body, trace_id) VALUES ($1, $2, $3, $4, $5, $6)', [
    uuidv7(),
    name,
    key,
    version,
    JSON.stringify(body),
    context()?.traceId ?? null,
  ]);
  if (tx.queryRunner) tx.queryRunner.data[EMITTED] = true;
}

/** Whether something was emitted in what was this transaction. */
export const hasEmitted = (tx: EntityManager): boolean => tx.queryRunner?.data[EMITTED] === true;
