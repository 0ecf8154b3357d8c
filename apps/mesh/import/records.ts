import { parse } from 'csv-parse/sync';

/** One record of a file, or what is wrong with the place where one should be. */
export interface FileRecord {
  /** Counted from 1. */
  line: number;
  values?: Readonly<Record<string, unknown>>;
  fault?: string;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function fromJson(text: string, line: number): FileRecord {
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
function* fromJsonList(text: string): Generator<FileRecord> {
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

function fromCsv(text: string): FileRecord[] {
  const broken: FileRecord[] = [];
  const rows = parse<{ record: Record<string, string>; info: { lines: number; error?: Error } }>(text, {
    ...{ columns: true, info: true, bom: true, trim: true, skip_empty_lines: true, relax_column_count: true },
    skip_records_with_error: true,
    on_skip: (error) => {
      broken.push({ line: Number((error as { lines?: number } | undefined)?.lines ?? 0), fault: error?.message ?? 'is no CSV' });
      return undefined;
    },
  });
  const records = rows.map(({ record, info }): FileRecord => {
    if (info.error) return { line: info.lines, fault: info.error.message };
    return { line: info.lines, values: record };
  });
  return [...records, ...broken];
}

/** The records of a file: a JSON list, a JSON object on each line, or CSV with names in its first line. */
export function recordsOf(text: string): FileRecord[] {
  const start = text.replace(/^\uFEFF/, '').trimStart();
  if (start.startsWith('[')) return [...fromJsonList(text)];
  if (!start.startsWith('{')) return fromCsv(text);
  const lines = text.split('\n').map((line, i) => [line.trim(), i + 1] as const);
  return lines.filter(([line]) => line).map(([line, number]) => fromJson(line, number));
}

/** Whether a field of a record says something: in CSV what is left out is empty. */
export const isGiven = (value: unknown): boolean => value !== null && value !== undefined && value !== '';

/** What people call something: a number may be a name. */
export const text = (value: unknown): unknown =>
  typeof value === 'string' || typeof value === 'number' ? String(value).trim() : value;

/** A number that a text may hold; anything else as it is, for the API to judge. */
export const number = (value: unknown): unknown =>
  typeof value === 'string' && /^\s*-?\d+(\.\d+)?\s*$/.test(value) ? Number(value) : value;

/** The parts of a text that holds several. */
export const list = (value: unknown, separator = /[;|]/): unknown =>
  typeof value === 'string' ? value.split(separator).flatMap((part) => part.trim() || []) : value;
