import { createHmac, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { type Call, Client } from '#client';
import { environment } from '#config';
import { newContext, runWith } from '#context';
import { Problem } from '#problem';
import { PaymentConfig } from './payment-section.js';
import {
  type Asked,
  type Notice,
  PaymentProvider,
  type RefundAsked,
  type RefundWord,
  type Settled,
  type Word,
} from './provider.js';

const SERVICE = 'provider';
const METHOD = /^sandbox:(approve|decline|redirect|slow|twice|silent|late)$/;
const SIGNATURE = /^t=(\d{1,12}),v1=([\da-f]{64})$/;

/** A body of the provider's: a payment or a refund. */
interface Body {
  id: string;
  reference: string;
  state: string;
  redirectUrl?: string;
  reason?: string;
}

/** The answers by which a provider says for good that it will not: nothing else is a decline. */
const REFUSALS: ReadonlySet<number> = new Set([400, 422]);

const isNotThere = (error: unknown): boolean => error instanceof Problem && error.status === 404 && error.type === 'not-found';

/** The sandbox provider of this mesh, spoken to as one speaks to a company: by an API key, believing nobody's word without a signature. */
@Injectable()
export class Sandbox extends PaymentProvider {
  override readonly name = 'sandbox';

  constructor(
    @Inject(Client) private readonly client: Client,
    @Inject(PaymentConfig) private readonly config: PaymentConfig,
  ) {
    super();
  }

  override accepts(method: string): boolean {
    return METHOD.test(method);
  }

  override async start({ method, ...asked }: Asked): Promise<Word> {
    const scenario = METHOD.exec(method ?? '')?.[1];
    try {
      return wordOf(await this.call<Body>('POST', '/payments', { ...asked, ...(scenario ? { scenario } : {}) }));
    } catch (error) {
      if (!(error instanceof Problem) || !REFUSALS.has(error.status)) throw error;
      return { state: 'declined', reason: 'refused-by-provider' };
    }
  }

  override async look(reference: string): Promise<Word | undefined> {
    const body = await this.known<Body>(`/payments/${reference}`);
    return body && wordOf(body);
  }

  override async refund({ reference, payment, amountMinor }: RefundAsked): Promise<RefundWord> {
    return refundOf(await this.call<Body>('POST', '/refunds', { reference, payment, amountMinor }));
  }

  override async lookRefund(reference: string): Promise<RefundWord | undefined> {
    const body = await this.known<Body>(`/refunds/${reference}`);
    return body && refundOf(body);
  }

  override async settlement(day: string): Promise<Settled[]> {
    const { items } = await this.call<{ items: Settled[] }>('GET', '/settlement', undefined, { day });
    return items.map(({ kind, reference, amountMinor }) => ({ kind, reference, amountMinor }));
  }

  /** The signature is `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`. @source https://docs.stripe.com/webhooks#verify-manually */
  override read(header: (name: string) => string | undefined, bytes: Buffer): Notice {
    const [, t, given] = SIGNATURE.exec(header('payment-signature') ?? '') ?? [];
    if (t === undefined || given === undefined) throw forged('it carries no signature that could be one');
    const wanted = createHmac('sha256', keyOf()).update(`${t}.`).update(bytes).digest();
    if (!timingSafeEqual(Buffer.from(given, 'hex'), wanted)) throw forged('its signature is not the provider’s');
    const { webhookSeconds } = this.config;
    // Signed, so it is the provider's; but somebody may have kept it.
    if (Math.abs(Date.now() / 1000 - Number(t)) > webhookSeconds)
      throw new Problem('webhook-stale', 401, `it was signed more than ${webhookSeconds} s ago: send it signed anew`, {}, SIGN);
    return noticeOf(JSON.parse(bytes.toString()) as { id?: unknown; type?: unknown; data?: Partial<Body> });
  }

  private async known<T>(path: string): Promise<T | undefined> {
    try {
      return await this.call<T>('GET', path);
    } catch (error) {
      if (isNotThere(error)) return undefined;
      throw error;
    }
  }

  /** One call, by its own clock: who asked us may have gone, and the money moves all the same. */
  private async call<T>(method: Call['method'], path: string, body?: unknown, query?: Call['query']): Promise<T> {
    const headers = { authorization: `Bearer ${createHmac('sha256', keyOf()).update('api key').digest('base64url')}` };
    const call: Call = { method, path: `/provider${path}`, headers, query, timeoutMs: this.config.askMs };
    if (body !== undefined) call.body = body;
    const { body: answer } = await runWith(newContext({ priority: 'critical' }), () => this.client.call<T>(SERVICE, call));
    return answer;
  }
}

function keyOf(): string {
  const key = environment().secret('PROVIDER_KEY');
  if (!key) throw new Error('the secret PROVIDER_KEY is gone');
  return key;
}

function wordOf({ id, state, redirectUrl, reason }: Body): Word {
  const known = state === 'approved' || state === 'declined' ? state : 'pending';
  return { id, state: known, ...(redirectUrl === undefined ? {} : { redirectUrl }), ...(reason === undefined ? {} : { reason }) };
}

const refundOf = ({ id, state }: Body): RefundWord => ({ id, state: state === 'done' ? 'done' : 'pending' });

// Who answers 401 says how to ask, and this is no bearer's token.
const SIGN = { 'WWW-Authenticate': 'Payment-Signature' };
const forged = (detail: string) => new Problem('webhook-forged', 401, detail, {}, SIGN);

function noticeOf({ id, type, data }: { id?: unknown; type?: unknown; data?: Partial<Body> }): Notice {
  if (typeof id !== 'string' || typeof type !== 'string') throw new Problem('bad-request', 400, 'an event has an id and a type');
  const { reference, state } = data ?? {};
  if (typeof reference !== 'string' || typeof state !== 'string') return { id };
  const body = { ...data, reference, state } as Body;
  if (type.startsWith('payment.')) return { id, news: { kind: 'payment', reference, word: wordOf(body) } };
  if (type.startsWith('refund.')) return { id, news: { kind: 'refund', reference, word: refundOf(body) } };
  return { id };
}
