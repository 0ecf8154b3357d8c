import { Inject, Injectable } from '@nestjs/common';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { isId, learns, type Learnt, notFound, type Projection, ViewRow } from '#resource';
import { seatsOf } from '#seating';
import { Storage } from '#storage';
import type { LayoutRow } from '../../auditorium/auditorium.events.js';
import type { PurchaseEvents } from '../../purchase/purchase.events.js';
import { PURCHASE_EVENTS, type SeatState, type Taken, takenBy } from './seats.rules.js';

/**
 * The seats of one purchase. A row for each purchase, not for each seat: then its own versions alone decide what it says, and however the
 * events of two who had a seat one after the other mingle, neither undoes what the other did.
 */
@Entity('seat_taken')
@Index('seat_taken_now', { synchronize: false })
@Index('seat_taken_stamp', ['screening', 'stamp'])
export class SeatTaken extends ViewRow {
  @Column('uuid') screening: string;
  @Column('varchar', { array: true }) seats: string[];
  @Column('varchar') state: SeatState;
  /** When they are free again by themselves. */
  @Column('timestamptz', { nullable: true }) until?: string;
  /** What the map of version `stamp` says of them; none after events, or a rebuild, made the row anew. */
  @Column('varchar', { nullable: true }) told?: SeatState;
  @Column('bigint', { nullable: true }) stamp?: string;
}

/** The version of each map that somebody has asked for; no view, so that a rebuild never makes it go back. */
@Entity('seat_map')
export class SeatMapVersion {
  @PrimaryColumn('uuid') screening: string;
  /** Milliseconds since the epoch when the map last changed, and at least one more each time. */
  @Column('bigint') version: string;
}

const project: Projection<SeatTaken, Pick<PurchaseEvents, 'purchase.held'>>['purchase.held'] = takenBy;

/** The table of taken seats, and what fills it. */
export const seatsLearnt: Learnt = learns<SeatTaken, PurchaseEvents>(
  SeatTaken,
  Object.fromEntries(PURCHASE_EVENTS.map((name) => [name, project])),
);

/** Which seats of a screening can be bought. */
export interface SeatMap {
  screening: string;
  version: number;
  /** UTC, ISO 8601. */
  at: string;
  layout: LayoutRow[];
  taken: Taken;
  /** How many can be bought. */
  free: number;
}

/** A map as it was read. */
export interface Seen {
  map: SeatMap;
  /** Something happened that has no version yet. */
  hasNews: boolean;
  /** Until the next hold lapses, ms; Infinity when none does. */
  lapsesInMs: number;
}

interface Found extends Taken {
  layout: LayoutRow[];
  version: string;
  at: Date;
  hasNews: boolean;
  lapsesAt: Date | null;
}

/** What a row says by the database's clock: a hold lapses without an event. */
const IS = `CASE WHEN t.state = 'held' AND t.until <= now() THEN 'free' ELSE t.state END`;
/** The rows of which a map speaks, or does not know yet; as the index has them. */
const SPEAKS = `(t.state <> 'free' OR t.stamp IS NULL OR t.told <> 'free')`;
const NEWS = `(t.stamp IS NULL OR t.told <> ${IS})`;

const READ = `
  SELECT s.layout, coalesce(m.version, 0) AS version, now() AS at, t.*
  FROM screening_view s LEFT JOIN seat_map m ON m.screening = s.id
  CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(seat) FILTER (WHERE says = 'sold'), '{}') AS sold,
      coalesce(array_agg(seat) FILTER (WHERE says = 'held'), '{}') AS held,
      coalesce(bool_or(t.news), false) AS "hasNews", min(t.until) FILTER (WHERE says = 'held') AS "lapsesAt"
    FROM (SELECT t.seats, t.until, ${IS} AS says, ${NEWS} AS news FROM seat_taken t WHERE t.screening = s.id AND ${SPEAKS}) t
    LEFT JOIN LATERAL unnest(t.seats) AS seat ON true
  ) t WHERE s.id = $1 AND NOT s.removed`;

// Rows that an event is changing at this moment are left out: nobody waits for it, and it will be news when it is done. Who gives out
// versions of one map takes turns at its row, so no version is seen before a smaller one.
const SETTLE = `
  WITH news AS (SELECT t.id FROM seat_taken t WHERE t.screening = $1 AND ${SPEAKS} AND ${NEWS} FOR UPDATE SKIP LOCKED),
  next AS (
    INSERT INTO seat_map AS m (screening, version)
    SELECT $1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint WHERE EXISTS (SELECT FROM news)
    ON CONFLICT (screening) DO UPDATE SET version = greatest(m.version + 1, excluded.version) RETURNING version
  )
  UPDATE seat_taken t SET stamp = next.version, told = ${IS} FROM next, news WHERE t.id = news.id`;

const UNSEEN = `
  SELECT w.screening FROM unnest($1::uuid[], $2::bigint[]) AS w (screening, version) LEFT JOIN seat_map m ON m.screening = w.screening
  WHERE coalesce(m.version, 0) <> w.version
    OR EXISTS (SELECT FROM seat_taken t WHERE t.screening = w.screening AND ${SPEAKS} AND ${NEWS})`;

function seenOf(screening: string, { layout, version, at, sold, held, hasNews, lapsesAt }: Found): Seen {
  const seats = seatsOf(layout).filter(({ kind }) => kind !== 'broken');
  const [isSold, isHeld] = [new Set(sold), new Set(held)];
  const of = (isIt: (id: string) => boolean) => seats.map(({ id }) => id).filter(isIt);
  const taken = { sold: of((id) => isSold.has(id)), held: of((id) => isHeld.has(id) && !isSold.has(id)) };
  const free = seats.length - taken.sold.length - taken.held.length;
  const map = { screening, version: Number(version), at: at.toISOString(), layout, taken, free };
  return { map, hasNews, lapsesInMs: lapsesAt === null ? Infinity : lapsesAt.getTime() - at.getTime() };
}

/** The seat maps of screenings. A map gets its next version when somebody looks at it after something happened: what nobody watches costs nothing. */
@Injectable()
export class SeatMaps {
  constructor(@Inject(Storage) private readonly storage: Storage) {}

  /** The map as it is now. @throws Problem `not-found` (404) */
  async of(screening: string): Promise<Seen> {
    const seen = await this.read(screening);
    if (!seen.hasNews) return seen;
    await this.storage.query(SETTLE, [screening]);
    return this.read(screening);
  }

  /** Seats to which something happened after the map had that version. */
  async touchedAfter(screening: string, version: number): Promise<string[]> {
    const sql = 'SELECT DISTINCT unnest(seats) AS seat FROM seat_taken WHERE screening = $1 AND stamp > $2';
    const found = await this.storage.query<{ seat: string }>(sql, [screening, version]);
    return found.map(({ seat }) => seat);
  }

  /** Those of some maps that are not any more as they were in that version. */
  async changed(known: ReadonlyMap<string, number>): Promise<string[]> {
    const found = await this.storage.query<{ screening: string }>(UNSEEN, [[...known.keys()], [...known.values()]]);
    return found.map(({ screening }) => screening);
  }

  private async read(screening: string): Promise<Seen> {
    const [found] = isId(screening) ? await this.storage.query<Found>(READ, [screening]) : [];
    if (!found) throw notFound('screening', screening);
    return seenOf(screening, found);
  }
}
