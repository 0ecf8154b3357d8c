import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { remainingMs } from '#context';
import { type InputError, invalidInput, Problem } from '#problem';
import { ResourceConfig, Rows } from '#resource';
import { Staff } from '#staff';
import { Storage } from '#storage';
import { busyOf, type Film, planned, type Venue } from '../screening.rules.js';
import { type NewScreening, Screening } from './screening.row.js';

type Named<T> = { [N in keyof T]: T[N] | null } & { id: string };
/** By id. */
interface Facts {
  films: ReadonlyMap<string, Film>;
  /** Cinema and chain are null where nothing was heard of them. */
  venues: ReadonlyMap<string, Named<Venue>>;
}

/** The screening that has an auditorium when another one wants it. */
export interface InTheWay {
  id: string;
  title: string;
  startAt: string;
  endAt: string;
  /** The same film at the same time. */
  isSame: boolean;
}

/** What became of a screening that was to have an auditorium. */
export type Placed = { id: string } | { inTheWay: InTheWay };

/** When the one in the way is gone before it can be looked at, the place is free: so often that is believed. */
const TRIES = 3;

/** The auditorium is taken. */
export function overlaps({ inTheWay: { title, isSame: _, ...other } }: { inTheWay: InTheWay }): Problem {
  const detail = `the auditorium is taken by ${title} from ${other.startAt} to ${other.endAt}, and for 20 minutes after it`;
  return new Problem('screening-overlaps', 409, detail, { with: other });
}

/** Plans screenings: out of what was learnt of films, places and prices, into the auditoriums that are free. */
@Injectable()
export class Programme {
  private readonly rows: Rows<Screening>;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Staff) private readonly staff: Staff,
    @Inject(ResourceConfig) private readonly config: ResourceConfig,
  ) {
    this.rows = new Rows(Screening, 'screening', storage);
  }

  /**
   * Each of `wanted` as the row it would be, or why it cannot be: `invalid-input`, `wrong-currency` (400), `out-of-bounds` (403),
   * `movie-retired`, `movie-without-minutes` (409). What was made elsewhere a moment ago is waited for.
   */
  async plan(wanted: readonly NewScreening[]): Promise<(Screening | Problem)[]> {
    const facts = await this.facts(wanted);
    const nowMs = Date.now();
    const bounds = new Map<string, Problem | undefined>();
    const rows: (Screening | Problem)[] = [];
    for (const one of wanted) {
      try {
        rows.push(await this.planOne(one, facts, bounds, nowMs));
      } catch (error) {
        if (!(error instanceof Problem) || error.status >= 500) throw error;
        rows.push(error);
      }
    }
    return rows;
  }

  /**
   * Store those whose auditorium is free for them, each with its event. Of two of them that want it at once, the one that begins first
   * gets it.
   */
  async place(rows: readonly Screening[]): Promise<Placed[]> {
    const done = new Map<string, Placed>();
    // Always in one order, so that two who plan the same auditoriums at once wait for each other, and not both for ever.
    let left = rows.toSorted((a, b) => a.auditorium.localeCompare(b.auditorium) || a.startAt.localeCompare(b.startAt));
    await this.storage.transaction(async (tx) => {
      for (let i = 0; left.length > 0; i++) {
        for (const id of await this.rows.insertNew(tx, left)) done.set(id, { id });
        left = left.filter(({ id }) => !done.has(id));
        for (const [id, inTheWay] of await this.inTheWay(tx, left)) done.set(id, { inTheWay });
        left = left.filter(({ id }) => !done.has(id));
        if (i === TRIES && left.length > 0)
          throw new Problem('stale', 409, 'the auditorium is being planned by others: try again');
      }
    });
    return rows.map(({ id }) => done.get(id)!);
  }

  /** What `place` would do. */
  async tryPlace(rows: readonly Screening[]): Promise<Placed[]> {
    return this.storage.transaction(async (tx) => {
      await tx.query('SAVEPOINT trial');
      const placed = await this.place(rows);
      await tx.query('ROLLBACK TO SAVEPOINT trial');
      return placed;
    });
  }

  private async planOne(
    wanted: NewScreening,
    { films, venues }: Facts,
    bounds: Map<string, Problem | undefined>,
    nowMs: number,
  ): Promise<Screening> {
    const [film, venue] = [films.get(wanted.movie), venues.get(wanted.auditorium)];
    const wrong: InputError[] = film ? [] : [{ pointer: '/movie', detail: 'is no movie that is known here' }];
    if (!venue) wrong.push({ pointer: '/auditorium', detail: 'is no auditorium that is known here' });
    else if (!isComplete(venue)) wrong.push({ pointer: '/auditorium', detail: 'is in a cinema that is not known here' });
    if (!film || !venue || !isComplete(venue)) throw invalidInput(wrong);
    const { id: _, ...place } = venue;
    await this.inBounds(place, bounds);
    const state = planned(wanted, film, place, nowMs);
    return Object.assign(new Screening(), { id: uuidv7(), ...state, busy: busyOf(state) });
  }

  /** Each cinema is asked about once. */
  private async inBounds({ cinema, chain }: Venue, bounds: Map<string, Problem | undefined>): Promise<void> {
    if (!bounds.has(cinema)) {
      const refused = (error: unknown) => {
        if (error instanceof Problem && error.status === 403) return error;
        throw error;
      };
      bounds.set(cinema, await this.staff.actsInCinema({ id: cinema, chain }).then(() => undefined, refused));
    }
    const problem = bounds.get(cinema);
    if (problem) throw problem;
  }

  private async facts(wanted: readonly NewScreening[]): Promise<Facts> {
    const movies = [...new Set(wanted.map(({ movie }) => movie))];
    const auditoriums = [...new Set(wanted.map(({ auditorium }) => auditorium))];
    // Their own work is still before them.
    const untilMs = performance.now() + Math.min(this.config.minVersionWaitMs / 2, remainingMs());
    for (;;) {
      const films = await this.films(movies);
      const venues = await this.venues(auditoriums);
      const isAll = films.size === movies.length && auditoriums.every((id) => isComplete(venues.get(id)));
      if (isAll || performance.now() >= untilMs) return { films, venues };
      await sleep(this.config.minVersionPollMs);
    }
  }

  private async films(ids: readonly string[]): Promise<Map<string, Film>> {
    const sql = 'SELECT id, title, minutes, rating, retired FROM known_movie WHERE id = ANY($1) AND NOT removed';
    const found = await this.storage.query<Film & { id: string }>(sql, [ids]);
    return new Map(found.map((film) => [film.id, film]));
  }

  private async venues(ids: readonly string[]): Promise<Map<string, Named<Venue>>> {
    const found = await this.storage.query<Named<Venue>>(
      `SELECT a.id, a.name AS "auditoriumName", a.layout, a."layoutVersion", a.capacity, c.id AS cinema, c.chain,
         c.name AS "cinemaName", c.city, c."timeZone", c.currency, c.tax, c."priceCard", k.policy
       FROM known_auditorium a
       LEFT JOIN known_cinema c ON c.id = a.cinema AND NOT c.removed
       LEFT JOIN known_chain k ON k.id = c.chain AND NOT k.removed
       WHERE a.id = ANY($1) AND NOT a.removed`,
      [ids],
    );
    return new Map(found.map((venue) => [venue.id, venue]));
  }

  /** What has the auditoriums of `rows` at their times, by the row's id; the same film at the same time before others. */
  private async inTheWay(tx: EntityManager, rows: readonly Screening[]): Promise<[string, InTheWay][]> {
    if (rows.length === 0) return [];
    const wanted = rows.map(({ id, auditorium, movie, startAt, busy }) => ({ id, auditorium, movie, startAt, busy }));
    const found = await tx.query<(Omit<InTheWay, 'startAt' | 'endAt'> & { row: string; startAt: Date; endAt: Date })[]>(
      `SELECT DISTINCT ON (w.id) w.id AS row, s.id, s.title, s."startAt", s."endAt",
         s.movie = w.movie AND s."startAt" = w."startAt" AS "isSame"
       FROM json_to_recordset($1::json) AS w (id uuid, auditorium uuid, movie uuid, "startAt" timestamptz, busy tstzrange)
       JOIN screening s ON s.auditorium = w.auditorium AND s.busy && w.busy AND s."cancelledAt" IS NULL
       ORDER BY w.id, "isSame" DESC, s."startAt"`,
      [JSON.stringify(wanted)],
    );
    return found.map(({ row, startAt, endAt, ...other }) => [
      row,
      { ...other, startAt: startAt.toISOString(), endAt: endAt.toISOString() },
    ]);
  }
}

/** Whether cinema and chain are known too. */
const isComplete = (venue: Named<Venue> | undefined): venue is Venue & { id: string } =>
  venue !== undefined && venue.cinema !== null && venue.policy !== null;
