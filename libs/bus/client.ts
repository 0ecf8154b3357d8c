import { ClientProxy, type ReadPacket } from '@nestjs/microservices';
import type { Storage } from '#storage';
import type { BusEvent } from './event.js';
import { publish } from './postgres/log.js';

/**
 * Nest's client of the bus: `emit(name, event)` appends one event, in the open transaction if there is one.
 * For an event about a row use `emit` of `#outbox`: that writes no longer than the row's own transaction.
 */
export class BusClient extends ClientProxy {
  constructor(private readonly storage: Storage) {
    super();
  }

  /** Nothing to do: the process's storage is open. */
  async connect(): Promise<void> {}

  /** Nothing to do: the storage is closed by whoever opened it. */
  close(): void {}

  unwrap<T>(): T {
    return this.storage as T;
  }

  protected publish(): never {
    throw new Error('the bus carries events, not requests: use emit, or #client for a request');
  }

  protected async dispatchEvent<T>({ pattern, data }: ReadPacket<BusEvent>): Promise<T> {
    const event = { ...data, name: this.normalizePattern(pattern as string) };
    return this.storage.transaction((tx) => publish(tx, [event])) as Promise<T>;
  }
}
