import { randomUUID } from 'node:crypto';
import { Storage } from '#storage';
import { type Desk, until as untilNamed } from '#testing';
import { Provider } from '../provider/provider.js';
import { ProviderConfig } from '../provider/provider-section.js';
import { Hall } from './hold/hall.contract.js';
import { PaymentConfig } from './payment/payment-section.js';
import type { PurchaseState } from './purchase.events.js';

let hall: Hall, ana: Desk, show: string, sandbox: ProviderConfig, config: PaymentConfig;
beforeAll(async () => {
  const quick = { 'provider.pollMs': 20, 'provider.lateMs': 50, 'provider.slowMs': 60_000, 'provider.notifyMinMs': 10 };
  const patient = { 'payment.pollMs': 20, 'payment.retryMinMs': 10, 'payment.retryMaxMs': 50 };
  hall = await Hall.open({ ...quick, ...patient }, [Provider]);
  sandbox = hall.mesh.running('provider').app.get(ProviderConfig);
  config = hall.mesh.running('purchase-command').app.get(PaymentConfig);
}, 30_000);
beforeEach(async () => {
  [ana, show] = [await hall.customer(), await hall.plan()];
  config.askMs = 2000;
  Object.assign(sandbox, { refunds: 'done', notifyPath: '/api/payments/webhook' });
});
afterAll(() => hall.stop());

const hold = async () => (await hall.hold(ana, show, ['A1', 'A2'])).id;
const pay = (id: string, how: string) => hall.deed(ana, id, 'pay', { method: `sandbox:${how}`, returnUrl: `/purchases/${id}` });
const stored = (id: string) => hall.row<PurchaseState>(id);
const becomes = (id: string, test: (purchase: PurchaseState) => boolean) =>
  untilNamed('the purchase becomes that', async () => test(await stored(id)));
const atProvider = (sql: string, ...params: unknown[]) =>
  hall.mesh.running('provider').app.get(Storage).query<Record<string, unknown>>(sql, params);
const moneyOf = async (id: string) => {
  const attempts = await hall.storage.query<{ id: string }>('SELECT id FROM payment_attempt WHERE purchase = $1', [id]);
  const references = attempts.map((attempt) => attempt.id);
  const taken = `SELECT coalesce(sum("amountMinor"), 0)::int AS minor FROM provider_payment WHERE state = 'approved' AND reference = ANY ($1)`;
  const given = `SELECT coalesce(sum("amountMinor"), 0)::int AS minor FROM provider_refund WHERE state = 'done' AND payment = ANY ($1)`;
  return [(await atProvider(taken, references))[0]!.minor, (await atProvider(given, references))[0]!.minor];
};
/** The buyer's decision on the provider's page. @returns where it leads */
const decide = async (url: string, answer: string) => {
  const sent = hall.mesh.http('provider').post(new URL(url).pathname).type('form').send({ answer });
  return (await sent.expect(303)).headers.location as string;
};

it('sells at once when the provider approves at once', async () => {
  const id = await hold();
  const { body } = await pay(id, 'twice').expect(200);
  expect(body).toMatchObject({ state: 'paid', receipt: expect.any(Number), payment: { provider: 'sandbox', state: 'approved' } });
  expect(body.tickets).toHaveLength(2);
  expect(await moneyOf(id)).toEqual([5000, 0]);
});

it('takes how to pay for optional, as it says, and refuses what it does not know', async () => {
  const { paths } = (await hall.mesh.http('purchase-command').get('/openapi.json').expect(200)).body;
  const { requestBody = {} } = paths['/api/purchases/{id}/pay'].post;
  const { method } = requestBody.content['application/json'].schema.properties;
  expect([requestBody.required ?? false, method.anyOf.at(-1)]).toEqual([false, { type: 'null' }]);
  const id = await hold();
  const { body } = await hall.deed(ana, id, 'pay', { method: 1, card: '4111' }).expect(400);
  const wrong = (body.errors as { pointer: string }[]).map(({ pointer }) => pointer);
  expect([...new Set(wrong)].sort()).toEqual(['/card', '/method']);
  await hall.deed(ana, id, 'pay', { method: null }).expect(200);
});

it('sends the buyer to the provider’s page and back, and sells when they have approved there', async () => {
  const id = await hold();
  const { body } = await pay(id, 'redirect').expect(202);
  expect(body).toMatchObject({ state: 'paying', payment: { state: 'pending' } });
  expect(await decide(body.payment.redirectUrl, 'approve')).toMatch(new RegExp(`/purchases/${id}$`));
  await becomes(id, ({ state }) => state === 'paid');
  expect(await moneyOf(id)).toEqual([5000, 0]);
});

it('lets a buyer who was declined try again', async () => {
  const id = await hold();
  expect((await pay(id, 'decline').expect(409)).body).toMatchObject({ type: '/problems/payment-declined', state: 'held' });
  expect((await pay(id, 'approve').expect(200)).body.state).toBe('paid');
  expect(await moneyOf(id)).toEqual([5000, 0]);
});

it.each(['slow', 'silent'])('sells once though the provider is %s and no webhook comes', async (how) => {
  sandbox.notifyPath = '/nowhere';
  config.askMs = 200;
  const id = await hold();
  await pay(id, how).expect(202);
  await becomes(id, ({ state }) => state === 'paid');
  expect(await moneyOf(id)).toEqual([5000, 0]);
});

it('gives the money back once when the show was called off while the buyer was paying', async () => {
  const id = await hold();
  const { body } = await pay(id, 'redirect').expect(202);
  await hall.storage.query('UPDATE known_screening SET cancelled = true WHERE id = $1', [show]);
  await decide(body.payment.redirectUrl, 'approve');
  await becomes(id, ({ refund }) => refund?.state === 'done');
  expect(await stored(id)).toMatchObject({ state: 'cancelled', refund: { reason: 'late-approval' } });
  expect(await moneyOf(id)).toEqual([5000, 5000]);
});

it('gives a sale back by the way it came, and asks until that is done', async () => {
  const id = await hold();
  await pay(id, 'approve').expect(200);
  sandbox.refunds = 'unavailable';
  expect((await hall.deed(ana, id, 'refund').expect(200)).body).toMatchObject({
    state: 'refunded',
    refund: { state: 'pending' },
  });
  sandbox.refunds = 'late';
  await becomes(id, ({ refund }) => refund?.state === 'done');
  expect(await moneyOf(id)).toEqual([5000, 5000]);
});

it('agrees with the provider about all of that', async () => {
  const authorization = await hall.mesh.bearerFor({ id: randomUUID(), roles: ['operator'] });
  const day = new Date().toISOString().slice(0, 10);
  const asked = hall.mesh.http('purchase-command').post('/api/payments/reconcile').set({ authorization }).send({ day });
  expect((await asked.expect(200)).body).toEqual({ day, compared: expect.any(Number), differences: [] });
});
