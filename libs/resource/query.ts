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
}

const withoutNulls = <T extends object>(row: T): T =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as T;

/**
 * The read side of a resource: one, and many by filter, order, page and search.
 *
 * @param view     the view's class
 * @param options  what its list can be asked for; anything else is 400
 */
export function QueryController<V extends ViewRow>(view: Type<V>, { filter = [], sort, search }: ListOptions<V>) {
  const columns = columnsOf(view);
  const filters = filtersOf(
    columns,
    Object.fromEntries(filter.flatMap((by) => (typeof by === 'string' ? [[by, by]] : Object.entries(by)))),
  );
  const sorts = (typeof sort === 'string' ? [sort] : sort) as readonly string[];
  const sortable = sorts.map((name) => name.replace(/^-/, ''));
  const known = [...filters.keys(), 'sort', 'limit', 'cursor', ...(search ? ['q'] : [])];
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
      const asked = readParameters(query, known);
      const { sort: by, limit: items, cursor, q, ...rest } = asked;
      const limit = readLimit(items, this.config);
      const list: ListQuery = { where: ['NOT v.removed'], values: [], order: readSort(by, q) };
      const add = (value: unknown) => `$${list.values.push(value)}`;
      if (q !== undefined) list.where.push(this.searched(q, add));
      for (const [name, text] of Object.entries(rest)) list.where.push(filterSql(filters.get(name)!, text, add));
      const print = fingerprint({ ...rest, ...(q === undefined ? {} : { q }), sort: by ?? '' });
      if (cursor !== undefined) list.where.push(after(list.order, fromCursor(cursor, print), add));
      const found = await this.page(list, limit + 1, q !== undefined);
      const page = found.slice(0, limit);
      const last = found.length > limit ? page.at(-1) : undefined;
      return {
        items: page.map(({ place: _, ...row }) => withoutNulls(row) as Partial<V>),
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
      const row = isId(id) ? await this.atLeast(id, wanted) : undefined;
      const isStale = isId(id) && (row?.version ?? 0) < wanted;
      if (!row || row.removed === true) throw notFound(nounOf(view), id, isStale ? { Stale: 'true' } : {});
      if (isStale) void reply.header('Stale', 'true');
      void reply.header('ETag', etagOf(row.version));
      const had = headers['if-none-match'];
      if (had !== undefined && isUnchanged(had, row.version)) return void reply.status(304);
      const { removed: _, ...shown } = row;
      return withoutNulls(shown) as Partial<V>;
    }

    /** The row once it has that version, or what there is when the wait is over. */
    private async atLeast(id: string, version: number): Promise<Found | undefined> {
      const until = performance.now() + Math.min(this.config.minVersionWaitMs, remainingMs());
      for (;;) {
        const [row] = await this.storage.query<Found>(`SELECT ${selected}, v.removed FROM ${table} v WHERE v.id = $1`, [id]);
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
  return describeQueries(Queries, view, filters.values(), sortable, search);
}

/** @throws Problem `invalid-input` (400) when it is no version */
function readMinVersion(header: string | string[] | undefined): number {
  if (header === undefined) return 0;
  if (typeof header !== 'string' || !/^[1-9]\d{0,8}$/.test(header))
    throw invalidHeader('Min-Version', 'must be a version: a whole number from 1');
  return Number(header);
}
