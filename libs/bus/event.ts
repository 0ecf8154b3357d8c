import { BaseRpcContext } from '@nestjs/microservices';
import type { EntityManager } from 'typeorm';

/** Something that happened to one thing, as the log keeps it. */
export interface BusEvent<T = unknown> {
  /** UUID; the same however often it is delivered. */
  id: string;
  /** `movie.created`; the part before the first dot is its topic. */
  name: string;
  /** Whose event it is: the thing's id. Events of one key are delivered in order. */
  key: string;
  /** The thing's version after it. */
  version: number;
  body: T;
  /** When it happened, UTC, ISO 8601. */
  at: string;
  /** The trace of the request that caused it. */
  traceId?: string;
}

/** Does in one go what several events of a transaction ask for, in their order. */
export type Together<I> = (tx: EntityManager, items: readonly I[]) => Promise<void>;

/** What the events of a transaction have asked for and is not done yet. */
export class Joint {
  private readonly asked = new Map<unknown, { all: Together<never>; items: unknown[] }>();

  add<I>(all: Together<I>, item: I): void {
    const one = this.asked.get(all) ?? { all, items: [] };
    one.items.push(item);
    this.asked.set(all, one);
  }

  async settle(tx: EntityManager): Promise<void> {
    const asked = [...this.asked.values()];
    this.asked.clear();
    for (const { all, items } of asked) await all(tx, items as never[]);
  }
}

/** What a handler gets beside the body: the event, and the transaction in which its effect and the consumer's place commit together. */
export class BusContext<T = unknown> extends BaseRpcContext<[BusEvent<T>, EntityManager]> {
  constructor(
    event: BusEvent<T>,
    tx: EntityManager,
    private readonly joint: Joint,
  ) {
    super([event, tx]);
  }

  /**
   * Leave `item` to `all`, which is called once for a run of events: a statement for all of them costs a small part of one for each.
   * It is done before the transaction ends, and before a handler that is not `isJoint` sees the tables.
   */
  together<I>(all: Together<I>, item: I): void {
    this.joint.add(all, item);
  }

  get event(): BusEvent<T> {
    return this.args[0];
  }

  get tx(): EntityManager {
    return this.args[1];
  }
}

/** The topic of an event: `movie` of `movie.created`. */
export const topicOf = (name: string): string => name.split('.', 1)[0]!;
