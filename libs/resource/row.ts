import { Column, PrimaryColumn, VersionColumn } from 'typeorm';
import { context } from '#context';
import { invalidInput, Problem } from '#problem';

/** The class of a row: what it is made by, and which of its columns leave the process. */
export interface RowClass<T extends Row> {
  new (): T;
  readonly name: string;
  readonly shown: readonly string[];
  readonly personal: readonly string[];
  state(row: Row): Record<string, unknown>;
}

/**
 * A row of the write side. A caller can set the columns with validators and no others; a column that the caller may leave out needs
 * `@IsOptional()`.
 */
export abstract class Row {
  @PrimaryColumn('uuid') id: string;
  @VersionColumn() version: number;

  /** The columns that events and answers hold. What is not named here never leaves: no hash and no secret by accident. */
  static readonly shown: readonly string[] = [];

  /** Those of them that say something of a person when the row is about one: erasing the person blanks them in audit records too. */
  static readonly personal: readonly string[] = [];

  /** What others may know of `row`: its shown columns, those without a value left out. */
  static state(this: { readonly shown: readonly string[] }, row: Row): Record<string, unknown> {
    const all = row as unknown as Readonly<Record<string, unknown>>;
    return Object.fromEntries(
      this.shown.filter((name) => all[name] !== null && all[name] !== undefined).map((name) => [name, all[name]]),
    );
  }
}

/** A row of the read side. */
export abstract class ViewRow {
  @PrimaryColumn('uuid') id: string;
  /** The version of the write side's row that this was made from. */
  @Column('int') version: number;
  /** Kept after removal, unseen, so that an old event repeated later cannot bring the row back. */
  @Column({ default: false, select: false }) removed: boolean;
}

/** What a view's rows are called: `movie` of `MovieView`. */
export const nounOf = (view: { readonly name: string }): string => {
  const noun = view.name.replace(/View$/, '');
  return noun.charAt(0).toLowerCase() + noun.slice(1);
};

const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;

/** Whether `text` can be an id at all; PostgreSQL would answer anything else with an error. */
export const isId = (text: string): boolean => UUID.test(text);

/** There is none of that id: 404 `not-found`. */
export const notFound = (what: string, id: string, headers?: Record<string, string>): Problem =>
  new Problem('not-found', 404, `there is no ${what} ${id.slice(0, 100)}`, {}, headers);

/** The entity tag of a version. */
export const etagOf = (version: number): string => `"${version}"`;

const TAG = /^\s*(W\/)?"([\x21\x23-\x7e]*)"\s*$/;

/**
 * The entity tags of `If-Match` or `If-None-Match`.
 *
 * @returns '*', or each tag with whether it is weak
 * @throws Problem `invalid-input` (400) when the header is malformed
 * @source RFC 9110 §8.8.3, §13.1
 */
export function entityTags(name: string, header: string): '*' | { tag: string; isWeak: boolean }[] {
  if (header.trim() === '*') return '*';
  return header.split(',').map((part) => {
    const match = TAG.exec(part);
    if (!match) throw invalidHeader(name, 'must be * or entity tags such as "3"');
    return { tag: match[2]!, isWeak: match[1] !== undefined };
  });
}

/** Whether a copy with one of the tags of `If-None-Match` is still good; compared weakly, as that header is. */
export function isUnchanged(header: string, version: number): boolean {
  const tags = entityTags('If-None-Match', header);
  return tags === '*' || tags.some(({ tag }) => tag === String(version));
}

/** One wrong query parameter or header; `in` says which, in the words of OpenAPI. */
export interface RequestError {
  pointer: string;
  in: 'query' | 'header';
  detail: string;
}

/** The problem of a wrong header: 400 `invalid-input`. */
export const invalidHeader = (name: string, detail: string): Problem =>
  invalidInput([{ pointer: `/${name}`, in: 'header', detail } as RequestError]);

/** Someone else changed it: 412 when the request said which version it meant, else 409. */
export const stale = (what: string, id: string, version?: number): Problem =>
  new Problem(
    'stale',
    context()?.ifMatch === undefined ? 409 : 412,
    `${what} ${id} changed since it was read: read it again and decide anew`,
    version === undefined ? {} : { version },
  );
