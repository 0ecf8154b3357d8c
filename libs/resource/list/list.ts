import type { Type } from '@nestjs/common';
import { getMetadataArgsStorage } from 'typeorm';
import type { ResourceConfig } from '../config.js';
import { invalidQuery, type Order } from './cursor.js';
import { isId } from '../row.js';

/** What a column holds, as far as a query parameter and a JSON schema care. */
export type Kind = 'text' | 'int' | 'number' | 'boolean' | 'date' | 'instant' | 'id' | 'json';

/** A column of a table or view, as its decorators say. */
export interface ColumnFacts {
  name: string;
  kind: Kind;
  isArray: boolean;
  isNullable: boolean;
  /** The only values it has, if they are few. */
  values?: readonly string[];
  isSelected: boolean;
}

const KINDS: readonly [RegExp, Kind][] = [
  [/^(string|varchar|text|character varying|citext|enum)$/i, 'text'],
  [/^(number|int|int2|int4|integer|smallint)$/i, 'int'],
  [/^(int8|bigint|numeric|decimal|real|float|float4|float8|double precision)$/i, 'number'],
  [/^bool(ean)?$/i, 'boolean'],
  [/^(date)$/, 'date'],
  [/^(timestamptz|timestamp with time zone)$/, 'instant'],
  [/^uuid$/, 'id'],
];
const SQL_TYPES: Readonly<Record<Kind, string>> = {
  ...{
    text: 'text',
    int: 'int',
    number: 'numeric',
    boolean: 'boolean',
    date: 'date',
    instant: 'timestamptz',
    id: 'uuid',
    json: 'jsonb',
  },
};

const kindOf = (type: unknown): Kind => {
  const name = typeof type === 'function' ? type.name : String(type);
  return KINDS.find(([pattern]) => pattern.test(name))?.[1] ?? 'json';
};

/** Every column of `cls`, also those of the classes above it. */
export function columnsOf(cls: Type): Map<string, ColumnFacts> {
  const line = (target: unknown) =>
    typeof target === 'function' && (target === cls || Object.prototype.isPrototypeOf.call(target, cls));
  const columns = getMetadataArgsStorage().columns.filter(({ target }) => line(target));
  return new Map(
    columns.map(({ propertyName: name, options }) => {
      const values = Array.isArray(options.enum) ? options.enum.map(String) : undefined;
      const [isArray, isNullable] = [options.array === true, options.nullable === true];
      return [name, { name, kind: kindOf(options.type), isArray, isNullable, values, isSelected: options.select !== false }];
    }),
  );
}

/** The name of the table or view of `cls`. */
export const tableOf = (cls: Type): string =>
  quoted(getMetadataArgsStorage().tables.find(({ target }) => target === cls)?.name ?? cls.name.toLowerCase());

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const columnSql = (name: string): string => `v.${quoted(name)}`;

/** Text as it is compared and ordered for people: without accents and case. */
export const plain = (sql: string): string => `extensions.plain(${sql})`;

const OPERATORS: Readonly<Record<string, string>> = { gte: '>=', gt: '>', lte: '<=', lt: '<' };

/** A parameter of a list that leaves some rows out. */
export interface Filter {
  parameter: string;
  column: ColumnFacts;
  /** How the column's value is compared with the parameter's. */
  operator: string;
}

/** How a parameter says that it compares otherwise than by equality. */
export type Comparison = '>=' | '>' | '<=' | '<';

/**
 * The parameters that `filter` allows: equality, membership for lists, and `.gte` `.gt` `.lte` `.lt` for what has an order; or
 * the one comparison that is named with the column.
 */
export function filtersOf(
  columns: ReadonlyMap<string, ColumnFacts>,
  filter: Readonly<Record<string, string | readonly [string, Comparison]>>,
): Map<string, Filter> {
  const all = Object.entries(filter).flatMap(([parameter, by]) => {
    const [name, operator] = typeof by === 'string' ? [by] : by;
    const column = columns.get(name);
    if (!column) throw new Error(`there is no column ${name} to filter by`);
    if (operator) return [{ parameter, column, operator }];
    const isOrdered = !column.isArray && ['int', 'number', 'date', 'instant'].includes(column.kind);
    const further = isOrdered ? Object.entries(OPERATORS) : [];
    return [
      { parameter, column, operator: column.isArray ? '@>' : '=' },
      ...further.map(([suffix, operator]) => ({ parameter: `${parameter}.${suffix}`, column, operator })),
    ];
  });
  return new Map(all.map((each) => [each.parameter, each]));
}

const INT_MAX = 2_147_483_647;
// PostgreSQL knows no year 0, and no clocks that are further from UTC.
const isDay = (text: string) =>
  /^(?!0000)\d{4}-\d\d-\d\d$/.test(text) && new Date(`${text}T00:00Z`).toJSON()?.startsWith(text) === true;
const isInstant = (text: string) =>
  /^.{10}T[\d:.]+(Z|[+-](0\d|1[0-5]):\d\d)$/.test(text) && isDay(text.slice(0, 10)) && !Number.isNaN(Date.parse(text));

const CHECKS: Readonly<Record<Kind, [(text: string) => boolean, string]>> = {
  text: [(text) => text.length <= 500 && !text.includes('\0'), 'must be text of at most 500 characters'],
  int: [(text) => /^-?\d{1,10}$/.test(text) && Math.abs(Number(text)) <= INT_MAX, 'must be a whole number'],
  number: [(text) => /^-?\d{1,30}(\.\d{1,30})?$/.test(text), 'must be a number'],
  boolean: [(text) => text === 'true' || text === 'false', 'must be true or false'],
  date: [isDay, 'must be a day such as 1994-09-23'],
  instant: [isInstant, 'must be an instant such as 2026-11-22T20:00:00Z'],
  id: [isId, 'must be an id'],
  json: [() => false, 'cannot be filtered by'],
};

/** SQL: the rows that `filter` lets through. @throws Problem `invalid-input` (400) when `text` is not of the column's type */
export function filterSql({ parameter, column, operator }: Filter, text: string, add: (value: string) => string): string {
  const [isGood, should] = CHECKS[column.kind];
  if (!isGood(text)) throw invalidQuery(parameter, should);
  if (column.values && !column.values.includes(text)) throw invalidQuery(parameter, `must be one of ${column.values.join(', ')}`);
  const value = `${add(text)}::${SQL_TYPES[column.kind]}`;
  const own = columnSql(column.name);
  // A list of varchar meets a list of text only by name.
  return column.isArray
    ? `${own} @> ARRAY[${value}]${column.kind === 'text' ? '::varchar[]' : ''}`
    : `${own} ${operator} ${value}`;
}

/** How a list is ordered by `column`: text as people read it. */
export function orderOf({ name, kind, isNullable }: ColumnFacts, isDescending: boolean): Order {
  const sql = kind === 'text' ? plain(columnSql(name)) : columnSql(name);
  return { sql, type: SQL_TYPES[kind], isDescending, isNullable };
}

/** The parameters of a list, each given once. @throws Problem `invalid-input` (400) naming one that is unknown or repeated */
export function readParameters(query: Readonly<Record<string, unknown>>, known: readonly string[]): Record<string, string> {
  for (const [name, value] of Object.entries(query)) {
    if (!known.includes(name)) throw invalidQuery(name, `is no parameter of this list; there are ${known.join(', ')}`);
    if (typeof value !== 'string') throw invalidQuery(name, 'must be given once');
  }
  return Object.fromEntries(Object.entries(query)) as Record<string, string>;
}

/** How many items a page holds. @throws Problem `invalid-input` (400) */
export function readLimit(text: string | undefined, { pageItems, maxPageItems }: ResourceConfig): number {
  if (text === undefined) return pageItems;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > maxPageItems) throw invalidQuery('limit', `must be a whole number from 1 to ${maxPageItems}`);
  return limit;
}
