import { createHash } from 'node:crypto';
import { invalidInput } from '#problem';
import { escaped } from '../input.js';
import { isId, type RequestError } from '../row.js';

/** What a list is ordered by; equal values are told apart by id, and rows without a value come last in both directions. */
export interface Order {
  /** SQL expression. */
  sql: string;
  /** Its SQL type. */
  type: string;
  isDescending: boolean;
  isNullable: boolean;
}

/** The last row of a page, by which the next page begins. */
export interface Place {
  /** The row's value of the order, as PostgreSQL writes it: a JavaScript date or float would lose digits, and a row with them. */
  value: string | null;
  id: string;
}

/** A parameter of the query is wrong: 400 `invalid-input`. */
export const invalidQuery = (name: string, detail: string) =>
  invalidInput([{ pointer: `/${escaped(name)}`, in: 'query', detail } as RequestError]);

/** What a cursor belongs to: a list with these parameters and no other. */
export const fingerprint = (parameters: Readonly<Record<string, string>>): string =>
  createHash('sha256')
    .update(JSON.stringify(Object.entries(parameters).sort()))
    .digest('base64url')
    .slice(0, 8);

/** The opaque text that leads from `place` on. */
export const toCursor = ({ value, id }: Place, print: string): string =>
  Buffer.from(JSON.stringify([print, id, value])).toString('base64url');

/** The place that a cursor leads from. @throws Problem `invalid-input` (400) when it is malformed or of another list */
export function fromCursor(cursor: string, print: string): Place {
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    throw malformed();
  }
  if (!Array.isArray(read) || read.length !== 3) throw malformed();
  const [made, id, value] = read as unknown[];
  if (typeof id !== 'string' || !isId(id) || (typeof value !== 'string' && value !== null)) throw malformed();
  if (made !== print) throw invalidQuery('cursor', 'belongs to a list with other parameters: begin without it');
  return { value, id };
}

const malformed = () => invalidQuery('cursor', 'is not one that a list gave as `next`');

/** SQL: in what order rows come. */
export function orderBy({ sql, isDescending, isNullable }: Order): string {
  const direction = isDescending ? 'DESC' : 'ASC';
  return `${sql} ${direction}${isNullable ? ' NULLS LAST' : ''}, v.id ${direction}`;
}

/**
 * SQL: the rows after `place`. Rows inserted or removed meanwhile move no other row to another page.
 *
 * @param parameter  adds a value to the statement and gives its `$n`
 */
export function after(
  { sql, type, isDescending, isNullable }: Order,
  { value, id }: Place,
  parameter: (value: string) => string,
): string {
  const beyond = isDescending ? '<' : '>';
  const rowId = `${parameter(id)}::uuid`;
  if (value === null) return `(${sql} IS NULL AND v.id ${beyond} ${rowId})`;
  const next = `(${sql}, v.id) ${beyond} (${parameter(value)}::${type}, ${rowId})`;
  return isNullable ? `(${next} OR ${sql} IS NULL)` : next;
}
