import { createHmac, randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { PATH_METADATA } from '@nestjs/common/constants.js';
import { v7 as uuidv7 } from 'uuid';
import { environment } from '#config';
import { service } from '#service';
import { Staff, staffLearnt } from '#staff';
import { migrationFor, Storage } from '#storage';
import { startTestMesh, type TestMesh, until as untilNamed } from '#testing';
import { Provider } from '../../provider/provider.js';
import { ProviderConfig } from '../../provider/provider-section.js';
import type { Payment, RefundReason } from '../purchase.events.js';
import { paymentParts } from './parts.js';
import { Payments } from './payments.js';
import { Sale } from './sale.js';
import { PaymentsController } from './webhook.js';

/** The least that can be sold: one thing each, which is there until it is paid for. What it is told it keeps, with its transaction. */
@Injectable()
class Stall extends Sale {
  pending = (purchase: string, { redirectUrl }: Payment) => this.keep(purchase, `pending ${redirectUrl}`);
  declined = (purchase: string, _payment: string, reason: string) => this.keep(purchase, `declined ${reason}`);
  refunded = (purchase: string) => this.keep(purchase, 'refunded');

  async approved(purchase: string, payment: string) {
    const isSold = (await told(purchase)).includes('approved');
    await this.keep(purchase, isSold ? 'late' : 'approved');
    if (!isSold) return 'paid' as const;
    await giveBack({ purchase, payment }, 'late-approval');
    return 'refunding' as const;
  }

  private async keep(purchase: string, what: string): Promise<void> {
    await ours('INSERT INTO told (purchase, what) VALUES ($1, $2)', purchase, what);
  }
}
Reflect.defineMetadata(PATH_METADATA, '/api/payments', PaymentsController);
const Shop = service({
  name: 'purchase-command',
  ...paymentParts,
  tables: [...paymentParts.tables, staffLearnt.table],
  providers: [...paymentParts.providers, Staff, { provide: Sale, useClass: Stall }],
});

let mesh: TestMesh, payments: Payments, storage: Storage, sandbox: ProviderConfig, operator: string;
beforeAll(async () => {
  const quick = { 'provider.pollMs': 20, 'provider.lateMs': 50, 'provider.notifyMinMs': 10, 'provider.slowMs': 5000 };
  const patient = { 'payment.pollMs': 20, 'payment.askMs': 300, 'payment.retryMinMs': 10, 'payment.retryMaxMs': 50 };
  const daily = { 'payment.reconcileHour': 0, 'payment.reconcilePollMs': 100 };
  mesh = await startTestMesh({ processes: [Shop, Provider], config: { ...quick, ...patient, ...daily } });
  const { app } = mesh.running('purchase-command');
  [payments, storage] = [app.get(Payments), app.get(Storage)];
  sandbox = mesh.running('provider').app.get(ProviderConfig);
  await storage.query('CREATE TABLE told (n serial, purchase uuid, what text)');
  operator = await mesh.bearer('operator');
}, 30_000);
afterEach(() => Object.assign(sandbox, { refunds: 'done', notifyPath: '/api/payments/webhook' }));
afterAll(() => mesh.stop());

const until = (test: () => boolean | Promise<boolean>) => untilNamed('it happens', test);
const ours = (sql: string, ...params: unknown[]) => storage.query<Record<string, unknown>>(sql, params);
const theirs = (sql: string, ...params: unknown[]) =>
  mesh.running('provider').app.get(Storage).query<Record<string, unknown>>(sql, params);
const told = async (purchase: string) =>
  (await ours('SELECT what FROM told WHERE purchase = $1 ORDER BY n', purchase)).map(({ what }) => what as string);
const hears = async (purchase: string, ...what: string[]) => {
  await until(async () => (await told(purchase)).length >= what.length);
  expect(await told(purchase)).toEqual(what);
};
const thing = (id: string = randomUUID()) => ({ id, cinema: randomUUID(), totalMinor: 2350, currency: 'PEN', title: 'Alien' });
const start = async (scenario: string, purchase = randomUUID()) => {
  const wanted = { purchase: thing(purchase), method: `sandbox:${scenario}` };
  const { id } = await storage.transaction((tx) => payments.start(tx, wanted));
  return { purchase, payment: id };
};
/** Attempts that a process wrote and did not ask for: it was killed. */
const leave = (...purchases: string[]) =>
  ours(
    `INSERT INTO payment_attempt (id, purchase, cinema, "amountMinor", currency, title, provider, state)
     SELECT gen_random_uuid(), p, p, 2350, 'PEN', 'Alien', 'sandbox', 'pending' FROM unnest($1::uuid[]) p`,
    purchases,
  );
const finds = (count: number, sql: string, ...params: unknown[]) =>
  until(async () => (await ours(sql, ...params)).length === count);
const giveBack = (of: { purchase: string; payment: string }, reason: RefundReason) =>
  storage.transaction((tx) => payments.refund(tx, { ...of, id: uuidv7(), amountMinor: 2350, currency: 'PEN', reason }));
const refundsOf = (payment: string) => ours('SELECT reason, state FROM payment_refund WHERE payment = $1', payment);

/** Webhooks get lost on their way. */
const lose = () => (sandbox.notifyPath = '/nowhere');

const sign = (body: string, { key = environment().secret('PROVIDER_KEY')!, t = Math.floor(Date.now() / 1000) } = {}) =>
  `t=${t},v1=${createHmac('sha256', key).update(`${t}.${body}`).digest('hex')}`;
const eventOf = (reference: string, state: string, id: string = randomUUID()) =>
  JSON.stringify({ id, type: `payment.${state}`, data: { reference, id: 'pay_x', state, reason: 'said-so' } }, null, 3);
const send = (body: string, signature = sign(body)) =>
  mesh.http('purchase-command').post('/api/payments/webhook').type('json').set('payment-signature', signature).send(body);

describe('a payment', () => {
  it('that is approved at once is paid when its question is answered', async () => {
    const { purchase, payment } = await start('approve');
    await payments.ask(payment);
    await hears(purchase, 'approved');
    const [attempt] = await ours('SELECT state, "providerId" FROM payment_attempt WHERE id = $1', payment);
    expect(attempt).toEqual({ state: 'approved', providerId: expect.stringMatching(/^pay_/) });
  });

  it('that is declined can be tried again', async () => {
    const { purchase } = await start('decline');
    await hears(purchase, 'declined insufficient-funds');
    await start('approve', purchase);
    await hears(purchase, 'declined insufficient-funds', 'approved');
  });

  it('that the buyer decides about leads to a page, and waits for them', async () => {
    const { purchase } = await start('redirect');
    await hears(purchase, expect.stringMatching(/^pending/));
    const [pending] = await told(purchase);
    const path = new URL(pending!.slice('pending '.length)).pathname;
    await mesh.http('provider').post(path).type('form').send({ answer: 'approve' }).expect(200);
    await hears(purchase, pending!, 'approved');
  });

  it('whose answer comes too late is not declined, but asked for again', async () => {
    lose();
    const { purchase, payment } = await start('slow');
    await payments.ask(payment);
    expect(await told(purchase)).toEqual([]);
    await hears(purchase, 'approved');
    expect(await theirs('SELECT 1 FROM provider_payment WHERE reference = $1', payment)).toHaveLength(1);
  });

  it('that nobody told us of is found by asking', async () => {
    lose();
    await hears((await start('silent')).purchase, 'approved');
  });

  it('that was written by a process that was killed before it asked is asked for by another', async () => {
    const purchase = randomUUID();
    await leave(purchase);
    await hears(purchase, 'approved');
  });

  it('that is rolled back was never asked for', async () => {
    let id = '';
    const broken = storage.transaction(async (tx) => {
      id = (await payments.start(tx, { purchase: thing() })).id;
      throw new Error('full');
    });
    await expect(broken).rejects.toThrow('full');
    await payments.ask(id);
    expect(await theirs('SELECT 1 FROM provider_payment WHERE reference = $1', id)).toEqual([]);
  });

  it('is told once, whatever comes in whichever order', async () => {
    const { purchase, payment } = await start('twice');
    const news = ['pending', 'approved', 'declined', 'approved', 'pending'].map((state) => eventOf(payment, state));
    await payments.ask(payment);
    await Promise.all(news.map(async (body) => send(body).expect(200)));
    await until(
      async () => (await theirs('SELECT 1 FROM provider_notice WHERE body::text LIKE $1', `%${payment}%`)).length === 0,
    );
    expect(await told(purchase)).toEqual(['approved']);
  });

  it('goes back once when it comes for what is sold', async () => {
    const { purchase } = await start('approve');
    await hears(purchase, 'approved');
    const second = await start('twice', purchase);
    await hears(purchase, 'approved', 'late', 'refunded');
    expect(await refundsOf(second.payment)).toEqual([{ reason: 'late-approval', state: 'done' }]);
    await giveBack(second, 'late-approval');
    expect(await refundsOf(second.payment)).toHaveLength(1);
  });

  it('that is approved after all goes on, though it was declined', async () => {
    const { purchase, payment } = await start('decline');
    await hears(purchase, 'declined insufficient-funds');
    await send(eventOf(payment, 'approved')).expect(200);
    await hears(purchase, 'declined insufficient-funds', 'approved');
  });

  it('is shared among instances: each is asked for once', async () => {
    const second = await mesh.launch(Shop);
    const purchases = Array.from({ length: 20 }, () => randomUUID());
    await leave(...purchases);
    await finds(20, 'SELECT 1 FROM told WHERE purchase = ANY ($1)', purchases);
    const tries = await ours('SELECT DISTINCT tries FROM payment_attempt WHERE purchase = ANY ($1)', purchases);
    expect(tries).toEqual([{ tries: 1 }]);
    await second.close({ hasty: true });
  });

  it.each([
    [{ method: 'gold' }, '/method'],
    [{ method: 'sandbox:toss' }, '/method'],
    [{ returnUrl: 'https://evil.example/' }, '/returnUrl'],
    [{ returnUrl: '//evil.example' }, '/returnUrl'],
    [{ returnUrl: 'javascript:alert(1)' }, '/returnUrl'],
  ])('does not begin with %j', async (over, pointer) => {
    const began = storage.transaction((tx) => payments.start(tx, { purchase: thing(), ...over }));
    await expect(began).rejects.toMatchObject({ type: 'invalid-input', extra: { errors: [{ pointer }] } });
  });
});

describe('a webhook', () => {
  it('is taken once for each event, and also when it concerns nothing of ours', async () => {
    lose();
    const { purchase, payment } = await start('silent');
    const body = eventOf(payment, 'declined');
    expect((await send(body).expect(200)).body).toEqual({ taken: true });
    expect((await send(body).expect(200)).body).toEqual({ taken: false });
    expect((await send(eventOf(randomUUID(), 'approved')).expect(200)).body).toEqual({ taken: false });
    expect((await send(eventOf('no id of ours', 'approved')).expect(200)).body).toEqual({ taken: false });
    expect(await told(purchase)).toEqual(['declined said-so']);
  });

  it('is refused when it is not signed by the provider, byte for byte, or too old', async () => {
    lose();
    const { purchase, payment } = await start('redirect');
    await hears(purchase, expect.stringMatching(/^pending/));
    const body = eventOf(payment, 'approved');
    const old = Math.floor(Date.now() / 1000) - 301;
    const forgeries = [
      await send(body, sign(body, { key: 'another key' })),
      await send(body, sign(JSON.stringify(JSON.parse(body)))),
      await send(body.replace('approved', 'declined'), sign(body)),
      await send(body, sign(body).replace(/^t=\d+/, `t=${old}`)),
      await send(body, ''),
      await send(body, 'v1=00'),
    ];
    expect(forgeries.map(({ status, body }) => [status, body.type])).toEqual(
      forgeries.map(() => [401, '/problems/webhook-forged']),
    );
    expect((await send(body, sign(body, { t: old })).expect(401)).body.type).toBe('/problems/webhook-stale');
    await send('[]').expect(400);
    await send('{"id":').expect(400);
    expect(await told(purchase)).toHaveLength(1);
  });
});

it('sends a refund until the provider has done it, once', async () => {
  const { purchase, payment } = await start('approve');
  await hears(purchase, 'approved');
  sandbox.refunds = 'unavailable';
  await giveBack({ purchase, payment }, 'customer');
  await finds(1, 'SELECT 1 FROM payment_refund WHERE payment = $1 AND tries > 1', payment);
  expect(await told(purchase)).toEqual(['approved']);
  sandbox.refunds = 'late';
  await hears(purchase, 'approved', 'refunded');
  expect(await refundsOf(payment)).toEqual([{ reason: 'customer', state: 'done' }]);
  const given = await theirs('SELECT "amountMinor" FROM provider_refund WHERE payment = $1', payment);
  expect(given).toEqual([{ amountMinor: 2350 }]);
});

describe('the comparison with the provider', () => {
  const day = () => new Date().toISOString().slice(0, 10);
  const compare = (bearer: string, body: object = { day: day() }) =>
    mesh.http('purchase-command').post('/api/payments/reconcile').set('authorization', bearer).send(body);

  it('finds what is missing on either side, and where amounts and states differ', async () => {
    const [there, here, amount, state, fine] = await Promise.all(['approve', 'approve', 'approve', 'decline', 'approve'].map((how) => start(how))); // prettier-ignore
    await Promise.all([there, here, amount, state, fine].map((one) => until(async () => (await told(one!.purchase)).length > 0)));
    await theirs('DELETE FROM provider_payment WHERE reference = $1', there!.payment);
    await ours('DELETE FROM payment_attempt WHERE id = $1', here!.payment);
    await ours('UPDATE payment_attempt SET "amountMinor" = 2000 WHERE id = $1', amount!.payment);
    await theirs(`UPDATE provider_payment SET state = 'approved' WHERE reference = $1`, state!.payment);
    const { body } = await compare(operator).expect(200);
    const of = (one: typeof there) =>
      body.differences.filter(({ reference }: { reference: string }) => reference === one!.payment);
    const about = { subject: 'payment', theirs: 'approved 2350' };
    expect(of(there)).toEqual([{ subject: 'payment', reference: there!.payment, kind: 'missing-there', ours: 'approved 2350' }]);
    expect(of(here)).toEqual([{ ...about, reference: here!.payment, kind: 'missing-here' }]);
    expect(of(amount)).toEqual([{ ...about, reference: amount!.payment, kind: 'amount', ours: 'approved 2000' }]);
    expect(of(state)).toEqual([{ ...about, reference: state!.payment, kind: 'state', ours: 'declined 2350' }]);
    expect(of(fine)).toEqual([]);
    const kept = await ours('SELECT kind FROM payment_difference WHERE reference = $1', amount!.payment);
    expect(kept).toEqual([{ kind: 'amount' }]);
    // Money that was taken becomes a sale, or goes back.
    await hears(state!.purchase, 'declined insufficient-funds', 'approved');
  });

  it('is for operators and who administers all chains', async () => {
    await compare(await mesh.bearer('chain-admin')).expect(200);
    await compare(await mesh.bearer('manager')).expect(403);
    await compare('').expect(401);
    for (const wrong of ['2026-02-30', '2999-01-01', 'today', undefined])
      expect((await compare(operator, { day: wrong }).expect(400)).body.errors[0].pointer).toBe('/day');
  });

  it('happens by itself for each day that was missed', async () => {
    const done = `SELECT day::text FROM payment_reconciliation WHERE "doneAt" IS NOT NULL AND day < (now() AT TIME ZONE 'UTC')::date`;
    await finds(7, done);
  });
});

it('keeps tables as its entities say', async () => {
  expect(await migrationFor(storage.db, { process: 'purchase-command', name: 'none', atMs: 0 })).toBeUndefined();
});
