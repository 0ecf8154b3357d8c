import { Controller, Get, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiParam, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import { Column, Entity, Index } from 'typeorm';
import { Allow, currentCaller } from '#auth';
import {
  AnswersOne,
  learns,
  notFound,
  objectShape,
  type Page,
  QueryController,
  queryService,
  serve,
  Shape,
  ViewRow,
} from '#resource';
import { Staff, staffLearnt } from '#staff';
import type { ConsentEvents, Consents, ConsentState, CustomerEvents, CustomerState } from './customer.events.js';

const YES = { type: 'boolean' } as const;
const CONSENTS = objectShape({ newsletter: YES, profiling: YES }, 'newsletter', 'profiling');

// What TypeORM cannot say of an index stands in the migration: expressions, trigrams.
@Entity('customer_view')
@Index('customer_view_name', { synchronize: false })
@Index('customer_view_name_search', { synchronize: false })
@Index('customer_view_phone', ['phone'])
@Index('customer_view_points', ['points', 'id'])
export class CustomerView extends ViewRow {
  @Column('varchar', { nullable: true }) name?: string | null;
  @Column('varchar', { nullable: true }) phone?: string | null;
  @Column({ type: 'varchar', nullable: true, enum: ['es', 'en'] }) language?: 'es' | 'en' | null;
  @Column('int') points: number;
  @Shape(CONSENTS) @Column('jsonb') consents: Consents;
  @Column('boolean', { nullable: true }) erased?: boolean | null;
}

/** What a customer agreed to, and when; nothing of it once the customer is erased. */
@Entity('consent_view')
export class ConsentView extends ViewRow {
  @Index('consent_view_customer') @Column('uuid', { nullable: true }) customer?: string | null;
  @Column('varchar', { nullable: true }) consent?: string | null;
  @Column('boolean', { nullable: true }) given?: boolean | null;
  @Column('timestamptz', { nullable: true }) at?: string | null;
}

const problem = (status: number, description: string) =>
  ApiResponse({ status, description, content: { 'application/problem+json': { schema: { $ref: getSchemaPath('Problem') } } } });
const NONE = problem(404, 'There is no such thing, or it is another customer');
const CUSTOMER = {
  title: 'CustomerView',
  type: 'object',
  properties: {
    id: { type: 'string', format: 'uuid' },
    version: { type: 'integer', minimum: 1 },
    ...{ name: { type: ['string', 'null'] }, phone: { type: ['string', 'null'] }, language: { type: ['string', 'null'] } },
    points: { type: 'integer', minimum: 0 },
    consents: CONSENTS,
    erased: { type: ['boolean', 'null'] },
  },
  required: ['id', 'version', 'points', 'consents'],
} as const;
const INSTANT = { type: 'string', format: 'date-time' } as const;
const CONSENT = { type: 'object', properties: { consent: { type: 'string' }, given: YES, at: INSTANT } } as const;
const EXPORT = {
  type: 'object',
  properties: { exportedAt: INSTANT, customer: CUSTOMER, consents: { type: 'array', items: CONSENT } },
  required: ['exportedAt', 'customer', 'consents'],
} as const;

@Controller('customers')
@Allow('customer')
@ApiBearerAuth('token')
@problem(401, 'A valid access token is required')
@problem(403, 'The caller has no role that may do this')
export class CustomerQueryController extends QueryController(CustomerView, {
  filter: ['phone', 'language', 'points'],
  sort: ['name', 'points'],
  search: 'name',
}) {
  @Inject(Staff) private readonly staff: Staff;

  /** Everyone, for administrators of all chains. @throws Problem `out-of-bounds` (403) */
  @Get()
  @Allow('chain-admin')
  override async many(@Query() query: Record<string, unknown>): Promise<Page<CustomerView>> {
    await this.staff.actsEverywhere();
    return super.many(query);
  }

  /** Whoever is asking. */
  @Get('me')
  @ApiOperation({ operationId: 'customerMe', summary: 'Get the customer who is asking' })
  @AnswersOne(CustomerView)
  me(@Headers() headers: IncomingHttpHeaders, @Res({ passthrough: true }) reply: FastifyReply) {
    return super.one(currentCaller().id, headers, reply);
  }

  /** Oneself. @throws Problem `not-found` (404), for another's id too */
  @Get(':id')
  override async one(
    @Param('id') id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    if (currentCaller().id !== id) throw notFound('customer', id);
    return super.one(id, headers, reply);
  }

  /** All that is kept here of oneself, with the date of each consent. @throws Problem `not-found` (404) */
  @Get(':id/export')
  @ApiOperation({ operationId: 'customerExport', summary: 'Download all that is kept of a customer' })
  @ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } })
  @ApiResponse({ status: 200, description: 'The customer, and each consent with its date', schema: EXPORT as never })
  @NONE
  async export(@Param('id') id: string, @Res({ passthrough: true }) reply: FastifyReply) {
    if (currentCaller().id !== id) throw notFound('customer', id);
    const customer = await this.storage.db.manager.findOneBy(CustomerView, { id, removed: false });
    if (!customer) throw notFound('customer', id);
    const consents = await this.storage.query<ConsentState>(
      'SELECT consent, given, at FROM consent_view WHERE customer = $1 ORDER BY at, id',
      [id],
    );
    void reply.header('Content-Disposition', `attachment; filename="cinemanzana-customer-${id}.json"`);
    return { exportedAt: new Date().toISOString(), customer, consents };
  }
}

const project = ({ name, phone, language, points, consents, erased }: CustomerState) => ({
  ...{ name, phone, language, points, consents, erased },
});
const keep = ({ customer, consent, given, at }: ConsentState) => ({ customer, consent, given, at });
const blank = () => ({ customer: null, consent: null, given: null, at: null });

export const CustomerQuery = queryService<CustomerView, CustomerEvents>({
  name: 'customer-query',
  view: CustomerView,
  controller: CustomerQueryController,
  on: { 'customer.created': project, 'customer.changed': project, 'customer.erased': project },
  learns: [
    staffLearnt,
    learns<ConsentView, ConsentEvents>(ConsentView, { 'customer.consented': keep, 'customer.consentForgotten': blank }),
  ],
  providers: [Staff],
});

await serve(import.meta, CustomerQuery);
