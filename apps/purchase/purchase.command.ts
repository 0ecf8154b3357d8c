import { Controller, Delete, HttpCode, Inject, Param, Patch, Post, Req, Res, UseGuards } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiHeader, ApiOperation, ApiResponse } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Allow, Guest } from '#auth';
import { mailParts, Mail, MailConfig } from '#mail';
import { Problem } from '#problem';
import {
  type Answer,
  answerSchema,
  CommandController,
  commandService,
  Input,
  KeepsOwnAnswers,
  requestOf,
  RequireIdempotencyKey,
  type Schema,
  serve,
} from '#resource';
import { AnswersWithin } from '#service';
import { Staff, staffLearnt } from '#staff';
import { OwnPurchase, Who } from './counter/access.js';
import { BoxOffice } from './counter/box-office.js';
import { Elsewhere, ElsewhereBatch, type ElsewhereOutcome } from './elsewhere/elsewhere.js';
import { Claims } from './hold/claims.js';
import { Holds } from './hold/holds.js';
import { AccessKeys } from './hold/keys.js';
import { Cancellations, Lapses } from './hold/lapses.js';
import { Choice, Order } from './hold/order.js';
import { Programme, screeningsLearnt } from './hold/programme.js';
import { Till } from './hold/till.js';
import { Ledger, LedgerEntry, ReceiptCounter } from './ledger/ledger.js';
import { Checkout, PayChoice } from './counter/pay.js';
import { paymentParts } from './payment/parts.js';
import { Sale } from './payment/sale.js';
import { PurchaseConfig } from './purchase-section.js';
import { answerOf, Purchase, type PurchaseAnswer, SeatClaim } from './purchase.row.js';
import { type Returner, Returns } from './counter/returns.js';
import { Sales } from './sales.js';
import { DoorConfig, DoorController } from './ticket/door.js';
import { ErasedReaders, Letters } from './ticket/letters.js';
import { Tickets } from './ticket/ticket.js';

const ACCESS_KEY = ApiHeader({ name: 'Access-Key', description: "A guest's key, as the purchase told it", required: false });
const whole = answerSchema(Purchase);
const { accessKeyHash: _hidden, ...shown } = whole.properties as Record<string, Schema>;
const WHOLE = { ...whole, properties: shown };
const HELD = { ...whole, properties: { ...shown, accessKey: { type: 'string', description: 'A guest’s, told this once' } } };
const ETAG = { ETag: { description: 'The version', required: true, schema: { type: 'string' as const } } };
const LOCATION = { Location: { description: 'Where it is', required: true, schema: { type: 'string' as const } } };
const Answered = (status: number, description: string, schema = WHOLE) =>
  ApiResponse({ status, description, schema, headers: ETAG });

const OUTCOME = {
  type: 'object' as const,
  properties: {
    status: { type: 'string' as const, enum: ['created', 'existed', 'accepted', 'refused'] },
    id: { type: 'string' as const, format: 'uuid' },
    ...{ type: { type: 'string' as const }, detail: { type: 'string' as const } },
    errors: { type: 'array' as const, items: { type: 'object' as const } },
    taken: { type: 'array' as const, items: { type: 'string' as const }, description: 'The seats that others have' },
  },
  required: ['status'],
};
const OUTCOMES = {
  type: 'object' as const,
  properties: { results: { type: 'array' as const, items: OUTCOME } },
  required: ['results'],
};

type Reply = Pick<FastifyReply, 'status' | 'header'>;

@Controller('purchases')
@Guest()
export class PurchaseCommandController extends CommandController(Purchase, 'purchase') {
  @Inject(BoxOffice) private readonly boxOffice: BoxOffice;
  @Inject(Checkout) private readonly checkout: Checkout;
  @Inject(Sales) private readonly sales: Sales;
  @Inject(Returns) private readonly returns: Returns;
  @Inject(Elsewhere) private readonly elsewhere: Elsewhere;

  /** Hold seats, to be paid until `heldUntilAt`. A guest is told a key, which is asked for with all that follows. */
  @Post()
  @KeepsOwnAnswers()
  @ApiResponse({ status: 201, description: 'The seats are held', schema: HELD, headers: { ...ETAG, ...LOCATION } })
  override async create(
    @Input(Order) order: Purchase & Order,
    @Req() request?: FastifyRequest,
    @Res({ passthrough: true }) reply?: Reply,
  ): Promise<Answer<Purchase>> {
    // A guest is nobody: two of them may well make up the same key.
    const asked = requestOf(request!, order.email === undefined ? '' : `guest ${order.email.toLowerCase()}`);
    const { answer, isRepeated } = await this.boxOffice.sell(order, asked);
    if (isRepeated) void reply!.header('Idempotency-Replayed', 'true');
    return answer;
  }

  /** Pay what is held: 200 when it is paid, 202 while the provider, or the buyer at `payment.redirectUrl`, still has something to do. */
  @Post(':id/pay')
  @AnswersWithin(2800) // for the provider's answer, `payment.askMs`
  @HttpCode(200)
  @KeepsOwnAnswers()
  @UseGuards(OwnPurchase)
  @ACCESS_KEY
  @ApiOperation({ operationId: 'purchasePay', summary: 'Pay a purchase' })
  @Answered(200, 'Paid')
  @Answered(202, 'Being paid: the buyer goes on at `payment.redirectUrl`')
  async pay(
    @Param('id') id: string,
    @Input(PayChoice, { isOptional: true }) choice: PayChoice,
    @Who() who: Returner,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<PurchaseAnswer> {
    const purchase = await this.checkout.pay(id, choice, requestOf(request), who);
    if (purchase.state === 'paying') void reply.status(202);
    return answerOf(purchase);
  }

  /** Let the seats of an unpaid purchase go. @throws Problem `purchase-state`, `hold-expired` (409) */
  @Post(':id/cancel')
  @HttpCode(200)
  @RequireIdempotencyKey()
  @UseGuards(OwnPurchase)
  @ACCESS_KEY
  @Answered(200, 'Cancelled')
  async cancel(@Param('id') id: string, @Who() { by }: Returner): Promise<PurchaseAnswer> {
    return answerOf(await this.sales.cancel(id, by));
  }

  /** Give a paid purchase back. @throws Problem `refund-too-late`, `ticket-used`, `purchase-state` (409) */
  @Post(':id/refund')
  @HttpCode(200)
  @RequireIdempotencyKey()
  @UseGuards(OwnPurchase)
  @ACCESS_KEY
  @Answered(200, 'Given back')
  async refund(@Param('id') id: string, @Who() who: Returner): Promise<PurchaseAnswer> {
    return answerOf(await this.returns.refund(id, who));
  }

  /** Take other seats, or another screening of the cinema, for what was paid; what they cost less goes back. Answers the new purchase. */
  @Post(':id/exchange')
  @RequireIdempotencyKey()
  @UseGuards(OwnPurchase)
  @ACCESS_KEY
  @ApiResponse({ status: 201, description: 'The purchase that took its place', schema: WHOLE, headers: { ...ETAG, ...LOCATION } })
  async exchange(@Param('id') id: string, @Input(Choice) choice: Choice, @Who() who: Returner): Promise<PurchaseAnswer> {
    return answerOf(await this.returns.exchange(id, choice, who));
  }

  /** Bring in seats that others have sold, each sale told what became of it, in the order they came. The same reference again is the same sale. */
  @Post('import')
  @HttpCode(200)
  @Allow('manager', 'chain-admin')
  @AnswersWithin(2800)
  @ApiResponse({ status: 200, description: '`results`: what became of each, in the order they came', schema: OUTCOMES })
  async import(@Input(ElsewhereBatch) batch: ElsewhereBatch): Promise<{ results: ElsewhereOutcome[] }> {
    return { results: await this.elsewhere.bring(batch) };
  }

  @Patch(':id')
  @ApiExcludeEndpoint()
  override patch(): Promise<never> {
    return Promise.reject(notAllowed());
  }

  @Delete(':id')
  @ApiExcludeEndpoint()
  override remove(): Promise<never> {
    return Promise.reject(notAllowed());
  }
}

const notAllowed = () =>
  new Problem('method-not-allowed', 405, 'a purchase is paid, cancelled, refunded or exchanged', {}, { Allow: 'GET, HEAD' });

export const PurchaseCommand = commandService({
  name: 'purchase-command',
  row: Purchase,
  controller: PurchaseCommandController,
  also: [DoorController, ...paymentParts.controllers],
  listens: true,
  learns: [staffLearnt, screeningsLearnt],
  tables: [SeatClaim, LedgerEntry, ReceiptCounter, Mail, ...paymentParts.tables],
  sections: [PurchaseConfig, MailConfig, DoorConfig, ...paymentParts.sections],
  controllers: [Cancellations, ErasedReaders],
  providers: [
    ...[
      Staff,
      Sales,
      Claims,
      Ledger,
      Programme,
      Till,
      Holds,
      AccessKeys,
      Lapses,
      BoxOffice,
      Checkout,
      Returns,
      OwnPurchase,
      Elsewhere,
    ],
    ...[Tickets, { provide: Sale, useExisting: Sales }, ...paymentParts.providers, ...mailParts(Letters)],
  ],
  calls: [...paymentParts.calls, 'user-command'],
  secrets: ['PURCHASE_KEY', 'TICKET_KEY', ...paymentParts.secrets],
});

await serve(import.meta, PurchaseCommand);
