import type { EntityManager } from 'typeorm';
import type { Storage } from '#storage';
import type { Place } from './source.js';

/**
 * Hold a place until the end of the transaction, for a log that is read elsewhere.
 *
 * @returns the number of the last event that the group is done with, '0' at the beginning; undefined when another instance
 * holds the place, or there is no such place
 */
export async function hold(
  tx: EntityManager,
  { group, topic, partition }: Place,
): Promise<{ seq: string; hasParked: boolean } | undefined> {
  const rows = await tx.query<{ past: string; has_parked: boolean }[]>('SELECT * FROM bus.hold($1, $2, $3)', [
    group,
    topic,
    partition,
  ]);
  return rows[0] && { seq: rows[0].past, hasParked: rows[0].has_parked };
}

/** The group is done up to `seq`. */
export async function move(tx: EntityManager, { group, topic, partition }: Place, seq: string): Promise<void> {
  await tx.query('SELECT bus.move($1, $2, $3, $4)', [group, topic, partition, seq]);
}

/** Make the group's places, at the beginning, where it has none, for a topic with so many partitions. */
export async function makePlaces(storage: Storage, group: string, topic: string, partitions: number): Promise<void> {
  await storage.query('SELECT bus.make_places($1, $2, $3)', [group, topic, partitions]);
}

/** Where the group is. @returns a row for each place */
export async function placesOf(
  tx: EntityManager,
  group: string,
  topics: readonly string[],
): Promise<{ topic: string; partition: number; seq: string }[]> {
  const rows: { topic: string; partition: number; seq: string }[] = await tx.query('SELECT * FROM bus.places($1, $2)', [
    group,
    topics,
  ]);
  return rows;
}

/** Which of these events the group has handled before. */
export async function handledBefore(tx: EntityManager, group: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const [row] = await tx.query<[{ known: string[] }]>('SELECT bus.known($1, $2) AS known', [group, ids]);
  return new Set(row.known);
}

/** Keep the ids of handled events, so that none is handled again. */
export async function keepHandled(tx: EntityManager, group: string, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await tx.query('SELECT bus.keep($1, $2)', [group, ids]);
}
