import { Controller, Get, Header, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiParam, ApiResponse } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import { Column, Entity, Index } from 'typeorm';
import { Allow, Guest } from '#auth';
import { context } from '#context';
import { Problem } from '#problem';
import { isId, notFound, type Page, QueryController, queryService, Refuses, serve, Shape, ViewRow } from '#resource';
import { Staff, staffLearnt } from '#staff';
import type { Tax } from '../cinema/cinema.events.js';
import type {
  Line,
  Payment,
  PurchaseEvents,
  PurchaseProgress,
  PurchaseState,
  Refund,
  Show,
  Step,
  Ticket,
} from './purchase.events.js';
import { TicketKeysController } from './ticket/published.js';
import { ticketsPdf } from './ticket/paper.js';
import { qrPng, qrSvg } from './ticket/qr.js';
import { languageOf } from './ticket/words.js';
import { visibleTo } from './view/access.js';
import { columns, PROGRESS } from './view/shapes.js';
import { timelineOf } from './view/timeline.js';

@Entity('purchase_view')
@Index('purchase_view_made', ['createdAt', 'id'])
@Index('purchase_view_of_customer', ['customer', 'createdAt', 'id'])
@Index('purchase_view_of_cinema', ['cinema', 'createdAt', 'id'])
@Index('purchase_view_of_screening', ['screening', 'createdAt', 'id'])
@Index('purchase_view_receipt', ['receipt', 'cinema'])
@Index('purchase_view_start', ['startAt', 'id'])
export class PurchaseView extends ViewRow implements PurchaseState {
  @Column('uuid') chain: string;
  @Column('uuid') cinema: string;
  @Column('uuid') screening: string;
  @Column('varchar', { nullable: true }) customer?: string;
  @Column('varchar', { nullable: true, select: false }) accessKeyHash?: string;
  @Column('varchar', { nullable: true }) soldBy?: string;
  @Column({ type: 'varchar', enum: [...PROGRESS] }) state: PurchaseProgress;
  @Shape(columns.lines) @Column('jsonb') lines: Line[];
  @Column('int') totalMinor: number;
  @Column('int') taxMinor: number;
  @Shape(columns.tax) @Column('jsonb') tax: Tax;
  @Column('varchar') currency: string;
  @Column('timestamptz') heldUntilAt: string;
  @Shape(columns.payment) @Column('jsonb', { nullable: true }) payment?: Payment;
  @Column('int', { nullable: true }) receipt?: number;
  @Column('timestamptz', { nullable: true }) paidAt?: string;
  @Shape(columns.tickets) @Column('jsonb', { nullable: true }) tickets?: Ticket[];
  @Shape(columns.refund) @Column('jsonb', { nullable: true }) refund?: Refund;
  @Column('uuid', { nullable: true }) exchangedFor?: string;
  @Column('uuid', { nullable: true }) exchangeOf?: string;
  @Shape(columns.show) @Column('jsonb') show: Show;
  @Shape(columns.history) @Column('jsonb') history: Step[];
  /** When it was first held. */
  @Column('timestamptz') createdAt: string;
  /** When its screening starts. */
  @Column('timestamptz') startAt: string;
}

/** Roles whose sales are those of where they act. */
const STAFF: readonly string[] = ['cashier', 'usher', 'manager', 'chain-admin'];

const AccessKey = () =>
  ApiHeader({ name: 'Access-Key', description: 'A guest’s, as the purchase was answered with it', required: false });
const AcceptLanguage = () =>
  ApiHeader({ name: 'Accept-Language', description: '`es` or `en`; Spanish without', required: false });
const One = () => ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } });
const OneTicket = () => ApiParam({ name: 'ticket', schema: { type: 'string', format: 'uuid' } });
const Answers = (type: string, description: string, schema: object = { type: 'string', format: 'binary' }) =>
  ApiResponse({ status: 200, description, content: { [type]: { schema: schema } } });

const text = { type: 'string' };
const instant = { type: 'string', format: 'date-time' };
const TIMELINE_ITEM = { type: 'object', properties: { at: instant, localAt: text, what: text, text, by: text } };
const TIMELINE = { type: 'object', properties: { items: { type: 'array', items: TIMELINE_ITEM } }, required: ['items'] };

/** A ticket opens a door to whoever shows it: nothing on the way keeps one. */
const NoStore = () => Header('Cache-Control', 'private, no-store');

@Controller('purchases')
@Allow('customer', 'cashier', 'usher', 'manager', 'chain-admin')
export class PurchaseQueryController extends QueryController(PurchaseView, {
  filter: [
    ...(['screening', 'cinema', 'state', 'customer', 'receipt'] as const),
    { from: ['createdAt', '>='], to: ['createdAt', '<'], startFrom: ['startAt', '>='], startTo: ['startAt', '<'] },
  ],
  sort: ['-createdAt', 'startAt'],
}) {
  @Inject(Staff) private readonly staff: Staff;

  /** One's own, and, to staff, those of where they act. */
  @Get()
  @Refuses(401, 403)
  override many(@Query() query: Record<string, unknown>): Promise<Page<PurchaseView>> {
    return super.many(query);
  }

  /** One's own, a guest's with its key, or, to staff, one of where they act. @throws Problem `not-found` (404) for every other */
  @Get(':id')
  @Guest()
  @NoStore()
  @AccessKey()
  @Refuses(401)
  override one(
    @Param('id') id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Partial<PurchaseView> | undefined> {
    return super.one(id, headers, reply);
  }

  /** What happened to it, in sentences. @throws Problem `not-found` (404) */
  @Get(':id/timeline')
  @Guest()
  @NoStore()
  @ApiOperation({ operationId: 'purchaseTimeline', summary: 'Read what happened to a purchase' })
  @One()
  @AccessKey()
  @AcceptLanguage()
  @Answers('application/json', 'Everything that happened, the oldest first', TIMELINE)
  @Refuses(401, 404)
  async timeline(
    @Param('id') id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const purchase = await this.visible(id, headers);
    return { items: timelineOf(purchase, speak(headers, reply)) };
  }

  /** Its tickets to be printed. @throws Problem `not-found` (404), `not-paid` (409) */
  @Get(':id/tickets.pdf')
  @Guest()
  @NoStore()
  @ApiOperation({ operationId: 'purchaseTickets', summary: 'Get the tickets as PDF, a page each' })
  @One()
  @AccessKey()
  @AcceptLanguage()
  @Answers('application/pdf', 'The tickets')
  @Refuses(401, 404, 409)
  async pdf(@Param('id') id: string, @Headers() headers: IncomingHttpHeaders, @Res() reply: FastifyReply): Promise<void> {
    const purchase = paid(await this.visible(id, headers));
    const content = await ticketsPdf(purchase, speak(headers, reply));
    void reply.header('Content-Disposition', `inline; filename="tickets-${purchase.id}.pdf"`);
    await reply.type('application/pdf').send(content);
  }

  /** A ticket's code to be scanned. @throws Problem `not-found` (404), `not-paid` (409) */
  @Get(':id/tickets/:ticket/qr.svg')
  @Guest()
  @NoStore()
  @ApiOperation({ operationId: 'purchaseTicketSvg', summary: 'Get the QR code of a ticket as SVG' })
  @One()
  @OneTicket()
  @AccessKey()
  @Answers('image/svg+xml', 'The QR code', text)
  @Refuses(401, 404, 409)
  async svg(
    @Param('id') id: string,
    @Param('ticket') ticket: string,
    @Headers() headers: IncomingHttpHeaders,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await reply.type('image/svg+xml').send(await qrSvg(await this.code(id, ticket, headers)));
  }

  /** The same as a picture of dots. @throws Problem `not-found` (404), `not-paid` (409) */
  @Get(':id/tickets/:ticket/qr.png')
  @Guest()
  @NoStore()
  @ApiOperation({ operationId: 'purchaseTicketPng', summary: 'Get the QR code of a ticket as PNG' })
  @One()
  @OneTicket()
  @AccessKey()
  @Answers('image/png', 'The QR code')
  @Refuses(401, 404, 409)
  async png(
    @Param('id') id: string,
    @Param('ticket') ticket: string,
    @Headers() headers: IncomingHttpHeaders,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await reply.type('image/png').send(await qrPng(await this.code(id, ticket, headers)));
  }

  protected override async bounds(add: (value: unknown) => string, headers?: IncomingHttpHeaders): Promise<string> {
    const caller = context()?.caller;
    const isStaff = caller?.roles.some((role) => STAFF.includes(role)) === true;
    return visibleTo({ caller, headers, bounds: isStaff ? await this.staff.bounds() : undefined }, add);
  }

  /** The purchase as the caller may see it now. @throws Problem `not-found` (404) */
  private async visible(id: string, headers: IncomingHttpHeaders): Promise<PurchaseView> {
    if (!isId(id)) throw notFound('purchase', id);
    const values: unknown[] = [id];
    const bounds = await this.bounds((value) => `$${values.push(value)}`, headers);
    const sql = `SELECT v.* FROM purchase_view v WHERE v.id = $1 AND NOT v.removed AND (${bounds})`;
    const [found] = await this.storage.query<PurchaseView>(sql, values);
    if (!found) throw notFound('purchase', id);
    return found;
  }

  private async code(id: string, ticket: string, headers: IncomingHttpHeaders): Promise<string> {
    const found = paid(await this.visible(id, headers)).tickets?.find((each) => each.id === ticket);
    if (!found) throw notFound('ticket', ticket);
    return found.code;
  }
}

/** Answer in the language that is asked for. */
function speak(headers: IncomingHttpHeaders, reply: FastifyReply) {
  const language = languageOf(headers['accept-language']);
  void reply.headers({ 'Content-Language': language, Vary: 'Accept-Language' });
  return language;
}

/** @throws Problem `not-paid` (409) unless its tickets are good */
function paid(purchase: PurchaseView): PurchaseView {
  if (purchase.state !== 'paid')
    throw new Problem('not-paid', 409, `there are no tickets: the purchase is ${purchase.state}`, { state: purchase.state });
  return purchase;
}

const project = (state: PurchaseState): Partial<PurchaseView> => ({
  ...{ chain: state.chain, cinema: state.cinema, screening: state.screening, customer: state.customer },
  ...{ accessKeyHash: state.accessKeyHash, soldBy: state.soldBy, state: state.state, lines: state.lines },
  ...{ totalMinor: state.totalMinor, taxMinor: state.taxMinor, tax: state.tax, currency: state.currency },
  ...{ heldUntilAt: state.heldUntilAt, payment: state.payment, receipt: state.receipt, paidAt: state.paidAt },
  ...{ tickets: state.tickets, refund: state.refund, exchangedFor: state.exchangedFor, exchangeOf: state.exchangeOf },
  ...{ show: state.show, history: state.history, startAt: state.show.startAt },
  createdAt: state.history[0]?.at ?? state.heldUntilAt,
});

export const PurchaseQuery = queryService<PurchaseView, PurchaseEvents>({
  name: 'purchase-query',
  view: PurchaseView,
  controller: PurchaseQueryController,
  also: [TicketKeysController],
  learns: [staffLearnt],
  providers: [Staff],
  secrets: ['TICKET_KEY'],
  on: {
    ...{ 'purchase.held': project, 'purchase.paying': project, 'purchase.declined': project, 'purchase.paid': project },
    ...{ 'purchase.expired': project, 'purchase.cancelled': project, 'purchase.refunded': project },
    ...{ 'purchase.exchanged': project, 'purchase.admitted': project, 'purchase.changed': project },
  },
});

await serve(import.meta, PurchaseQuery);
