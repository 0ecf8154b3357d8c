import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiQuery, ApiResponse } from '@nestjs/swagger';
import { Column, Entity, Index } from 'typeorm';
import { Public } from '#auth';
import {
  invalidQuery,
  isId,
  listShape,
  notFound,
  objectShape,
  type Page,
  QueryController,
  queryService,
  readParameters,
  Refuses,
  serve,
  Shape,
  shapes,
  textShape,
  ViewRow,
} from '#resource';
import { type Board, boardOf, screeningsLearnt } from './board.js';
import type { Amenity, CinemaEvents, CinemaState, Position, Price, Tax } from './cinema.events.js';
import { AMENITIES, AREAS, CATEGORIES, readDay } from './cinema.rules.js';
import { nearby } from './nearby.js';

const { text, id, instant, day, whole } = shapes;
const POSITION = objectShape({ latitude: { type: 'number' }, longitude: { type: 'number' } });
const TAX = objectShape({ name: text, basisPoints: { ...whole, description: 'Hundredths of a percent' } });
const PRICE = objectShape({ area: textShape(AREAS), category: textShape(CATEGORIES), amountMinor: whole });

// What TypeORM cannot say of an index stands in the migration: expressions, trigrams.
@Entity('cinema_view')
@Index('cinema_view_name', { synchronize: false })
@Index('cinema_view_name_search', { synchronize: false })
@Index('cinema_view_city', { synchronize: false })
@Index('cinema_view_chain', ['chain'])
export class CinemaView extends ViewRow {
  @Column('uuid') chain: string;
  @Column('varchar') name: string;
  @Column('varchar') city: string;
  @Column('varchar') country: string;
  @Column('varchar') address: string;
  @Shape(POSITION) @Column('jsonb') position: Position;
  /** Of the position, to count distances from. */
  @Column('double precision', { select: false }) latitude: number;
  @Column('double precision', { select: false }) longitude: number;
  @Column('varchar') timeZone: string;
  @Column('varchar') currency: string;
  @Shape(TAX) @Column('jsonb') tax: Tax;
  @Column({ type: 'varchar', array: true, enum: [...AMENITIES] }) amenities: Amenity[];
  @Shape(listShape(PRICE)) @Column('jsonb') priceCard: Price[];
}

const SCREENING = objectShape(
  {
    ...{ id, startAt: instant, startLocal: { ...instant, description: 'The same instant by the clocks of the cinema' } },
    ...{ auditoriumName: text, format: text, language: text, subtitles: text },
  },
  'subtitles',
);
const FILM = objectShape({ movie: id, title: text, minutes: whole, rating: text, screenings: listShape(SCREENING) }, 'rating');
const BOARD = objectShape({ cinema: id, day, timeZone: text, films: listShape(FILM) });

@Controller('cinemas')
@Public()
export class CinemaQueryController extends QueryController(CinemaView, {
  filter: ['city', 'country', 'chain', 'currency', { amenity: 'amenities' }],
  sort: ['name', 'city'],
  search: 'name',
  rank: nearby,
}) {
  @Get()
  @ApiQuery({
    ...{ name: 'near', required: false, schema: text, example: '-12.04,-77.03' },
    description:
      'Latitude and longitude, degrees: the nearest come first, each with its `distanceMetres`; not together with `sort`',
  })
  @ApiQuery({
    ...{ name: 'withinKm', required: false, schema: { type: 'number', exclusiveMinimum: 0 } },
    description: 'Only those so near, km; with `near`',
  })
  override many(@Query() query: Record<string, unknown>): Promise<Page<CinemaView>> {
    return super.many(query);
  }

  /** What it shows on a business day, which ends at 06:00 of its own clocks. @throws Problem `not-found` (404), `invalid-input` (400) */
  @Get(':id/board')
  @ApiOperation({ operationId: 'cinemaBoard', summary: 'Get what a cinema shows on a business day' })
  @ApiQuery({
    ...{ name: 'day', required: false, schema: { type: 'string', format: 'date' } },
    description: 'Without it the day that it is there now',
  })
  @ApiResponse({ status: 200, description: 'Its films, by their first screening', schema: BOARD })
  @ApiParam({ name: 'id', schema: id })
  @Refuses(400, 404)
  async board(@Param('id') id: string, @Query() query: Record<string, unknown>): Promise<Board> {
    const { day } = readParameters(query, ['day']);
    const wanted = day === undefined ? undefined : readDay(day);
    if (day !== undefined && !wanted) throw invalidQuery('day', 'must be a day from 1900 to 2999, such as 2026-11-22');
    const [cinema] = isId(id)
      ? await this.storage.query<CinemaView>('SELECT id, "timeZone" FROM cinema_view WHERE id = $1 AND NOT removed', [id])
      : [];
    if (!cinema) throw notFound('cinema', id);
    return boardOf(this.storage, cinema, Temporal.Now.instant(), wanted);
  }
}

const project = ({ position, ...rest }: CinemaState) => {
  const { chain, name, city, country, address, timeZone, currency, tax, amenities, priceCard } = rest;
  return {
    ...{ chain, name, city, country, address, position, latitude: position.latitude, longitude: position.longitude },
    ...{ timeZone, currency, tax, amenities, priceCard },
  };
};

export const CinemaQuery = queryService<CinemaView, CinemaEvents>({
  name: 'cinema-query',
  view: CinemaView,
  controller: CinemaQueryController,
  on: { 'cinema.created': project, 'cinema.changed': project, 'cinema.removed': () => null },
  learns: [screeningsLearnt],
});

await serve(import.meta, CinemaQuery);
