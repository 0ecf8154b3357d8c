import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiQuery, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { Column, Entity, Index } from 'typeorm';
import { Public } from '#auth';
import { type BusEvent } from '#bus';
import {
  invalidQuery,
  isId,
  learns,
  listShape,
  notFound,
  objectShape,
  QueryController,
  queryService,
  readParameters,
  serve,
  Shape,
  shapes,
  ViewRow,
} from '#resource';
import type { AuditoriumEvents, AuditoriumState, LayoutEvents, LayoutRow, LayoutState } from './auditorium.events.js';

const ROWS = listShape(
  objectShape({
    name: shapes.text,
    seats: { ...shapes.text, description: 's seat, w wheelchair, c companion, h house, x broken, . gap; capitals: premium' },
  }),
);

// What TypeORM cannot say of an index stands in the migration: names are ordered as people read them.
@Entity('auditorium_view')
@Index('auditorium_view_name', { synchronize: false })
@Index('auditorium_view_cinema', { synchronize: false })
export class AuditoriumView extends ViewRow {
  @Column('uuid') chain: string;
  @Column('uuid') cinema: string;
  @Column('varchar') name: string;
  @Shape(ROWS) @Column('jsonb') layout: LayoutRow[];
  @Column('int') layoutVersion: number;
  @Column('int') capacity: number;
}

/** Every layout there was, kept also when its auditorium is gone. */
@Entity('layout_view')
@Index('layout_view_auditorium', ['auditorium', 'layoutVersion'])
export class LayoutView extends ViewRow {
  @Column('uuid') auditorium: string;
  @Column('int') layoutVersion: number;
  @Shape(ROWS) @Column('jsonb') layout: LayoutRow[];
  @Column('int') capacity: number;
  @Column('timestamptz') since: string;
}

/** A layout as it is answered. */
type Layout = Pick<LayoutView, 'auditorium' | 'layoutVersion' | 'layout' | 'capacity' | 'since'>;

const COLUMNS = 'auditorium, "layoutVersion", layout, capacity, since';
const isCount = (text: string) => /^[1-9]\d{0,8}$/.test(text);

const LAYOUT = {
  title: 'Layout',
  type: 'object',
  properties: {
    auditorium: { type: 'string', format: 'uuid' },
    layoutVersion: { type: 'integer', minimum: 1 },
    layout: ROWS,
    capacity: { type: 'integer' },
    since: { type: 'string', format: 'date-time' },
  },
  required: ['auditorium', 'layoutVersion', 'layout', 'capacity', 'since'],
} as const;
const PAGE = {
  type: 'object',
  properties: { items: { type: 'array', items: LAYOUT }, next: { type: ['string', 'null'] } },
  required: ['items', 'next'],
} as const;
const problem = (status: number, description: string) =>
  ApiResponse({ status, description, content: { 'application/problem+json': { schema: { $ref: getSchemaPath('Problem') } } } });
const ID = ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } });
const NONE = problem(404, 'There is no such thing');

@Controller('auditoriums')
@Public()
export class AuditoriumQueryController extends QueryController(AuditoriumView, {
  filter: ['chain', 'cinema', 'name', 'capacity'],
  sort: 'name',
}) {
  /** The layouts that it has had, the newest first. @throws Problem `not-found` (404) when there is no such auditorium */
  @Get(':id/layouts')
  @ApiOperation({ operationId: 'auditoriumLayouts', summary: 'List the layouts that an auditorium has had, the newest first' })
  @ID
  @ApiQuery({ name: 'limit', required: false, description: 'Items of a page', schema: { type: 'integer', minimum: 1 } })
  @ApiQuery({ name: 'cursor', required: false, description: '`next` of the page before', schema: { type: 'string' } })
  @ApiResponse({ status: 200, description: 'A page', schema: PAGE as never })
  @problem(400, 'The input is wrong; `errors` names each place')
  @NONE
  async layouts(
    @Param('id') id: string,
    @Query() query: Record<string, unknown>,
  ): Promise<{ items: Layout[]; next: string | null }> {
    const { pageItems, maxPageItems } = this.config;
    const { limit: text = String(pageItems), cursor } = readParameters(query, ['limit', 'cursor']);
    const limit = isCount(text) ? Number(text) : 0;
    if (limit < 1 || limit > maxPageItems) throw invalidQuery('limit', `must be a whole number from 1 to ${maxPageItems}`);
    if (cursor !== undefined && !isCount(cursor)) throw invalidQuery('cursor', 'must be the next of the page before');
    const found = await this.found(id, '($2::int IS NULL OR "layoutVersion" < $2)', cursor ? Number(cursor) : null, limit + 1);
    if (found.length === 0 && cursor === undefined) throw notFound('auditorium', id);
    const items = found.slice(0, limit);
    return { items, next: found.length > limit ? String(items.at(-1)!.layoutVersion) : null };
  }

  /** One of them, as it was. @throws Problem `not-found` (404) */
  @Get(':id/layouts/:version')
  @ApiOperation({ operationId: 'auditoriumLayout', summary: 'Get one of the layouts that an auditorium has had' })
  @ID
  @ApiParam({ name: 'version', schema: { type: 'integer', minimum: 1 } })
  @ApiResponse({ status: 200, description: 'It', schema: LAYOUT as never })
  @NONE
  async layout(@Param('id') id: string, @Param('version') version: string): Promise<Layout> {
    const [layout] = isCount(version) ? await this.found(id, '"layoutVersion" = $2', Number(version), 1) : [];
    if (!layout) throw notFound('layout', version);
    return layout;
  }

  private async found(id: string, where: string, value: number | null, limit: number): Promise<Layout[]> {
    if (!isId(id)) return [];
    return this.storage.query<Layout>(
      `SELECT ${COLUMNS} FROM layout_view WHERE auditorium = $1 AND ${where} AND NOT removed ORDER BY "layoutVersion" DESC LIMIT ${limit}`,
      [id, value],
    );
  }
}

const project = ({ chain, cinema, name, layout, layoutVersion, capacity }: AuditoriumState) => ({
  ...{ chain, cinema, name, layout, layoutVersion, capacity },
});
const keep = ({ auditorium, layoutVersion, layout, capacity }: LayoutState, { at: since }: BusEvent<LayoutState>) => ({
  ...{ auditorium, layoutVersion, layout, capacity, since },
});

export const AuditoriumQuery = queryService<AuditoriumView, AuditoriumEvents>({
  name: 'auditorium-query',
  view: AuditoriumView,
  controller: AuditoriumQueryController,
  on: { 'auditorium.created': project, 'auditorium.changed': project, 'auditorium.removed': () => null },
  learns: [learns<LayoutView, LayoutEvents>(LayoutView, { 'layout.created': keep })],
});

await serve(import.meta, AuditoriumQuery);
