import { parse } from 'csv-parse/sync';

/** One record of a file, or what is wrong with the place where one should be. */
export interface FilmRecord {
  /** Counted from 1. */
  line: number;
  values?: Readonly<Record<string, unknown>>;
  fault?: string;
}

/** A film as the API takes it, and by which name the file calls each of its fields. */
export interface Film {
  movie: Record<string, unknown>;
  called: Readonly<Record<string, string>>;
}

/** Something in a record that cannot be a film's. */
export interface FilmFault {
  field: string;
  detail: string;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function fromJson(text: string, line: number): FilmRecord {
  try {
    const values = JSON.parse(text) as unknown;
    return isRecord(values) ? { line, values } : { line, fault: 'is not a JSON object' };
  } catch (error) {
    return { line, fault: `is no JSON: ${(error as Error).message}` };
  }
}

/**
 * The elements of a JSON list, each by itself: one that is broken costs no other. A line that ends within a string ends the
 * element, since JSON's strings cannot, and the next line begins a new one.
 */
function* fromJsonList(text: string): Generator<FilmRecord> {
  let [line, depth, from, startLine, isString] = [1, 0, -1, 1, false];
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    const isEnd = (char === '\n' && isString) || (!isString && depth === 1 && (char === ',' || char === ']'));
    if (isEnd) {
      const element = from < 0 ? '' : text.slice(from, at).trim();
      if (element) yield fromJson(isString ? element.replace(/,$/, '') : element, startLine);
      [from, isString, depth] = [-1, false, char === ']' ? 0 : 1];
    } else if (char === '"') isString = !isString;
    else if (char === '\\' && isString) at++;
    else if (!isString && /[[{]/.test(char)) depth++;
    else if (!isString && /[\]}]/.test(char)) depth--;
    if (!isEnd && from < 0 && depth > 0 && !/[\s[]/.test(char)) [from, startLine] = [at, line];
    if (char === '\n') line++;
  }
  if (depth > 0) yield { line, fault: 'the list does not end' };
}

function fromCsv(text: string): FilmRecord[] {
  const broken: FilmRecord[] = [];
  const rows = parse<{ record: Record<string, string>; info: { lines: number; error?: Error } }>(text, {
    ...{ columns: true, info: true, bom: true, trim: true, skip_empty_lines: true, relax_column_count: true },
    skip_records_with_error: true,
    on_skip: (error) => {
      broken.push({ line: Number((error as { lines?: number } | undefined)?.lines ?? 0), fault: error?.message ?? 'is no CSV' });
      return undefined;
    },
  });
  const records = rows.map(({ record, info }): FilmRecord => {
    if (info.error) return { line: info.lines, fault: info.error.message };
    return { line: info.lines, values: record };
  });
  return [...records, ...broken];
}

/** The records of a file: a JSON list, a JSON object on each line, or CSV with names in its first line. */
export function recordsOf(text: string): FilmRecord[] {
  const start = text.replace(/^\uFEFF/, '').trimStart();
  if (start.startsWith('[')) return [...fromJsonList(text)];
  if (!start.startsWith('{')) return fromCsv(text);
  const lines = text.split('\n').map((line, i) => [line.trim(), i + 1] as const);
  return lines.filter(([line]) => line).map(([line, number]) => fromJson(line, number));
}

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

const isGiven = (value: unknown) => value !== null && value !== undefined && value !== '';
const text = (value: unknown) => (typeof value === 'string' || typeof value === 'number' ? String(value).trim() : value);
const number = (value: unknown) => (typeof value === 'string' && /^\s*\d+\s*$/.test(value) ? Number(value) : value);
/** The parts of a text that holds several. */
const list = (value: unknown, separator: RegExp): unknown =>
  typeof value === 'string' ? value.split(separator).flatMap((part) => part.trim() || []) : value;

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
