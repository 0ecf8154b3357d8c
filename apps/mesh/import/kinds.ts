import type { Batches } from './batches.js';
import { clock, FieldFault, type Finding, isInstant, said, type Values } from './finding.js';
import { isGiven, list, number, text } from './records.js';

/** What can be brought in from a file, beside films. */
export interface Kind extends Batches {
  /** What the file calls fields that the API calls otherwise. */
  called: Readonly<Record<string, string>>;
  /** A record as the API takes it. @throws FieldFault where it names what is not there */
  body: (values: Values, find: Finding) => Promise<Values>;
}

type Changeable = Record<string, unknown>;

const isObject = (value: unknown): value is Values => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields of a dotted name as fields of a field: a line of CSV is flat. */
function nested(values: Values): Changeable {
  const all = Object.create(null) as Changeable;
  for (const [name, value] of Object.entries(values)) {
    if (!isGiven(value)) continue;
    const path = name.split('.');
    const last = path.pop()!;
    let at = all;
    for (const step of path) {
      at = (at[step] ??= Object.create(null) as Changeable) as Changeable;
      if (!isObject(at)) throw new FieldFault(name, `cannot be a part of ${step}, which has a value of its own`);
    }
    Object.defineProperty(at, last, { value, enumerable: true, configurable: true, writable: true });
  }
  return all;
}

const mapped = (value: unknown, change: (each: unknown) => unknown): unknown =>
  isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, change(each)])) : value;

/** Prices as the API takes them, which a file may also have by area and category: `{ "standard": { "adult": 2450 } }`. */
const prices = (value: unknown): unknown =>
  isObject(value)
    ? Object.entries(value).flatMap(([area, card]) =>
        isObject(card)
          ? Object.entries(card).map(([category, amount]) => ({ area, category, amountMinor: number(amount) }))
          : [{ area, amountMinor: number(card) }],
      )
    : value;

/** Rows of seats, which a file may also have as a text: `A ss.ss; B SSSS`. */
const layout = (value: unknown): unknown => {
  if (typeof value !== 'string') return value;
  return (list(value, /[;|\n]/) as string[]).map((row) => {
    const [name, seats = ''] = row.split(/\s+/, 2);
    return { name, seats };
  });
};

/** The body of what happens in an auditorium, without what says in which. */
const without = (values: Values, ...names: readonly string[]): Values =>
  Object.fromEntries(Object.entries(values).filter(([name]) => !names.includes(name)));

const cinemas: Kind = {
  ...{ path: '/api/cinemas/import', list: 'cinemas', rows: 20, firstRows: 20, atOnce: 1, isKeyed: true, called: {} },
  async body(values, find) {
    const all = nested(values);
    return {
      ...{ ...all, name: text(all.name), chain: await find.chain(values), position: mapped(all.position, number) },
      ...(isObject(all.tax) ? { tax: { ...all.tax, basisPoints: number(all.tax.basisPoints) } } : {}),
      ...{ amenities: list(all.amenities ?? []), priceCard: prices(all.priceCard) },
    };
  },
};

const auditoriums: Kind = {
  ...{ path: '/api/auditoriums/import', list: 'auditoriums', rows: 20, firstRows: 20, atOnce: 1, isKeyed: true, called: {} },
  async body(values, find) {
    const { id: cinema } = await find.cinema(values);
    return { ...without(values, 'chain'), cinema, name: text(values.name), layout: layout(values.layout) };
  },
};

const customers: Kind = {
  ...{ path: '/api/users/import', list: 'users', rows: 100, firstRows: 40, atOnce: 2, isKeyed: true, called: {} },
  body: (values) => Promise.resolve({ ...values, name: isGiven(values.name) ? text(values.name) : undefined }),
};

const screenings: Kind = {
  ...{ path: '/api/screenings/import', list: 'screenings', rows: 100, firstRows: 40, atOnce: 1, isKeyed: true },
  called: { movie: 'title', localStartAt: 'start', startAt: 'start' },
  async body(values, find) {
    const auditorium = await find.auditorium(values, await find.cinema(values));
    const movie = await find.film(values);
    const start = clock(said(values, 'start'));
    const rest = nested(without(values, 'chain', 'cinema', 'title', 'releaseOn', 'start'));
    return { ...rest, auditorium, movie, [isInstant(start) ? 'startAt' : 'localStartAt']: start, prices: prices(rest.prices) };
  },
};

const sold: Kind = {
  // A sale is done once by its reference; in a batch with a key all of its sales would be one transaction.
  ...{ path: '/api/purchases/import', list: 'sales', rows: 20, firstRows: 20, atOnce: 1, isKeyed: false },
  called: { screening: 'start' },
  async body(values, find) {
    const cinema = await find.cinema(values);
    const screening = await find.screening(values, await find.auditorium(values, cinema), cinema);
    const rest = without(values, 'chain', 'cinema', 'auditorium', 'title', 'releaseOn', 'start');
    const { seats, reference, amountMinor } = rest;
    return { ...rest, screening, seats: list(seats, /[;|,\s]+/), reference: text(reference), amountMinor: number(amountMinor) };
  },
};

/** By what they are called at the command line. */
export const KINDS: Readonly<Record<string, Kind>> = { cinemas, auditoriums, customers, screenings, sold };
