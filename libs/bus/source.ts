import type { EntityManager } from 'typeorm';
import type { BusEvent } from './event.js';

/** One partition of one topic, and which group reads it. */
export interface Place {
  group: string;
  topic: string;
  partition: number;
}

/** An event that was read, and where. Its body stays behind when nobody here handles its name. */
export interface Taken {
  /** Its number in the partition, rising, from 1; not every number is there. */
  seq: string;
  event: BusEvent;
}

/** How much is read at a time; always at least one event. */
export interface Limits {
  /** Bodies of other names need not be read. */
  names: readonly string[];
  events: number;
  bytes: number;
}

/** What was read from a place on that is held. */
export interface Read {
  taken: Taken[];
  /** Not all that is there was read. */
  hasMore: boolean;
  /** The group has parked events of this partition. */
  hasParked: boolean;
}

/** How many events of a partition are ahead of a group; counted to 10,000. */
export interface Waiting {
  topic: string;
  partition: number;
  events: number;
}

/** There may be events of `topic`: in these partitions, or, when something may have been missed, in any. */
export type Wake = (topic: string, partitions?: readonly number[]) => void;

/**
 * Where events come from: a log in partitions, each in order. A group's place in it, what it parked, and the ids of what it
 * handled are kept in PostgreSQL whatever the log is, so that they commit with the effects.
 */
export interface EventSource {
  /** An event may come twice, as over a log outside of the emitter's transaction: the group then keeps the ids of what it handled. */
  readonly repeats: boolean;

  /** Call `wake` when there may be events, until the function that is returned is called. While the log is away this waits for it behind the scenes. */
  follow(topics: readonly string[], wake: Wake): Promise<() => Promise<void>>;

  /** Make the group's places, at the beginning, where it has none. @throws Problem `storage-unavailable` (503) */
  subscribe(group: string, topics: readonly string[]): Promise<void>;

  /** A row for each place of the group, also where nothing waits. @throws Problem `storage-unavailable` (503) */
  waiting(group: string, topics: readonly string[]): Promise<Waiting[]>;

  /**
   * Hold a place until the end of `tx`, and read on from there; what comes next to it is asked of `tx` alone.
   *
   * @returns undefined when another instance holds it, or there is no such place
   */
  take(tx: EntityManager, place: Place, limits: Limits): Promise<Read | undefined>;

  /** Remove events older than so many days that are not the last of their key, where the log does not do that by itself. @returns how many */
  compact?(keepDays: number): Promise<number>;
}
