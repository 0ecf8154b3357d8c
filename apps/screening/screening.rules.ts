import { type InputError, invalidInput, Problem } from '#problem';
import type { LayoutRow } from '../auditorium/auditorium.events.js';
import type { Area, Category, Price, Tax } from '../cinema/cinema.events.js';
import type { Format, SalesPolicy, ScreeningState } from './screening.events.js';

/** Every format there is. */
export const FORMATS: readonly Format[] = ['2D', '3D', 'IMAX', '4DX'];
/** Every area of an auditorium. */
export const AREAS: readonly Area[] = ['standard', 'premium'];
/** Every category of visitor. */
export const CATEGORIES: readonly Category[] = ['adult', 'child', 'student', 'senior'];

/** An auditorium stays taken so long after a film, minutes: people leave, and it is cleaned. */
export const TURNOVER_MINUTES = 20;
/** Nothing is planned further ahead, days: a year, and some. */
export const MOST_DAYS_AHEAD = 400;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** What a screening needs to know of its film. */
export interface Film {
  title: string;
  minutes: number | null;
  rating: string | null;
  retired: boolean;
}

/** What it needs to know of where it is: auditorium, cinema and chain. */
export interface Venue {
  chain: string;
  cinema: string;
  cinemaName: string;
  city: string;
  auditoriumName: string;
  timeZone: string;
  currency: string;
  tax: Tax;
  layout: LayoutRow[];
  layoutVersion: number;
  capacity: number;
  priceCard: Price[];
  policy: SalesPolicy;
}

/** A screening as somebody wants it. */
export interface Wanted {
  movie: string;
  auditorium: string;
  startAt?: string;
  localStartAt?: string;
  language: string;
  subtitles?: string;
  format: Format;
  currency?: string;
  prices?: Price[];
}

const utc = (ms: number) => new Date(ms).toISOString();
const nameOf = ({ area, category }: Price) => `${area} ${category}`;

/** The place in a list of prices at which one is given for the second time; -1 when there is none. */
export function repeatedAt(prices: readonly Price[]): number {
  const names = prices.map(nameOf);
  return names.findIndex((name, at) => names.indexOf(name) < at);
}

/** Whether prices say what the simplest ticket costs. */
export const hasAdultPrice = (prices: readonly Price[]): boolean =>
  prices.some(({ area, category }) => area === 'standard' && category === 'adult');

/** A price card with some of its entries replaced, and others added. */
export function overridden(card: readonly Price[], by: readonly Price[]): Price[] {
  const prices = new Map([...card, ...by].map((price) => [nameOf(price), price]));
  return [...prices.values()].map(({ area, category, amountMinor }) => ({ area, category, amountMinor }));
}

/** What a wall clock in `timeZone` means, ms since the epoch; a sentence when it means nothing, or two things. */
function fromWallClock(text: string, timeZone: string): number | string {
  let local: Temporal.PlainDateTime;
  try {
    local = Temporal.PlainDateTime.from(text, { overflow: 'reject' });
  } catch {
    return 'must be a day and a time that exist, such as 2027-04-03T23:30';
  }
  const earlier = local.toZonedDateTime(timeZone, { disambiguation: 'earlier' });
  const later = local.toZonedDateTime(timeZone, { disambiguation: 'later' });
  if (earlier.epochMilliseconds === later.epochMilliseconds) return earlier.epochMilliseconds;
  if (earlier.toPlainDateTime().equals(local)) {
    const [first, second] = [utc(earlier.epochMilliseconds), utc(later.epochMilliseconds)];
    return `comes twice in ${timeZone}, where clocks go back: at ${first} and at ${second}; say which by startAt`;
  }
  const change = earlier.getTimeZoneTransition('next')!;
  const before = change.toInstant().toZonedDateTimeISO(earlier.offset).toPlainDateTime().toString({ smallestUnit: 'minute' });
  const after = change.toPlainDateTime().toString({ smallestUnit: 'minute' });
  return `does not exist in ${timeZone}: there clocks go from ${before} straight to ${after}`;
}

function fromInstant(text: string): number | string {
  try {
    return Temporal.Instant.from(text).epochMilliseconds;
  } catch {
    return 'must be an instant that exists, such as 2027-04-03T23:30:00Z';
  }
}

/** When a screening begins, ms since the epoch, or what is wrong with what was said of it. */
export function readStart({ startAt, localStartAt }: Wanted, timeZone: string, nowMs: number): number | InputError {
  if (startAt === undefined && localStartAt === undefined)
    return { pointer: '/startAt', detail: 'is required, or localStartAt in its place' };
  if (startAt !== undefined && localStartAt !== undefined)
    return { pointer: '/localStartAt', detail: 'must not be given together with startAt' };
  const pointer = startAt === undefined ? '/localStartAt' : '/startAt';
  const at = startAt === undefined ? fromWallClock(localStartAt!, timeZone) : fromInstant(startAt);
  if (typeof at === 'string') return { pointer, detail: at };
  if (at <= nowMs) return { pointer, detail: 'must be in the future' };
  if (at > nowMs + MOST_DAYS_AHEAD * DAY_MS) return { pointer, detail: `must be at most ${MOST_DAYS_AHEAD} days ahead` };
  return at;
}

/** @throws Problem `movie-retired`, `movie-without-minutes` (409) */
function screenable({ title, minutes, retired }: Film): number {
  if (retired) throw new Problem('movie-retired', 409, `${title} is retired: it gets no new screenings`);
  if (minutes === null) {
    const detail = `nobody has said how long ${title} runs: set its minutes first`;
    throw new Problem('movie-without-minutes', 409, detail);
  }
  return minutes;
}

/** @throws Problem `wrong-currency` (400) */
function inCurrency(wanted: string | undefined, { currency, cinemaName }: Venue): void {
  if (wanted === undefined || wanted === currency) return;
  const detail = `${cinemaName} sells in ${currency}`;
  throw new Problem('wrong-currency', 400, detail, { currency, errors: [{ pointer: '/currency', detail }] });
}

/**
 * A screening with all that it holds of its film and place.
 *
 * @param nowMs  ms since the epoch
 * @throws Problem `invalid-input`, `wrong-currency` (400), `movie-retired`, `movie-without-minutes` (409)
 */
export function planned(wanted: Wanted, film: Film, venue: Venue, nowMs: number): ScreeningState {
  inCurrency(wanted.currency, venue);
  const { priceCard, ...place } = venue;
  const start = readStart(wanted, venue.timeZone, nowMs);
  const prices = overridden(priceCard, wanted.prices ?? []);
  const wrong = typeof start === 'number' ? [] : [start];
  if (!hasAdultPrice(prices)) wrong.push({ pointer: '/prices', detail: 'must say what a standard seat costs an adult: the price card does not' }); // prettier-ignore
  if (wrong.length > 0) throw invalidInput(wrong);
  const minutes = screenable(film);
  const { movie, auditorium, language, subtitles, format } = wanted;
  return {
    ...{ ...place, auditorium, movie, title: film.title, minutes, rating: film.rating ?? undefined },
    ...{ startAt: utc(start as number), endAt: utc((start as number) + minutes * MINUTE_MS) },
    ...{ language, subtitles, format, prices },
  };
}

/** How long its auditorium is taken, as PostgreSQL writes a range of time. */
export const busyOf = ({ startAt, endAt }: Pick<ScreeningState, 'startAt' | 'endAt'>): string =>
  `[${startAt},${utc(Date.parse(endAt) + TURNOVER_MINUTES * MINUTE_MS)})`;

/** What is to come of a screening may change. @throws Problem `screening-cancelled`, `screening-over` (409) */
export function standing({ title, startAt, endAt, cancelledAt }: ScreeningState, nowMs: number): void {
  if (cancelledAt) throw new Problem('screening-cancelled', 409, `${title} of ${startAt} was cancelled at ${cancelledAt}`);
  if (Date.parse(endAt) <= nowMs) throw new Problem('screening-over', 409, `${title} of ${startAt} was over at ${endAt}`);
}
