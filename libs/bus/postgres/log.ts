import type { EntityManager } from 'typeorm';
import type { Limits as WorkLimits, Storage } from '#storage';
import { type BusEvent, topicOf } from '../event.js';
import type { EventSource, Limits, Place, Read, Taken, Waiting, Wake } from '../source.js';

/**
 * Append events to the log, in this order, in the caller's transaction: they are there when it commits, and not if it does
 * not. Writers of one topic take turns until they commit, so this comes last in a transaction.
 */
export async function publish(tx: EntityManager, events: readonly BusEvent[]): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event) => ({ ...event, topic: topicOf(event.name) }));
  await tx.query('SELECT bus.append($1::json)', [JSON.stringify(rows)]);
}

/**
 * Remove the events of a key that are not its last, in the caller's transaction, also where groups have parked them: for a
 * thing whose last state says no more what the older ones said, such as a person who is erased. Consumers that are behind
 * get the last alone, as a new one does.
 *
 * Events that are still in the outbox are not in the log yet, and the one before them would be kept as the last. So call
 * this where the last event is handled: an emitter that listens to its own `user.erased` hears it when all before it are there.
 * What is appended later takes the place of the last, which then is an older one and goes after the usual days. A log
 * outside of PostgreSQL forgets by its own compaction; then this clears what is parked.
 *
 * @returns how many were removed from the log
 * @throws QueryFailedError when the topic belongs to another process: `user` belongs to `user-command`
 */
export async function forget(tx: EntityManager, topic: string, key: string): Promise<number> {
  const [row] = await tx.query<[{ gone: string }]>('SELECT bus.forget($1, $2) AS gone', [topic, key]);
  return Number(row.gone);
}

interface TakenRow {
  held: boolean;
  has_parked: boolean;
  ahead: number;
  /** Null where nothing is ahead. */
  seq: string | null;
  name: string;
  key: string;
  id: string;
  version: number;
  body: unknown;
  trace_id: string | null;
  at: Date;
}

/** An event as one of the bus's functions gives it. */
export const asTaken = ({
  seq,
  name,
  key,
  id,
  version,
  body,
  trace_id: traceId,
  at,
}: Omit<TakenRow, 'held' | 'has_parked' | 'ahead'>): Taken => ({
  seq: seq!,
  event: { id, name, key, version, body, at: at.toISOString(), ...(traceId === null ? {} : { traceId }) },
});

/** Events removed by one statement, so that each is short. */
const COMPACT_EVENTS = 5_000;

/** The log of events in PostgreSQL; what is appended wakes its readers by a notification. */
export class PostgresLog implements EventSource {
  // The relay appends in the transaction that empties the outbox, so each event is there once.
  readonly repeats = false;

  /** @param limits  of its own background work */
  constructor(
    private readonly storage: Storage,
    private readonly limits: WorkLimits,
  ) {}

  async follow(topics: readonly string[], wake: Wake): Promise<() => Promise<void>> {
    const ends: (() => Promise<void>)[] = [];
    for (const topic of topics) {
      const hear = (said: string) => wake(topic, said === '' ? undefined : said.split(',').map(Number));
      ends.push(await this.storage.listen(`bus.${topic}`, hear));
    }
    return async () => void (await Promise.all(ends.map((end) => end())));
  }

  async subscribe(group: string, topics: readonly string[]): Promise<void> {
    await this.storage.query('SELECT bus.subscribe($1, $2)', [group, topics]);
  }

  async waiting(group: string, topics: readonly string[]): Promise<Waiting[]> {
    const sql = 'SELECT * FROM bus.waiting($1, $2)';
    const rows = await this.storage.query<{ topic: string; partition: number; events: string }>(sql, [group, topics]);
    return rows.map((row) => ({ ...row, events: Number(row.events) }));
  }

  async take(tx: EntityManager, { group, topic, partition }: Place, { names, events, bytes }: Limits): Promise<Read | undefined> {
    const params = [group, topic, partition, names, events, bytes];
    const rows = await tx.query<TakenRow[]>('SELECT * FROM bus.take($1, $2, $3, $4, $5, $6)', params);
    const [{ held, has_parked: hasParked, ahead }] = rows as [TakenRow];
    if (!held) return undefined;
    const taken = rows.filter(({ seq }) => seq !== null).map(asTaken);
    return { taken, hasMore: taken.length < ahead || ahead === events, hasParked };
  }

  async compact(keepDays: number): Promise<number> {
    for (let total = 0; ;) {
      const gone = await this.storage.background({ ...this.limits, isDurable: false }, async (tx) => {
        const sql = 'SELECT bus.compact(make_interval(days => $1), $2) AS gone';
        const rows = await tx.query<{ gone: string | null }[]>(sql, [keepDays, COMPACT_EVENTS]);
        return Number(rows[0]?.gone ?? 0);
      });
      total += gone;
      if (gone < COMPACT_EVENTS) return total;
    }
  }
}
