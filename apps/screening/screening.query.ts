import { Controller, Get, Headers, Inject, Param, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiParam, ApiProduces, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import { Column, Entity, Index } from 'typeorm';
import { Public } from '#auth';
import { etagOf, isUnchanged, listShape, QueryController, queryService, serve, Shape, ViewRow } from '#resource';
import type { LayoutRow } from '../auditorium/auditorium.events.js';
import type { Price, Tax } from '../cinema/cinema.events.js';
import { FORMATS } from './screening.rules.js';
import type { Format, SalesPolicy, ScreeningEvents, ScreeningState } from './screening.events.js';
import { SeatFeed, SeatNews } from './seats/feed.js';
import { MAP_SCHEMA, POLICY, PRICE, STREAM_SCHEMA, TAX } from './seats/schema.js';
import { SeatMaps, SeatMapVersion, seatsLearnt } from './seats/seat-map.js';
import { SeatsConfig } from './seats/seats-section.js';

// What TypeORM cannot say of an index stands in the migration: expressions, trigrams.
@Entity('screening_view')
@Index('screening_view_title', { synchronize: false })
@Index('screening_view_title_search', { synchronize: false })
@Index('screening_view_cinema', ['cinema', 'startAt', 'id'])
@Index('screening_view_city', ['city', 'startAt', 'id'])
@Index('screening_view_movie', ['movie', 'startAt', 'id'])
@Index('screening_view_auditorium', ['auditorium', 'startAt', 'id'])
@Index('screening_view_start', ['startAt', 'id'])
export class ScreeningView extends ViewRow {
  @Column('uuid') chain: string;
  @Column('uuid') cinema: string;
  @Column('uuid') auditorium: string;
  @Column('uuid') movie: string;
  @Column('varchar') title: string;
  @Column('int') minutes: number;
  @Column('varchar', { nullable: true }) rating?: string;
  @Column('varchar') cinemaName: string;
  @Column('varchar') city: string;
  @Column('varchar') auditoriumName: string;
  @Column('varchar') timeZone: string;
  @Column('varchar') currency: string;
  @Shape(TAX) @Column('jsonb') tax: Tax;
  @Column('timestamptz') startAt: string;
  @Column('timestamptz') endAt: string;
  @Column('varchar') language: string;
  @Column('varchar', { nullable: true }) subtitles?: string;
  @Column({ type: 'varchar', enum: [...FORMATS] }) format: Format;
  /** Of the seat map: as large as all the rest. */
  @Column('jsonb', { select: false }) layout: LayoutRow[];
  @Column('int') layoutVersion: number;
  @Column('int') capacity: number;
  @Shape(listShape(PRICE)) @Column('jsonb') prices: Price[];
  @Shape(POLICY) @Column('jsonb') policy: SalesPolicy;
  @Column() cancelled: boolean;
  @Column('timestamptz', { nullable: true }) cancelledAt?: string;
  @Column('varchar', { nullable: true }) cancelReason?: string;
}

const PROBLEM = { 'application/problem+json': { schema: { $ref: getSchemaPath('Problem') } } };
const text = { schema: { type: 'string' as const } };

const wantsEvents = ({ accept }: IncomingHttpHeaders) => /\btext\/event-stream\b/i.test(accept ?? '');

@Controller('screenings')
@Public()
export class ScreeningQueryController extends QueryController(ScreeningView, {
  filter: [
    ...(['chain', 'cinema', 'city', 'auditorium', 'movie', 'language', 'format', 'cancelled'] as const),
    { from: ['startAt', '>='], to: ['startAt', '<'] },
  ],
  sort: ['startAt', 'title'],
  search: 'title',
}) {
  @Inject(SeatMaps) private readonly maps: SeatMaps;
  @Inject(SeatFeed) private readonly feed: SeatFeed;

  /**
   * Which seats of a screening can be bought; to who accepts `text/event-stream`, as an `EventSource` does, also what happens to them from now on.
   *
   * @throws Problem `not-found` (404), `too-many-viewers` (503)
   */
  @Get(':id/seats')
  @ApiOperation({ operationId: 'screeningSeats', summary: 'Get the seat map, or watch it live' })
  @ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } })
  @ApiHeader({ name: 'If-None-Match', description: 'The ETag that is here already', required: false, ...text })
  @ApiHeader({
    name: 'Last-Event-ID',
    description: 'Of a stream: the last id that was read of one before',
    required: false,
    ...text,
  })
  @ApiProduces('application/json', 'text/event-stream')
  @ApiResponse({
    status: 200,
    description: 'The map; or a stream that begins with it (event `map`) and goes on with what changes (event `seats`)',
    headers: { ETag: { description: 'The version', ...text } },
    content: { 'application/json': { schema: MAP_SCHEMA }, 'text/event-stream': { schema: STREAM_SCHEMA } },
  })
  @ApiResponse({ status: 304, description: 'It is still that version' })
  @ApiResponse({ status: 400, description: 'If-None-Match is malformed', content: PROBLEM })
  @ApiResponse({ status: 404, description: 'There is no such screening', content: PROBLEM })
  @ApiResponse({ status: 503, description: 'Too many watch already; `Retry-After` says when to ask again', content: PROBLEM })
  async seats(
    @Param('id') id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    if (request.method === 'GET' && wantsEvents(headers)) {
      const open = await this.feed.join(id.toLowerCase(), [headers['last-event-id']].flat().at(-1), reply.raw);
      reply.hijack();
      return open();
    }
    const { map, hasNews } = await this.maps.of(id.toLowerCase());
    void reply.headers({ etag: etagOf(map.version), vary: 'Accept', 'cache-control': 'no-cache' });
    const had = headers['if-none-match'];
    // With news that have no version yet the map is not what its version says.
    const isSame = had !== undefined && isUnchanged(had, map.version) && !hasNews;
    await (isSame ? reply.status(304).send() : reply.send(map));
  }
}

const project = ({ cancelledAt, ...state }: ScreeningState) => ({
  ...{ ...state, cancelledAt, cancelled: cancelledAt !== undefined },
  // What is left out would stay as it was before.
  ...{ rating: state.rating, subtitles: state.subtitles, cancelReason: state.cancelReason },
});

export const ScreeningQuery = queryService<ScreeningView, ScreeningEvents>({
  name: 'screening-query',
  view: ScreeningView,
  controller: ScreeningQueryController,
  on: { 'screening.created': project, 'screening.changed': project, 'screening.cancelled': project },
  learns: [seatsLearnt],
  tables: [SeatMapVersion],
  controllers: [SeatNews],
  providers: [SeatMaps, SeatFeed],
  sections: [SeatsConfig],
  stopping: (app) => app.get(SeatFeed).end(),
});

await serve(import.meta, ScreeningQuery);
