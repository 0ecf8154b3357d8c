import { createHash } from 'node:crypto';
import type { DemoAuditorium } from './chain.js';

/** A film that can be screened. */
export interface ScreenedFilm {
  id: string;
  minutes: number;
}

/** A screening as `POST /api/screenings/import` takes it. */
export interface PlannedScreening {
  auditorium: string;
  movie: string;
  /** In the cinema's own time. */
  localStartAt: string;
  format: string;
  language: string;
  subtitles?: string;
}

/** Where and when is planned. */
export interface ProgrammeOptions {
  auditorium: string;
  format: DemoAuditorium['format'];
  timeZone: string;
  /** From the day that it is there. */
  now: Temporal.Instant;
  days: number;
  films: readonly ScreenedFilm[];
}

const OPENS = { hour: 13 };
/** No film begins later than this, minutes after opening. */
const LAST_START = 9.5 * 60;
/** Between two films, minutes: the house's rule is 20. */
const GAP = 20;
const STEP = 5;

/** A number that is always the same for the same words: what is planned twice is planned alike. */
const draw = (below: number, ...words: readonly (string | number)[]): number =>
  createHash('sha256').update(words.join(' ')).digest().readUInt32BE() % below;

/**
 * What an auditorium shows on some days, from one o'clock in the afternoon on, each film after the other; what would have begun already is left
 * out. The same day is always planned alike, whenever it is planned.
 */
export function programme({ auditorium, format, timeZone, now, days, films }: ProgrammeOptions): PlannedScreening[] {
  const today = now.toZonedDateTimeISO(timeZone).toPlainDate();
  const planned: PlannedScreening[] = [];
  for (let i = 0; i < days; i++) {
    const day = today.add({ days: i });
    let minute = STEP * draw(10, auditorium, `${day}`);
    for (let n = 0; minute <= LAST_START; n++) {
      const film = films[draw(films.length, auditorium, `${day}`, n)]!;
      const start = day.toPlainDateTime(OPENS).add({ minutes: minute });
      const isDubbed = draw(3, film.id, `${day}`, n) === 0;
      const spoken = isDubbed ? { language: 'es' } : { language: 'en', subtitles: 'es' };
      // Whoever looks at the programme at noon wants to see what is still to come.
      if (Temporal.Instant.compare(start.toZonedDateTime(timeZone).toInstant(), now) > 0)
        planned.push({ auditorium, movie: film.id, localStartAt: start.toString({ smallestUnit: 'minute' }), format, ...spoken });
      minute = Math.ceil((minute + film.minutes + GAP) / STEP) * STEP;
    }
  }
  return planned;
}
