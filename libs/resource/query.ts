import { setTimeout as sleep } from 'node:timers/promises';
import { Get, Headers, Inject, Param, Query, Res, type Type } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import { remainingMs } from '#context';
import { Storage } from '#storage';
import { ResourceConfig } from './config.js';
import { after, fingerprint, fromCursor, invalidQuery, type Order, orderBy, toCursor } from './list/cursor.js';
import {
  type Comparison,
  columnsOf,
  columnSql,
  filtersOf,
  filterSql,
  orderOf,
  plain,
  quoted,
  readLimit,
  readParameters,
  tableOf,
} from './list/list.js';
import { describeQueries } from './openapi/routes.js';
import { etagOf, invalidHeader, isId, isUnchanged, notFound, nounOf, type ViewRow } from './row.js';

/** What a list can be asked for. */
export interface ListOptions<V> {
  /**
   * Columns to filter by, or `{ parameter: column }` where they are called otherwise, or `{ from: ['at', '>='] }` for one comparison.
   * A list column is filtered by membership.
   */
  filter?: readonly (
    (keyof V & string) | Readonly<Record<string, (keyof V & string) | readonly [keyof V & string, Comparison]>>
  )[];
  /** Columns to sort by; the first is the default, backwards with `-` in front. */
  sort: (keyof V & string) | `-${keyof V & string}` | readonly ((keyof V & string) | `-${keyof V & string}`)[];
  /** A text column that `q` searches, forgiving typing errors and accents. It wants a trigram index on `extensions.plain(column)`. */
  search?: keyof V & string;
  /** An order that parameters of its own make, in place of `sort`: the distance from a place. */
  rank?: Ranking;
}

/** How a list is ordered by what its own parameters say, the least first. */
export interface Ranking {
  /** The list is ranked when one of these is given. */
  parameters: readonly string[];
  /** What each item of a ranked list shows: its rank, as a whole number. */
  shows: string;
  /**
   * SQL over `v`, a float8 that is never null, and the most of it that is wanted.
   *
   * @param add  adds a value to the statement and gives its `$n`
   * @throws Problem `invalid-input` (400) when a parameter is malformed
   */
  read(asked: Readonly<Record<string, string>>, add: (value: unknown) => string): { sql: string; most?: number };
}

/** One page of a list. */
export interface Page<V> {
  items: Partial<V>[];
  /** The cursor of the next page, null on the last. */
  next: string | null;
}

type Found = Record<string, unknown> & { id: string; version: number };
interface ListQuery {
  where: string[];
  values: unknown[];
  order: Order;
  /** What each item shows of the order. */
  shows?: string;
}

const adder =
  ({ values }: ListQuery) =>
  (value: unknown): string =>
    `$${values.push(value)}`;

const withoutNulls = <T extends object>(row: T): T =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as T;

/**
 * The read side of a resource: one, and many by filter, order, page and search.
 *
 * @param view     the view's class
 * @param options  what its list can be asked for; anything else is 400
 */
export function QueryController<V extends ViewRow>(view: Type<V>, { filter = [], sort, search, rank }: ListOptions<V>) {
  const columns = columnsOf(view);
  const filters = filtersOf(
    columns,
    Object.fromEntries(filter.flatMap((by) => (typeof by === 'string' ? [[by, by]] : Object.entries(by)))),
  );
  const sorts = (typeof sort === 'string' ? [sort] : sort) as readonly string[];
  const sortable = sorts.map((name) => name.replace(/^-/, ''));
  const ranks = rank?.parameters ?? [];
  const known = [...filters.keys(), ...ranks, 'sort', 'limit', 'cursor', ...(search ? ['q'] : [])];
  const table = tableOf(view);
  // A day stays the text it is: as a JavaScript date it would be midnight somewhere.
  const selected = [...columns.values()]
    .filter(({ isSelected }) => isSelected)
    .map(({ name, kind }) => (kind === 'date' ? `${columnSql(name)}::text AS ${quoted(name)}` : columnSql(name)))
    .join(', ');
  const score =
    search &&
    `(extensions.word_similarity(${plain('$1')}, ${plain(columnSql(search))}) + extensions.similarity(${plain('$1')}, ${plain(columnSql(search))}) / 10)`;

  const readSort = (text: string | undefined, q: string | undefined): Order => {
    if (text === undefined && q !== undefined) return { sql: score!, type: 'float8', isDescending: true, isNullable: false };
    const asked = text ?? sorts[0]!;
    const name = asked.replace(/^-/, '');
    if (!sortable.includes(name))
      throw invalidQuery('sort', `must be one of ${sortable.join(', ')}, with - in front for the other direction`);
    return orderOf(columns.get(name)!, asked.startsWith('-'));
  };

  class Queries {
    @Inject(Storage) protected readonly storage: Storage;
    @Inject(ResourceConfig) protected readonly config: ResourceConfig;

    @Get()
    async many(@Query() query: Record<string, unknown>): Promise<Page<V>> {
      const { limit: items, cursor, ...asked } = readParameters(query, known);
      const limit = readLimit(items, this.config);
      const list = await this.asked(asked);
      const print = fingerprint({ ...asked, sort: asked.sort ?? '' });
      if (cursor !== undefined) list.where.push(after(list.order, fromCursor(cursor, print), adder(list)));
      const found = await this.page(list, limit + 1, asked.q !== undefined);
      const page = found.slice(0, limit);
      const last = found.length > limit ? page.at(-1) : undefined;
      const shown = ({ place, ...row }: Found) => (list.shows ? { ...row, [list.shows]: Math.round(Number(place)) } : row);
      return {
        items: page.map((row) => withoutNulls(shown(row)) as Partial<V>),
        next: last ? toCursor({ id: last.id, value: last.place as string | null }, print) : null,
      };
    }

    @Get(':id')
    async one(
      @Param('id') id: string,
      @Headers() headers: IncomingHttpHeaders,
      @Res({ passthrough: true }) reply: FastifyReply,
    ): Promise<Partial<V> | undefined> {
      const wanted = readMinVersion(headers['min-version']);
      const row = isId(id) ? await this.atLeast(id, wanted, headers) : undefined;
      const isStale = isId(id) && (row?.version ?? 0) < wanted;
      if (!row || row.removed === true) throw notFound(nounOf(view), id, isStale ? { Stale: 'true' } : {});
      if (isStale) void reply.header('Stale', 'true');
      void reply.header('ETag', etagOf(row.version));
      const had = headers['if-none-match'];
      if (had !== undefined && isUnchanged(had, row.version)) return void reply.status(304);
      const { removed: _, ...shown } = row;
      return withoutNulls(shown) as Partial<V>;
    }

    /**
     * SQL over `v`, the view: which rows the caller may see at all, of the list and one by one; the others are not there (404).
     * A subclass whose rows are not everybody's says it here.
     *
     * @param _add      adds a value to the statement and gives its `$n`
     * @param _headers  of the request when it is for one row
     * @returns undefined when all may be seen
     */
    protected bounds(_add: (value: unknown) => string, _headers?: IncomingHttpHeaders): Promise<string | undefined> {
      return Promise.resolve(undefined);
    }

    private async asked({ sort: by, q, ...rest }: Record<string, string>): Promise<ListQuery> {
      const list: ListQuery = { where: ['NOT v.removed'], values: [], order: readSort(by, q) };
      const add = adder(list);
      // What is searched for is `$1`, as its score has it.
      if (q !== undefined) list.where.push(this.searched(q, add));
      const bounds = await this.bounds(add);
      if (bounds !== undefined) list.where.push(`(${bounds})`);
      for (const [name, text] of Object.entries(rest))
        if (!ranks.includes(name)) list.where.push(filterSql(filters.get(name)!, text, add));
      if (!rank || !ranks.some((name) => name in rest)) return list;
      if (by !== undefined) throw invalidQuery('sort', `cannot be given with ${ranks.join(' or ')}: the list has that order`);
      const { sql, most } = rank.read(rest, add);
      if (most !== undefined) list.where.push(`${sql} <= ${add(most)}`);
      return { ...list, order: { sql, type: 'float8', isDescending: false, isNullable: false }, shows: rank.shows };
    }

    /** The row once it has that version, or what there is when the wait is over. */
    private async atLeast(id: string, version: number, headers: IncomingHttpHeaders): Promise<Found | undefined> {
      const until = performance.now() + Math.min(this.config.minVersionWaitMs, remainingMs());
      const values: unknown[] = [id];
      const bounds = await this.bounds((value) => `$${values.push(value)}`, headers);
      const sql = `SELECT ${selected}, v.removed FROM ${table} v WHERE v.id = $1${bounds === undefined ? '' : ` AND (${bounds})`}`;
      for (;;) {
        const [row] = await this.storage.query<Found>(sql, values);
        if ((row?.version ?? 0) >= version || performance.now() >= until) return row;
        await sleep(this.config.minVersionPollMs);
      }
    }

    private searched(q: string, add: (value: unknown) => string): string {
      const { maxSearchLength } = this.config;
      if (q.trim() === '' || q.length > maxSearchLength || q.includes('\0'))
        throw invalidQuery('q', `must be text of 1 to ${maxSearchLength} characters`);
      return `${plain(add(q))} OPERATOR(extensions.<%) ${plain(columnSql(search!))}`;
    }

    private async page({ where, values, order }: ListQuery, rows: number, isSearch: boolean): Promise<Found[]> {
      const sql = `SELECT ${selected}, (${order.sql})::text AS place FROM ${table} v
        WHERE ${where.join(' AND ')} ORDER BY ${orderBy(order)} LIMIT ${rows}`;
      if (!isSearch) return this.storage.query<Found>(sql, values);
      return this.storage.transaction(async (tx) => {
        // The operator that the index serves takes its threshold from a setting and from nowhere else.
        await tx.query(`SELECT set_config('pg_trgm.word_similarity_threshold', $1, true)`, [
          String(this.config.searchSimilarityPercent / 100),
        ]);
        return tx.query<Found[]>(sql, values);
      });
    }
  }
  const shows = rank && { [rank.shows]: { type: 'integer', description: `With ${ranks.join(' or ')}: the rank` } };
  return describeQueries(Queries, view, filters.values(), { sorts: sortable, search, shows });
}

/** @throws Problem `invalid-input` (400) when it is no version */
function readMinVersion(header: string | string[] | undefined): number {
  if (header === undefined) return 0;
  if (typeof header !== 'string' || !/^[1-9]\d{0,8}$/.test(header))
    throw invalidHeader('Min-Version', 'must be a version: a whole number from 1');
  return Number(header);
}
