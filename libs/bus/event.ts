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

/** What a handler gets beside the body: the event, and the transaction in which its effect and the consumer's place commit together. */
export class BusContext<T = unknown> extends BaseRpcContext<[BusEvent<T>, EntityManager]> {
  constructor(event: BusEvent<T>, tx: EntityManager) {
    super([event, tx]);
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
