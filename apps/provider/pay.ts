import { Body, Controller, Get, Headers, Inject, type OnModuleInit, Param, Post, Res } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { Public } from '#auth';
import { Acquirer } from './acquirer.js';
import { headersOf, laterPage, missingPage, paymentPage } from './page.js';
import type { ProviderPayment } from './provider.row.js';
import { languageOf } from './words.js';

const FORM = 'application/x-www-form-urlencoded';
/** Our form has one short field. */
const FORM_BYTES = 1024;

/** The page that a buyer is sent to. Cards are the provider's business: no number of one ever reaches the shop. */
@Controller('sandbox/pay')
@ApiExcludeController()
@Public()
export class PayController implements OnModuleInit {
  constructor(
    @Inject(Acquirer) private readonly acquirer: Acquirer,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
  ) {}

  /** Everything else in the mesh speaks JSON; a page without scripts sends a form. */
  onModuleInit(): void {
    const fastify = this.host.httpAdapter.getInstance<FastifyInstance>();
    fastify.addContentTypeParser(FORM, { parseAs: 'string', bodyLimit: FORM_BYTES }, (_request, text, done) =>
      done(null, Object.fromEntries(new URLSearchParams(text as string))),
    );
  }

  @Get(':id')
  async page(@Param('id') id: string, @Headers('accept-language') accepted: string | undefined, @Res() reply: FastifyReply) {
    const payment = await this.acquirer.opened(id);
    if (payment) show(reply, accepted, paymentPage, payment);
    else show(reply, accepted, (_, language) => missingPage(language));
  }

  /** The buyer's decision. One that comes late, or twice, changes nothing. */
  @Post(':id')
  async answer(
    @Param('id') id: string,
    @Body() form: { answer?: unknown } | undefined,
    @Headers('accept-language') accepted: string | undefined,
    @Res() reply: FastifyReply,
  ) {
    if (form?.answer === 'approve') await this.acquirer.decide(id, 'approved');
    if (form?.answer === 'decline') await this.acquirer.decide(id, 'declined', 'declined-by-buyer');
    const payment = await this.acquirer.opened(id);
    if (!payment) return show(reply, accepted, (_, language) => missingPage(language));
    if (payment.returnUrl !== null) return void reply.headers(headersOf(payment)).redirect(payment.returnUrl, 303);
    show(reply, accepted, payment.state === 'pending' ? laterPage : paymentPage, payment);
  }
}

type Page<P> = (payment: P, language: ReturnType<typeof languageOf>) => string;

function show<P extends ProviderPayment | undefined>(
  reply: FastifyReply,
  accepted: string | undefined,
  page: Page<P>,
  payment?: P,
) {
  const language = languageOf(accepted);
  void reply
    .status(payment ? 200 : 404)
    .headers({ ...headersOf(payment), 'Content-Language': language })
    .type('text/html; charset=utf-8')
    .send(page(payment as P, language));
}
