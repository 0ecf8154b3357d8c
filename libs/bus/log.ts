import type { EntityManager } from 'typeorm';
import { type BusEvent, topicOf } from './event.js';

/**
 * Append events to the log, in this order, in the caller's transaction: they are there when it commits, and not if it does
 * not. Writers of one topic take turns until they commit, so this comes last in a transaction.
 */
export async function publish(tx: EntityManager, events: readonly BusEvent[]): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event) => ({ ...event, topic: topicOf(event.name) }));
  await tx.query('SELECT bus.append($1::json)', [JSON.stringify(rows)]);
}

/** One partition of one topic, and which group reads it. */
export interface Place {
  group: string;
  topic: string;
  partition: number;
}

/** An event that was read, and where. Its body stays behind when nobody here handles its name. */
export interface Taken {
  seq: string;
  event: BusEvent;
}

interface TakenRow {
  held: boolean;
  ahead: number;
  seq: string;
  name: string;
  key: string;
  id: string;
  version: number;
  body: unknown;
  trace_id: string | null;
  at: Date;
}

const asTaken = ({ seq, name, key, id, version, body, trace_id: traceId, at }: TakenRow): Taken => ({
  seq,
  event: { id, name, key, version, body, at: at.toISOString(), ...(traceId === null ? {} : { traceId }) },
});

/**
 * Hold a place until the end of the transaction, and read on from there.
 *
 * @returns undefined when another instance holds it; `hasMore` when not all that is there was read
 */
export async function take(
  tx: EntityManager,
  { group, topic, partition }: Place,
  { names, events, bytes }: { names: readonly string[]; events: number; bytes: number },
): Promise<{ taken: Taken[]; hasMore: boolean } | undefined> {
  const params = [group, topic, partition, names, events, bytes];
  const rows = await tx.query<TakenRow[]>('SELECT * FROM bus.take($1, $2, $3, $4, $5, $6)', params);
  if (rows[0]?.held === false) return undefined;
  const ahead = rows[0]?.ahead ?? 0;
  return { taken: rows.map(asTaken), hasMore: rows.length < ahead || ahead === events };
}

/** The group is done up to `seq`. */
export async function move(tx: EntityManager, { group, topic, partition }: Place, seq: string): Promise<void> {
  await tx.query('SELECT bus.move($1, $2, $3, $4)', [group, topic, partition, seq]);
}
