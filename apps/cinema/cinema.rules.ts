import type { Amenity, Area, Category } from './cinema.events.js';

export const AREAS: readonly Area[] = ['standard', 'premium'];
export const CATEGORIES: readonly Category[] = ['adult', 'child', 'student', 'senior'];
export const AMENITIES: readonly Amenity[] = [
  ...(['parking', 'wheelchair-access', 'hearing-loop', 'bar', 'restaurant', 'wifi', 'imax', 'dolby-atmos'] as const),
];

const CURRENCIES: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'));

/** Whether `code` is a currency in use. @source ISO 4217 */
export const isCurrency = (code: unknown): boolean => typeof code === 'string' && CURRENCIES.has(code);

/** Whether `name` is a zone of the IANA database, in its own spelling; an offset such as `-05:00` knows no summer time. */
export function isTimeZone(name: unknown): boolean {
  if (typeof name !== 'string' || !/^[A-Za-z]/.test(name)) return false;
  try {
    return new Temporal.ZonedDateTime(0n, name).timeZoneId === name;
  } catch {
    return false;
  }
}

/** When a business day of cinemas ends, local time: the last film of Saturday night is Saturday's. */
const DAY_ENDS_AT = '06:00';

/** The first instant of the business day `day`; the day before ends with it. Where clocks skip that hour it is the first one after. */
export const dayBegins = (day: Temporal.PlainDate, timeZone: string): Temporal.Instant =>
  day.toZonedDateTime({ timeZone, plainTime: DAY_ENDS_AT }).toInstant();

/** The business day in which `at` lies. */
export function businessDay(at: Temporal.Instant, timeZone: string): Temporal.PlainDate {
  const date = at.toZonedDateTimeISO(timeZone).toPlainDate();
  return Temporal.Instant.compare(at, dayBegins(date, timeZone)) < 0 ? date.subtract({ days: 1 }) : date;
}

/** `text` as a day of the calendar, such as `2026-11-22`; undefined when it is none, or beyond what cinemas know of. */
export function readDay(text: string): Temporal.PlainDate | undefined {
  if (!/^(19|2\d)\d\d-\d\d-\d\d$/.test(text)) return undefined;
  try {
    return Temporal.PlainDate.from(text, { overflow: 'reject' });
  } catch {
    return undefined;
  }
}
