import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { isGiven, list, number, text } from './records.js';

/** A film as the API takes it, and by which name the file calls each of its fields. */
export interface Film {
  movie: Record<string, unknown>;
  called: Readonly<Record<string, string>>;
}

/** The public set of 3,201 films that comes with this project. */
export const publicFilms = (): string =>
  join(dirname(createRequire(import.meta.url).resolve('vega-datasets')), '../data/movies.json');

// The public set was saved once in the belief that its Western European letters were a Macintosh's.
const MENDED: Readonly<Record<string, string>> = {
  ...{ È: 'é', Í: 'ê', '˘': 'ù', Ö: '…', Ω: '½', Û: 'ó', '‰': 'ä', '‡': 'à', Ë: 'è', '·': 'á', Ù: 'ô', Î: 'ë' },
};
const mend = (text: string) => text.replace(/[ÈÍ˘ÖΩÛ‰‡Ë·ÙÎ]/g, (letter) => MENDED[letter]!);

/** What must be known of a whole file to read one record of it. */
export interface FileFacts {
  isGarbled: boolean;
  /** The last year that can be meant; a later one lost its century. */
  lastYear: number;
}

/** The last year of the public set, which was gathered in 2010; its films of 1915 to 1946 are written 2015 to 2046. */
const PUBLIC_SET_ENDS = 2011;

/** Garbled letters tell the public set, whatever the file is called: capitals amid small letters, and never a small one with an accent. */
export function factsOf(text: string, thisYear: number): FileFacts {
  const isGarbled = /\p{Ll}[ÈÍËÎÙÛ]|[˘‰‡]/u.test(text) && !/[à-öø-ÿ]/.test(text);
  return { isGarbled, lastYear: isGarbled ? PUBLIC_SET_ENDS : thisYear };
}

const PUBLIC_NAMES = {
  ...{ title: 'Title', releaseOn: 'Release Date', rating: 'MPAA Rating', minutes: 'Running Time min' },
  ...{ genres: 'Major Genre', director: 'Director' },
} as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** Kinds of film that people look for as if they were genres. */
const ALSO_GENRES = ['Science Fiction', 'Fantasy', 'Super Hero'];

/** `Jun 12 1998` as `1998-06-12`; anything else as it is, for the API to judge. */
function day(value: unknown, { lastYear }: FileFacts): unknown {
  const [, month, date, year] = /^([A-Z][a-z]{2})\w* (\d{1,2}),? (\d{4})$/.exec(String(value)) ?? [];
  const at = MONTHS.indexOf(month ?? '');
  if (at < 0) return value;
  const meant = Number(year) > lastYear ? Number(year) - 100 : Number(year);
  return `${meant}-${String(at + 1).padStart(2, '0')}-${date!.padStart(2, '0')}`;
}

function fromPublicSet(values: Readonly<Record<string, unknown>>, facts: FileFacts): Record<string, unknown> {
  const said = (field: keyof typeof PUBLIC_NAMES) => {
    const value = values[PUBLIC_NAMES[field]];
    return facts.isGarbled && typeof value === 'string' ? mend(value) : value;
  };
  const kind = String(values['Creative Type']);
  const genres = [list(said('genres'), /\//), ALSO_GENRES.includes(kind) ? kind : []].flat();
  return {
    // One film is called Unknown, and whoever gathered the set read it as "not known".
    title: text(said('title') ?? (facts.isGarbled ? 'Unknown' : undefined)),
    releaseOn: day(said('releaseOn'), facts),
    minutes: number(said('minutes')),
    rating: said('rating'),
    director: said('director'),
    genres: genres.filter(isGiven),
  };
}

/** A record as the API takes it, whether it has our names or those of the public set (`Title`, `Release Date`, …). */
export function filmOf(values: Readonly<Record<string, unknown>>, facts: FileFacts): Film {
  const isPublicSet = 'Title' in values || 'Release Date' in values;
  const movie = isPublicSet
    ? fromPublicSet(values, facts)
    : { ...values, title: text(values.title), minutes: number(values.minutes), genres: list(values.genres, /[;|]/) };
  return {
    movie: Object.fromEntries(Object.entries(movie).filter(([, value]) => isGiven(value))),
    called: isPublicSet ? PUBLIC_NAMES : {},
  };
}
