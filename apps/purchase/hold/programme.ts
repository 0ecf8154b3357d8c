import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Column, Entity, Index } from 'typeorm';
import { learns, ViewRow } from '#resource';
import { type Seat, seatsOf } from '#seating';
import { Storage } from '#storage';
import type { ScreeningEvents, ScreeningState } from '../../screening/screening.events.js';
import { PurchaseConfig } from '../purchase-section.js';

/** What has been learnt of a screening: all that a sale needs. */
@Entity('known_screening')
@Index('known_screening_cancelled', { synchronize: false }) // of some rows only: it stands in the migration
export class KnownScreening extends ViewRow {
  @Column('uuid') cinema: string;
  @Column('timestamptz') startAt: Date | string;
  @Column() cancelled: boolean;
  @Column('jsonb') state: ScreeningState;
}

const know = (state: ScreeningState) => ({
  cinema: state.cinema,
  startAt: state.startAt,
  cancelled: state.cancelledAt !== undefined,
  state,
});

/** The table of screenings, for the process's `learns`. */
export const screeningsLearnt = learns<KnownScreening, ScreeningEvents>(KnownScreening, {
  'screening.created': know,
  'screening.changed': know,
  'screening.cancelled': know,
});

/** A screening as it is sold. */
export interface OnSale {
  id: string;
  version: number;
  screening: ScreeningState;
  seats: ReadonlyMap<string, Seat>;
}

interface Known {
  version: number;
  state: ScreeningState;
}

/**
 * The screenings that seats are sold for, with their seats read out of the plans. What is kept here may be older than what is
 * known: whoever sells by it says of which version it was, and asks again when that is no longer the one.
 */
@Injectable()
export class Programme {
  private readonly kept: LRUCache<string, OnSale>;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(PurchaseConfig) config: PurchaseConfig,
  ) {
    this.kept = new LRUCache({ max: config.screeningsKept });
  }

  /** That screening, if it is known. */
  async find(id: string): Promise<OnSale | undefined> {
    return this.kept.get(id) ?? this.read(id);
  }

  /** It has changed since it was found. */
  forget(id: string): void {
    this.kept.delete(id);
  }

  private async read(id: string): Promise<OnSale | undefined> {
    const [known] = await this.storage.query<Known>('SELECT version, state FROM known_screening WHERE id = $1 AND NOT removed', [
      id,
    ]);
    if (!known) return undefined;
    const { version, state: screening } = known;
    const found = { id, version, screening, seats: new Map(seatsOf(screening.layout).map((seat) => [seat.id, seat])) };
    this.kept.set(id, found);
    return found;
  }
}
