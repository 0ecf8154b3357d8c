import { createHmac, timingSafeEqual } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  Inject,
  Injectable,
  Param,
  Post,
  Query,
  UseGuards,
} from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { IsIn, IsInt, IsOptional, IsString, IsUrl, Length, Matches, Max, Min } from 'class-validator';
import type { FastifyRequest } from 'fastify';
import { Public } from '#auth';
import { environment } from '#config';
import { invalidInput, Problem } from '#problem';
import { Input } from '#resource';
import { Acquirer } from './acquirer.js';
import { sharedKey } from './notices.js';
import { ProviderConfig, SCENARIOS, type Scenario } from './provider-section.js';
import type { ProviderPayment, ProviderRefund } from './provider.row.js';

const MOST_MINOR = 2_000_000_000;
const REFERENCE = /^[\w-]{1,64}$/;

/** A payment that is asked for. */
export class PaymentRequest {
  @IsString() @Matches(REFERENCE) reference: string;
  @IsInt() @Min(1) @Max(MOST_MINOR) amountMinor: number;
  @IsString() @Matches(/^[A-Z]{3}$/) currency: string;
  @IsString() @Length(1, 200) description: string;
  @IsOptional() @IsUrl({ protocols: ['http', 'https'], require_protocol: true, require_tld: false }) returnUrl?: string;
  /** What is to become of it: only a sandbox is told. */
  @IsOptional() @IsIn(SCENARIOS) scenario?: Scenario;
}

/** A refund that is asked for. */
export class RefundRequest {
  @IsString() @Matches(REFERENCE) reference: string;
  @IsString() @Matches(REFERENCE) payment: string;
  @IsInt() @Min(1) @Max(MOST_MINOR) amountMinor: number;
}

/** The API key that belongs to a shared key; who sees the one on a wire cannot sign with the other. */
export const apiKeyOf = (key: string): string => createHmac('sha256', key).update('api key').digest('base64url');

/** Lets the shop in, by its API key. We are a stranger to the mesh, so its tokens are nothing to us. */
@Injectable()
export class ApiKey implements CanActivate {
  canActivate(execution: ExecutionContext): boolean {
    const { authorization = '' } = execution.switchToHttp().getRequest<FastifyRequest>().headers;
    const [given, wanted] = [authorization, `Bearer ${apiKeyOf(sharedKey())}`].map((text) => Buffer.from(text)) as [
      Buffer,
      Buffer,
    ];
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
      throw new Problem('unauthenticated', 401, 'the API key is not ours');
    return true;
  }
}

const without = <T extends object>(row: T): T =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null && value !== undefined)) as T;

const paymentOf = ({ id, reference, amountMinor, currency, state, reason, scenario, settledAt }: ProviderPayment) => {
  const hasPage = scenario === 'redirect' && state === 'pending';
  const redirectUrl = hasPage ? `${environment().publicUrl}/sandbox/pay/${id}` : null;
  return without({ id, reference, amountMinor, currency, state, reason, redirectUrl, settledAt });
};
const refundOf = ({ id, reference, payment, amountMinor, state, settledAt }: ProviderRefund) =>
  without({ id, reference, payment, amountMinor, state, settledAt });

const isDay = (text: unknown): text is string =>
  typeof text === 'string' && /^\d{4}-\d\d-\d\d$/.test(text) && new Date(`${text}T00:00Z`).toJSON()?.startsWith(text);

/** What shops ask of the provider. The gateway routes none of it. */
@Controller('provider')
@ApiExcludeController()
@Public()
@UseGuards(ApiKey)
export class ProviderController {
  constructor(
    @Inject(Acquirer) private readonly acquirer: Acquirer,
    @Inject(ProviderConfig) private readonly config: ProviderConfig,
  ) {}

  /** Ask for a payment; the same reference asked again gets the same one. */
  @Post('payments')
  @HttpCode(200)
  async start(@Input(PaymentRequest) wish: PaymentRequest) {
    const payment = await this.acquirer.start(wish);
    // It is made already: whoever goes away before the answer has to ask again.
    if (payment.scenario === 'slow') await sleep(this.config.slowMs, undefined, { ref: false });
    return paymentOf(payment);
  }

  /** @throws Problem `not-found` (404) when nobody asked for it */
  @Get('payments/:reference')
  async payment(@Param('reference') reference: string) {
    return paymentOf(await this.acquirer.payment(reference));
  }

  /** Ask for a refund; the same reference asked again gets the same one. */
  @Post('refunds')
  @HttpCode(200)
  async refund(@Input(RefundRequest) wish: RefundRequest) {
    return refundOf(await this.acquirer.refund(wish));
  }

  /** @throws Problem `not-found` (404) when nobody asked for it */
  @Get('refunds/:reference')
  async refundOf(@Param('reference') reference: string) {
    return refundOf(await this.acquirer.refundOf(reference));
  }

  /** All money that came and went on a day, UTC. */
  @Get('settlement')
  async settlement(@Query('day') day: unknown) {
    if (!isDay(day)) throw invalidInput([{ pointer: '/day', detail: 'must be a day such as 2026-03-28' }]);
    return { day, items: await this.acquirer.settlement(day) };
  }
}
