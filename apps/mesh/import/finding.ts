import type { PublicApi } from '../wire/public.js';

/** A field of a record that says something which is not there, or is more than one thing. */
export class FieldFault extends Error {
  constructor(
    readonly field: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** A cinema as names lead to it. */
export interface FoundCinema {
  id: string;
  chain: string;
  name: string;
  /** IANA. */
  timeZone: string;
}

type Item = Record<string, unknown>;
export type Values = Readonly<Record<string, unknown>>;

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
const isCalled = (item: Item, name: string) =>
  UUID.test(name) ? item.id === name.toLowerCase() : String(item.name).toLowerCase() === name.toLowerCase();

/** What a field says; a number may be a name. @throws FieldFault when it says nothing */
export function said(values: Values, field: string): string {
  const value = values[field];
  const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
  if (text === '') throw new FieldFault(field, 'is required');
  return text;
}

function only<T>(found: readonly T[], field: string, none: string, several: string): T {
  if (found.length === 0) throw new FieldFault(field, none);
  if (found.length > 1) throw new FieldFault(field, several);
  return found[0]!;
}

/** Finds what records name as people do; an id is taken for a name too. What was found once is not asked for again. */
export class Finding {
  private readonly kept = new Map<string, Promise<Item[]>>();

  constructor(private readonly api: PublicApi) {}

  /** The chain that `chain` names. @throws FieldFault */
  async chain(values: Values): Promise<string> {
    const name = said(values, 'chain');
    const found = (await this.list('/api/chains')).filter((chain) => isCalled(chain, name));
    return String(only(found, 'chain', `there is no chain ${name}`, `there are several chains ${name}`).id);
  }

  /** The cinema that `cinema` names, and `chain`, where it is there. @throws FieldFault */
  async cinema(values: Values): Promise<FoundCinema> {
    const name = said(values, 'cinema');
    const chain = values.chain ? await this.chain(values) : undefined;
    const all = (await this.list('/api/cinemas')) as unknown as FoundCinema[];
    const found = all.filter((cinema) => isCalled({ ...cinema }, name) && (chain === undefined || cinema.chain === chain));
    return only(
      found,
      'cinema',
      `there is no cinema ${name}`,
      `there are several cinemas ${name}: name the chain too, or the id`,
    );
  }

  /** The auditorium that `auditorium` names, of that cinema. @throws FieldFault */
  async auditorium(values: Values, { id, name: cinema }: FoundCinema): Promise<string> {
    const name = said(values, 'auditorium');
    const found = (await this.list(`/api/auditoriums?cinema=${id}`)).filter((auditorium) => isCalled(auditorium, name));
    return String(only(found, 'auditorium', `there is no auditorium ${name} in ${cinema}`, `there are several of them`).id);
  }

  /** The film that `title` names, and `releaseOn`, where it is there. @throws FieldFault */
  async film(values: Values): Promise<string> {
    const title = said(values, 'title');
    const releaseOn = values.releaseOn ? said(values, 'releaseOn') : undefined;
    const and = releaseOn === undefined ? '' : `&releaseOn=${encodeURIComponent(releaseOn)}`;
    const found = await this.list(`/api/movies?title=${encodeURIComponent(title)}${and}`, 'releaseOn');
    const days = found.map((film) => String(film.releaseOn)).join(', ');
    const none = `there is no film ${title}${releaseOn === undefined ? '' : ` of ${releaseOn}`}`;
    return String(only(found, 'title', none, `there are several films ${title}: name releaseOn too (${days})`).id);
  }

  /** The screening in that auditorium which begins when `start` says, by the cinema's clocks or as an instant. @throws FieldFault */
  async screening(values: Values, auditorium: string, { timeZone }: FoundCinema): Promise<string> {
    const start = said(values, 'start');
    const at = instantOf(start, timeZone);
    const day = [at, at.add({ milliseconds: 1 })].map((instant) => encodeURIComponent(instant.toString()));
    const found = await this.list(`/api/screenings?auditorium=${auditorium}&cancelled=false&from=${day[0]}&to=${day[1]}`);
    return String(only(found, 'start', `there is no screening at ${start}`, 'there are several screenings').id);
  }

  /** @param field  which an answer of 400 is about */
  private async list(path: string, field?: string): Promise<Item[]> {
    const known = this.kept.get(path) ?? this.api.list(path);
    this.kept.set(path, known);
    try {
      return await known;
    } catch (error) {
      if (field === undefined) throw error;
      throw new FieldFault(field, 'cannot be looked for');
    }
  }
}

/** A clock's time, with a blank or a `T` before the hour, as the API takes it. */
export const clock = (text: string): string => text.replace(/^(\d{4}-\d\d-\d\d) +(?=\d)/, '$1T');
/** Whether a time says of itself how far it is from UTC. */
export const isInstant = (text: string): boolean => /(Z|[+-]\d\d:\d\d)$/.test(text);

/** @throws FieldFault when it is no time, or twice one */
function instantOf(start: string, timeZone: string): Temporal.Instant {
  try {
    if (isInstant(start)) return Temporal.Instant.from(start);
    return Temporal.PlainDateTime.from(clock(start), { overflow: 'reject' })
      .toZonedDateTime(timeZone, { disambiguation: 'reject' })
      .toInstant();
  } catch {
    throw new FieldFault('start', `must be a day and a time such as 2027-04-03T20:30, which comes once in ${timeZone}`);
  }
}
