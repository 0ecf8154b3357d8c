import { Controller, HttpCode, Inject, Post, Req } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import {
  ApiBearerAuth,
  ApiBody,
  ApiHeader,
  ApiOperation,
  ApiProperty,
  ApiResponse,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import { Matches } from 'class-validator';
import { Allow, currentCaller, Public } from '#auth';
import { Log } from '#log';
import { type Counter, Metrics } from '#metrics';
import { Problem } from '#problem';
import { Input, isId } from '#resource';
import type { RawRequest } from '#service';
import { Staff } from '#staff';
import { Storage } from '#storage';
import { type Notice, PaymentProvider } from './provider.js';
import { type Comparison, Reconciliation } from './reconcile.js';
import { Refunds } from './refunds.js';
import { Settle } from './settle.js';

/** What became of a webhook. */
export class Receipt {
  @ApiProperty({ type: 'boolean', description: 'False when it came before, or concerns nothing of ours' }) taken: boolean;
}

/** Which day to compare. */
export class ReconcileRequest {
  /** A day of the provider's, UTC. */
  @Matches(/^2\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/, { message: 'day must be a day such as 2026-03-28' }) day: string;
}

const problem = (status: number, description: string) =>
  ApiResponse({ status, description, content: { 'application/problem+json': { schema: { $ref: getSchemaPath('Problem') } } } });

const text = { type: 'string' };
const EVENT = {
  type: 'object',
  required: ['id', 'type'],
  properties: { id: text, type: text, at: { ...text, format: 'date-time' }, data: { type: 'object' } },
};
const DIFFERENCE = {
  type: 'object',
  required: ['subject', 'reference', 'kind'],
  properties: {
    subject: { ...text, enum: ['payment', 'refund'] },
    reference: text,
    kind: { ...text, enum: ['missing-there', 'missing-here', 'amount', 'state'] },
    ours: text,
    theirs: text,
  },
};
const COMPARISON = {
  type: 'object',
  required: ['day', 'compared', 'differences'],
  properties: {
    day: { ...text, format: 'date' },
    compared: { type: 'integer', description: 'Payments and refunds on either side' },
    differences: { type: 'array', items: DIFFERENCE },
  },
};

/** Where the provider's webhooks arrive, and where its books are compared with ours. */
@Controller('payments')
@ApiTags('payment')
export class PaymentsController {
  private readonly outcomes: Counter<'outcome'>;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(PaymentProvider) private readonly provider: PaymentProvider,
    @Inject(Settle) private readonly settle: Settle,
    @Inject(Refunds) private readonly refunds: Refunds,
    @Inject(Reconciliation) private readonly reconciliation: Reconciliation,
    @Inject(Staff) private readonly staff: Staff,
    @Inject(Log) private readonly log: Log,
    @Inject(Metrics) metrics: Metrics,
  ) {
    this.outcomes = metrics.counter('payment_webhooks_total', 'What became of webhooks', ['outcome']);
  }

  /**
   * The provider tells what became of a payment or refund. Its effect and the memory of its id commit together, so it has one effect
   * however often it comes. One about a payment that is not ours is taken as well, as Stripe advises: refused, it would come again
   * for days, and the daily comparison finds what it meant.
   *
   * @throws Problem `webhook-forged` (401), `webhook-stale` (401)
   */
  @Post('webhook')
  @HttpCode(200)
  @Public()
  @RouteConfig({ rawBody: true })
  @ApiOperation({ operationId: 'paymentWebhook', summary: 'Tell what became of a payment or refund: for the provider' })
  @ApiHeader({
    name: 'Payment-Signature',
    required: true,
    description: 't=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">',
    schema: text,
  })
  @ApiBody({ schema: EVENT })
  @ApiResponse({ status: 200, description: 'It need not come again', type: Receipt })
  @problem(400, 'It is no event')
  @problem(401, 'It is not signed by the provider, or was signed too long ago')
  @problem(413, 'The body is too large')
  @problem(415, 'The body is of another media type')
  async webhook(@Req() request: RawRequest): Promise<Receipt> {
    const notice = this.read(request);
    const outcome = await this.storage.transaction(() => this.take(notice));
    this.outcomes.inc({ outcome });
    if (outcome === 'unknown')
      this.log.warn('webhook about nothing of ours', { eventId: notice.id, reference: notice.news?.reference });
    return { taken: outcome === 'taken' };
  }

  /** Compare a day's settlement of the provider with our payments and refunds. @throws Problem `out-of-bounds` (403) */
  @Post('reconcile')
  @HttpCode(200)
  @Allow('chain-admin', 'operator')
  @ApiBearerAuth('token')
  @ApiOperation({ operationId: 'paymentReconcile', summary: 'Compare a day with the provider’s settlement' })
  @ApiResponse({ status: 200, description: 'Compared', schema: COMPARISON })
  @problem(400, 'The input is wrong; `errors` names each place')
  @problem(401, 'A valid access token is required')
  @problem(403, 'The caller does not act in all chains')
  @problem(413, 'The body is too large')
  @problem(415, 'The body is of another media type')
  async reconcile(@Input(ReconcileRequest) { day }: ReconcileRequest): Promise<Comparison> {
    // One account at the provider is every chain's.
    if (!currentCaller().roles.includes('operator')) await this.staff.actsEverywhere();
    return this.reconciliation.compare(day);
  }

  private read({ headers, rawBody }: RawRequest): Notice {
    try {
      const header = (name: string) => headers[name]?.toString();
      return this.provider.read(header, rawBody ?? Buffer.alloc(0));
    } catch (error) {
      if (error instanceof Problem) this.outcomes.inc({ outcome: error.type });
      throw error;
    }
  }

  private async take({ id, news }: Notice): Promise<'taken' | 'repeated' | 'unknown'> {
    const [isNew] = await this.storage.query('INSERT INTO webhook_seen (id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id', [
      id,
    ]);
    if (!isNew) return 'repeated';
    if (!news || !isId(news.reference)) return 'unknown';
    const { reference } = news;
    const isOurs = await (news.kind === 'payment'
      ? this.settle.believe(reference, news.word)
      : this.refunds.believe(reference, news.word));
    return isOurs ? 'taken' : 'unknown';
  }
}
