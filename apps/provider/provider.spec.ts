import { createHmac, randomUUID } from 'node:crypto';
import { Body, Controller, HttpCode, Post, Req } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { Public } from '#auth';
import { Problem } from '#problem';
import { type RawRequest, service } from '#service';
import { migrationFor, Storage } from '#storage';
import { startTestMesh, type TestMesh, until as untilNamed } from '#testing';
import { apiKeyOf } from './api.js';
import { sharedKey } from './notices.js';
import { Provider } from './provider.js';
import { ProviderConfig } from './provider-section.js';
import { languageOf } from './words.js';

interface Heard {
  id: string;
  type: string;
  data: Record<string, unknown>;
  signature: string;
  bytes: string;
}
const heard: Heard[] = [];
let refusals = 0;

/** A shop that takes webhooks, or refuses some first. */
@Controller('hook')
@Public()
class Shop {
  @Post()
  @HttpCode(200)
  @RouteConfig({ rawBody: true })
  hear(@Body() body: Omit<Heard, 'signature' | 'bytes'>, @Req() request: RawRequest) {
    if (refusals > 0) {
      refusals--;
      throw new Problem('unavailable', 503, 'not now');
    }
    heard.push({ ...body, signature: String(request.headers['payment-signature']), bytes: String(request.rawBody) });
  }
}
const ShopProcess = service({ name: 'shop', controllers: [Shop] });

let mesh: TestMesh, config: ProviderConfig, key: string;
beforeAll(async () => {
  const settings = {
    'provider.notifyService': 'shop',
    'provider.notifyPath': '/hook',
    'provider.pollMs': 20,
    'provider.lateMs': 30,
  };
  mesh = await startTestMesh({ processes: [Provider, ShopProcess], config: { ...settings, 'provider.notifyMinMs': 10 } });
  config = mesh.running('provider').app.get(ProviderConfig);
  key = `Bearer ${apiKeyOf(sharedKey())}`;
}, 30_000);
afterAll(() => mesh.stop());

const http = () => mesh.http('provider');
const post = (path: string, body: object) => http().post(`/provider/${path}`).set('authorization', key).send(body);
const get = (path: string) => http().get(`/provider/${path}`).set('authorization', key);
const wish = (over: object = {}) => ({
  reference: randomUUID(),
  amountMinor: 2350,
  currency: 'PEN',
  description: 'Alien, 2 × Standard',
  ...over,
});
const until = (test: () => boolean | Promise<boolean>) => untilNamed('it happens', test);
const told = (reference: string) => heard.filter(({ data }) => data.reference === reference);
const start = async (over: object = {}) => (await post('payments', wish(over)).expect(200)).body as Record<string, string>;
const pathOf = (url: string) => new URL(url).pathname;

describe('a payment', () => {
  it('is approved at once, told by a signed webhook, and the same when asked for again', async () => {
    const asked = wish();
    const { body } = await post('payments', asked).expect(200);
    expect(body).toMatchObject({ reference: asked.reference, state: 'approved', amountMinor: 2350, currency: 'PEN' });
    expect((await post('payments', asked).expect(200)).body).toEqual(body);
    expect((await get(`payments/${asked.reference}`).expect(200)).body).toEqual(body);
    await until(() => told(asked.reference).length > 0);
    const [{ signature, bytes, type }] = told(asked.reference) as [Heard];
    const [, t, v1] = /^t=(\d+),v1=([\da-f]{64})$/.exec(signature)!;
    expect(v1).toBe(createHmac('sha256', sharedKey()).update(`${t}.${bytes}`).digest('hex'));
    expect([type, Math.abs(Number(t) - Date.now() / 1000) < 5]).toEqual(['payment.approved', true]);
  });

  it('belongs to its reference: another amount under it is refused', async () => {
    const asked = wish();
    await post('payments', asked).expect(200);
    const { body } = await post('payments', { ...asked, amountMinor: 1 }).expect(409);
    expect(body.type).toBe('/problems/reference-reused');
  });

  it('is asked for once by two who ask at the same time', async () => {
    const asked = wish();
    const both = await Promise.all([post('payments', asked), post('payments', asked)]);
    expect(both.map(({ status, body }) => [status, body.id])).toEqual(Array(2).fill([200, both[0].body.id]));
  });

  it('that nobody asked for is unknown, and nobody without the key asks', async () => {
    await get(`payments/${randomUUID()}`).expect(404);
    await http().post('/provider/payments').send(wish()).expect(401);
    await http().get('/provider/settlement?day=2026-03-28').set('authorization', `${key}x`).expect(401);
    await post('payments', wish({ amountMinor: -5 })).expect(400);
  });

  it('can be declined, come late, be told twice or to nobody', async () => {
    expect(await start({ scenario: 'decline' })).toMatchObject({ state: 'declined', reason: 'insufficient-funds' });
    const [late, silent, twice] = await Promise.all(['late', 'silent', 'twice'].map((scenario) => start({ scenario })));
    expect([late!.state, silent!.state, twice!.state]).toEqual(['pending', 'pending', 'approved']);
    await until(async () => (await get(`payments/${silent!.reference}`)).body.state === 'approved');
    await until(() => told(late!.reference!).length + told(twice!.reference!).length === 3);
    expect(new Set(told(twice!.reference!).map(({ id }) => id)).size).toBe(1);
    expect(told(silent!.reference!)).toEqual([]);
  });

  it('is made before a slow answer comes', async () => {
    config.slowMs = 60_000;
    const asked = wish({ scenario: 'slow' });
    void post('payments', asked).timeout(300).catch(() => undefined); // prettier-ignore
    await until(async () => (await get(`payments/${asked.reference}`)).body.state === 'approved');
  });

  it('is told again and again until the shop takes it', async () => {
    refusals = 3;
    const { reference } = await start();
    await until(() => told(reference!).length > 0);
    expect([refusals, told(reference!).length]).toEqual([0, 1]);
  });
});

describe('the page of a payment', () => {
  const returnUrl = 'http://shop.example/back?purchase=1';
  const open = async (over: object = {}) => pathOf((await start({ scenario: 'redirect', returnUrl, ...over })).redirectUrl!);
  const answer = (path: string, text: string) => http().post(path).type('form').send({ answer: text });

  it('asks the buyer in their language, without scripts, and sends them back', async () => {
    const path = await open({ description: '<b>Alien</b>' });
    const page = await http().get(path).set('accept-language', 'en-GB,es;q=0.5').expect(200);
    expect(page.text).toMatch(/<html lang="en">[^]*&lt;b&gt;Alien[^]*PEN\s23\.50[^]*Approve the payment/);
    expect(page.text).not.toMatch(/<script|\sstyle=|\son\w+=/);
    const policy = page.headers['content-security-policy'];
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self' http:\/\/shop\.example;/);
    expect((await http().get(path)).text).toContain('Aprobar el pago');
    const { headers } = await answer(path, 'approve').expect(303);
    expect(headers.location).toBe(returnUrl);
    expect((await http().get(path)).text).toContain('Pago aprobado');
  });

  it('lets a buyer decline, or decide later, and no decision change', async () => {
    const wanted = wish({ scenario: 'redirect', returnUrl });
    const path = pathOf((await post('payments', wanted)).body.redirectUrl);
    await answer(path, 'later').expect(303);
    expect((await get(`payments/${wanted.reference}`)).body.state).toBe('pending');
    await answer(path, 'decline').expect(303);
    await answer(path, 'approve').expect(303);
    expect((await get(`payments/${wanted.reference}`)).body).toMatchObject({ state: 'declined', reason: 'declined-by-buyer' });
  });

  it('is there for payments alone, and a buyer without a way back stays on it', async () => {
    expect((await http().get('/sandbox/pay/pay_unknown').expect(404)).text).toContain('No hay ningún pago aquí');
    await answer('/sandbox/pay/pay_unknown', 'approve').expect(404);
    const path = await open({ returnUrl: undefined });
    expect((await answer(path, 'later').expect(200)).text).toContain('Pago pendiente');
  });

  it('lapses: the payment is declined when the buyer does not come', async () => {
    const { reference } = await start({ scenario: 'redirect' });
    await mesh
      .running('provider')
      .app.get(Storage)
      .query('UPDATE provider_payment SET "dueAt" = now() WHERE reference = $1', [reference]);
    await until(() => told(reference!).length > 0);
    expect(told(reference!)[0]).toMatchObject({ type: 'payment.declined', data: { reason: 'expired' } });
  });

  it.each([
    ['en;q=0.4, es-CL;q=0.9', 'es'],
    ['fr, en', 'en'],
    ['fr', 'es'],
    ['en;q=0', 'es'],
  ])('is for a reader of %s in %s', (accepted, language) => expect(languageOf(accepted)).toBe(language));
});

describe('a refund', () => {
  const ask = (payment: string, amountMinor: number, reference = randomUUID()) =>
    post('refunds', { reference, payment, amountMinor });

  it('is given once for each reference, and never for more than was paid', async () => {
    const { reference: payment } = await start();
    const reference = randomUUID();
    const { body } = await ask(payment!, 2000, reference).expect(200);
    expect((await ask(payment!, 2000, reference).expect(200)).body).toEqual(body);
    expect((await ask(payment!, 351).expect(409)).body).toMatchObject({ type: '/problems/refund-too-large', leftMinor: 350 });
    await ask(payment!, 350).expect(200);
    const many = await start();
    const answers = await Promise.all([1500, 1500, 1500].map((minor) => ask(many.reference!, minor)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
    await until(() => told(reference).length > 0);
    expect(told(reference)[0]).toMatchObject({ type: 'refund.done', data: { payment, amountMinor: 2000 } });
  });

  it('is for approved payments', async () => {
    const { reference } = await start({ scenario: 'decline' });
    expect((await ask(reference!, 1).expect(409)).body.type).toBe('/problems/payment-not-approved');
    await ask(randomUUID(), 1).expect(404);
    await get(`refunds/${randomUUID()}`).expect(404);
  });

  it('can come late, or not be had for now', async () => {
    const { reference: payment } = await start();
    const reference = randomUUID();
    config.refunds = 'unavailable';
    await ask(payment!, 5, reference).expect(503);
    config.refunds = 'late';
    expect((await ask(payment!, 5, reference).expect(200)).body.state).toBe('pending');
    config.refunds = 'done';
    await until(async () => (await get(`refunds/${reference}`)).body.state === 'done');
  });
});

it('lists the money of a day', async () => {
  const { reference } = await start({ amountMinor: 777 });
  await post('refunds', { reference: randomUUID(), payment: reference, amountMinor: 7 }).expect(200);
  const day = new Date().toISOString().slice(0, 10);
  const { body } = await get(`settlement?day=${day}`).expect(200);
  expect(body.items).toContainEqual(expect.objectContaining({ kind: 'payment', reference, amountMinor: 777, currency: 'PEN' }));
  expect(body.items).toContainEqual(expect.objectContaining({ kind: 'refund', amountMinor: 7 }));
  expect((await get('settlement?day=2020-02-02').expect(200)).body.items).toEqual([]);
  await get('settlement?day=2026-02-30').expect(400);
});

it('keeps tables as its entities say', async () => {
  const { db } = mesh.running('provider').app.get(Storage);
  expect(await migrationFor(db, { process: 'provider', name: 'none', atMs: 0 })).toBeUndefined();
});
