import type { EntityManager } from 'typeorm';
import { placesOf, move } from '../places.js';
import type { EventSource, Limits, Place, Read, Taken } from '../source.js';
import type { Shadow } from './shadow.js';

/** What a replay needs to know. */
export interface ReplayOptions {
  source: EventSource;
  shadow: Shadow;
  /** Whose reading is repeated. */
  group: string;
  /** Called in each transaction. @throws Lost when another instance has taken over */
  beat: (tx: EntityManager) => Promise<void>;
}

/**
 * Hands out what a group has read already, up to where it is and no further, in transactions that write to the copies. What
 * that group has parked is left out: it will be handled when it is asked for, in the tables that then are the group's.
 */
export class Replay implements EventSource {
  readonly repeats: boolean;

  constructor(private readonly options: ReplayOptions) {
    this.repeats = options.source.repeats;
  }

  follow(): Promise<() => Promise<void>> {
    return Promise.resolve(() => Promise.resolve());
  }

  subscribe(group: string, topics: readonly string[]): Promise<void> {
    return this.options.source.subscribe(group, topics);
  }

  waiting(group: string, topics: readonly string[]) {
    return this.options.source.waiting(group, topics);
  }

  async take(tx: EntityManager, place: Place, limits: Limits): Promise<Read | undefined> {
    const { source, shadow, beat } = this.options;
    const last = await this.last(tx, place);
    const read = await source.take(tx, place, limits);
    if (!read) return undefined;
    const taken = read.taken.filter(({ seq }) => BigInt(seq) <= last);
    const isAll = taken.length < read.taken.length || !read.hasMore;
    await beat(tx);
    // What the group read last may be gone from the log since.
    if (isAll && taken.length === 0) await move(tx, place, String(last));
    const kept = await this.withoutParked(tx, place, taken);
    await shadow.use(tx);
    return { taken: kept, hasMore: !isAll, hasParked: read.hasParked };
  }

  private async last(tx: EntityManager, { topic, partition }: Place): Promise<bigint> {
    const places = await placesOf(tx, this.options.group, [topic]);
    return BigInt(places.find((place) => place.partition === partition)?.seq ?? 0);
  }

  /** An event of no name is handled by nobody. */
  private async withoutParked(tx: EntityManager, { topic, partition }: Place, taken: Taken[]): Promise<Taken[]> {
    if (taken.length === 0) return taken;
    const sql = 'SELECT bus.parked_of($1, $2, $3, $4) AS ids';
    const ids = taken.map(({ event }) => event.id);
    const [row] = await tx.query<[{ ids: string[] }]>(sql, [this.options.group, topic, partition, ids]);
    const parked = new Set(row.ids);
    return parked.size === 0
      ? taken
      : taken.map((one) => (parked.has(one.event.id) ? { ...one, event: { ...one.event, name: '' } } : one));
  }
}
