import type { EntityManager } from 'typeorm';
import type { Storage } from '#storage';
import type { BusEvent } from '../event.js';
import { asTaken } from '../postgres/log.js';
import type { Limits, Place, Taken } from '../source.js';

/** Why an event is parked. */
export interface Verdict {
  eventId: string;
  reason: string;
  /** Tries since it was met, or met again. */
  tries: number;
}

/** A reason longer than this is a document, not a reason; characters. */
const REASON_CHARS = 1_000;

const asRow = ({ seq, event }: Taken, verdict?: Verdict) => ({
  seq,
  ...event,
  reason: verdict?.reason.slice(0, REASON_CHARS),
  tries: verdict?.tries,
});

/** Move events aside: one for its `verdict`, or those that wait behind it. Parked already, it stays where it is and gets the new verdict. */
export async function park(
  tx: EntityManager,
  { group, topic, partition }: Place,
  events: readonly Taken[],
  verdict?: Verdict,
): Promise<void> {
  if (events.length === 0) return;
  const rows = JSON.stringify(events.map((one) => asRow(one, verdict)));
  await tx.query('SELECT bus.park($1, $2, $3, $4::json)', [group, topic, partition, rows]);
}

/** The keys of a partition that wait. */
export async function parkedKeys(tx: EntityManager, { group, topic, partition }: Place): Promise<ReadonlySet<string>> {
  const sql = 'SELECT bus.parked_keys($1, $2, $3) AS keys';
  const [row] = await tx.query<[{ keys: string[] }]>(sql, [group, topic, partition]);
  return new Set(row.keys);
}

/** Parked events that are to be handled now, in order. */
export async function takeDue(
  tx: EntityManager,
  { group, topic, partition }: Place,
  { events, bytes }: Pick<Limits, 'events' | 'bytes'>,
): Promise<Taken[]> {
  const params = [group, topic, partition, events, bytes];
  const rows = await tx.query<Parameters<typeof asTaken>[0][]>('SELECT * FROM bus.due($1, $2, $3, $4, $5)', params);
  return rows.map(asTaken);
}

/** Parked events were handled at last. */
export async function unpark(tx: EntityManager, { group }: Place, events: readonly BusEvent[]): Promise<void> {
  if (events.length > 0) await tx.query('SELECT bus.unpark($1, $2)', [group, events.map(({ id }) => id)]);
}

/** What is parked of one partition. */
export interface ParkedThere {
  topic: string;
  partition: number;
  events: number;
  /** Some of them are to be handled now. */
  hasDue: boolean;
}

/** How much a group has parked, where it has. @throws Problem `storage-unavailable` (503) */
export async function parkedWaiting(storage: Storage, group: string, topics: readonly string[]): Promise<ParkedThere[]> {
  const sql = 'SELECT topic, partition, events, has_due AS "hasDue" FROM bus.parked_waiting($1, $2)';
  return storage.query<ParkedThere>(sql, [group, topics]);
}

/** Call `hear` when parked events of `group` were made due, or that may have been missed. */
export function followParked(storage: Storage, group: string, hear: () => void): Promise<() => Promise<void>> {
  return storage.listen('bus.parked', (said) => {
    if (said === '' || said === group) hear();
  });
}
