import { Column, Entity, Index } from 'typeorm';
import { learns, ViewRow } from '#resource';
import type { Storage } from '#storage';
import type { Format, ScreeningEvents, ScreeningState } from '../screening/screening.events.js';
import { businessDay, dayBegins } from './cinema.rules.js';

/** What boards say of a screening. */
@Entity('known_screening')
@Index('known_screening_cinema', ['cinema', 'startAt'])
export class KnownScreening extends ViewRow {
  @Column('uuid') cinema: string;
  @Column('timestamptz') startAt: string;
  @Column('uuid') movie: string;
  @Column('varchar') title: string;
  @Column('int') minutes: number;
  @Column('varchar', { nullable: true }) rating?: string;
  @Column('varchar') auditoriumName: string;
  @Column('varchar') format: Format;
  @Column('varchar') language: string;
  @Column('varchar', { nullable: true }) subtitles?: string;
  @Column('timestamptz', { nullable: true }) cancelledAt?: string;
}

const know = (state: ScreeningState) => {
  const { cinema, startAt, movie, title, minutes, rating, auditoriumName, format, language, subtitles, cancelledAt } = state;
  return { cinema, startAt, movie, title, minutes, rating, auditoriumName, format, language, subtitles, cancelledAt };
};

/** The table of screenings, for the `learns` of cinema-query. */
export const screeningsLearnt = learns<KnownScreening, ScreeningEvents>(KnownScreening, {
  ...{ 'screening.created': know, 'screening.changed': know, 'screening.cancelled': know },
});

/** What a cinema shows on one business day. */
export interface Board {
  cinema: string;
  day: string;
  timeZone: string;
  /** By their first screening. */
  films: Film[];
}
interface Film extends Pick<KnownScreening, 'movie' | 'title' | 'minutes' | 'rating'> {
  screenings: BoardScreening[];
}
interface BoardScreening extends Pick<KnownScreening, 'id' | 'startAt' | 'auditoriumName' | 'format' | 'language' | 'subtitles'> {
  /** The same instant as the clocks of the cinema show it, with their offset. */
  startLocal: string;
}
type Found = Omit<KnownScreening, 'startAt'> & { startAt: Date };

const localTime = (at: Date, timeZone: string) =>
  Temporal.Instant.fromEpochMilliseconds(at.getTime())
    .toZonedDateTimeISO(timeZone)
    .toString({ timeZoneName: 'never', smallestUnit: 'second' });

/** By film, in the order in which they come. */
function films(found: readonly Found[], timeZone: string): Film[] {
  const byMovie = Map.groupBy(found, ({ movie }) => movie);
  return [...byMovie].map(([movie, screenings]) => {
    const { title, minutes, rating } = screenings[0]!;
    return {
      ...{ movie, title, minutes, rating: rating ?? undefined },
      screenings: screenings.map(({ id, startAt, auditoriumName, format, language, subtitles }) => ({
        ...{ id, startAt: startAt.toISOString(), startLocal: localTime(startAt, timeZone) },
        ...{ auditoriumName, format, language, subtitles: subtitles ?? undefined },
      })),
    };
  });
}

/** The board of a business day; without one, of that in which `now` lies. Cancelled screenings are not on it. */
export async function boardOf(
  storage: Storage,
  { id: cinema, timeZone }: { id: string; timeZone: string },
  now: Temporal.Instant,
  day = businessDay(now, timeZone),
): Promise<Board> {
  const [begin, end] = [day, day.add({ days: 1 })].map((each) => dayBegins(each, timeZone).toString());
  const found = await storage.query<Found>(
    `SELECT id, movie, title, minutes, rating, "startAt", "auditoriumName", format, language, subtitles FROM known_screening
     WHERE cinema = $1 AND "startAt" >= $2 AND "startAt" < $3 AND "cancelledAt" IS NULL AND NOT removed
     ORDER BY "startAt", extensions.plain("auditoriumName"), id`,
    [cinema, begin, end],
  );
  return { cinema, day: day.toString(), timeZone, films: films(found, timeZone) };
}
