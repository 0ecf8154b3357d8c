import { randomUUID } from 'node:crypto';
import qrcode from 'qrcode';
import { v7 as uuidv7 } from 'uuid';
import { publish } from '#bus';
import { migrationFor, Storage } from '#storage';
import { startTestMesh, type TestMesh } from '#testing';
import type { PurchaseEvents, PurchaseState } from '../purchase.events.js';
import { PurchaseQuery } from '../purchase.query.js';
import { readPdf } from './pdf.contract.js';
import { hashOf, heldPurchase, paidPurchase } from './sold.contract.js';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [PurchaseQuery] });
});
afterAll(() => mesh.stop());

type Known = PurchaseState & { id: string };
const storage = () => mesh.running('purchase-query').app.get(Storage);

async function tell(name: string, key: string, body: object, version = 1): Promise<void> {
  const event = { name, key, body, version, id: randomUUID(), at: new Date().toISOString() };
  await storage().transaction((tx) => publish(tx, [event]));
}
/** Tell of a purchase, and wait until it is in the view. */
async function told({ id, ...state }: Known, name: keyof PurchaseEvents = 'purchase.paid', version = 1): Promise<Known> {
  await tell(name, id, state, version);
  for (let i = 0; i < 250; i++) {
    const [row] = await storage().query('SELECT 1 FROM purchase_view WHERE id = $1 AND version >= $2', [id, version]);
    if (row) break;
    await new Promise((done) => setTimeout(done, 20));
  }
  return { id, ...state };
}
const customer = (id: string) => mesh.bearerFor({ id, roles: ['customer'], client: 'web' });
/** A member of staff, with a token, bound to some cinemas of a chain. */
async function employed(role: 'cashier' | 'manager' | 'chain-admin', chain: string, cinemas: string[]): Promise<string> {
  const [user, key] = [uuidv7(), uuidv7()];
  await tell('manager.created', key, { user, role, chain, cinemas });
  for (let i = 0; i < 250 && (await storage().query('SELECT 1 FROM staff WHERE id = $1', [key])).length === 0; i++)
    await new Promise((done) => setTimeout(done, 20));
  return mesh.bearerFor({ id: user, roles: [role], client: 'web' });
}

interface As {
  bearer?: string;
  key?: string;
  language?: string;
}
const get = (path: string, { bearer, key, language }: As = {}) => {
  const headers = {
    ...(bearer && { authorization: bearer }),
    ...(key && { 'Access-Key': key }),
    'Accept-Language': language ?? 'es',
  };
  return mesh.http('purchase-query').get(`/api/purchases${path}`).set(headers);
};
const PARTS = ['', '/timeline'];

it('has the tables that its entities want', async () => {
  expect(await migrationFor(storage().db, { process: 'purchase-query', name: 'more', atMs: 0 })).toBeUndefined();
});

describe('a purchase', () => {
  it('shows all that is known of it, but for the hash of its key', async () => {
    const user = uuidv7();
    const { id, ...state } = await told(await paidPurchase({ customer: user, accessKeyHash: hashOf('x') }));
    const { body, headers } = await get(`/${id}`, { bearer: await customer(user) }).expect(200);
    const { accessKeyHash: _, ...shown } = state;
    expect(body).toEqual({ id, version: 1, ...shown, createdAt: state.history[0]!.at, startAt: state.show.startAt });
    expect(headers).toMatchObject({ etag: '"1"', 'cache-control': 'private, no-store' });
  });

  it('is there for its owner, for a guest with the key, for staff of its cinema and chain, and for nobody else', async () => {
    const [owner, chain, cinema, key] = [uuidv7(), uuidv7(), uuidv7(), 'k3y-of-a-guest-0123456'];
    const own = await told(await paidPurchase({ customer: owner, chain, cinema }));
    const guests = await told(await paidPurchase({ accessKeyHash: hashOf(key), chain, cinema }));
    const staff = {
      cashier: await employed('cashier', chain, [cinema]),
      elsewhere: await employed('cashier', chain, [uuidv7()]),
      office: await employed('chain-admin', chain, []),
      others: await employed('chain-admin', uuidv7(), []),
      unbound: await mesh.bearerFor({ id: uuidv7(), roles: ['manager'], client: 'web' }),
      first: await mesh.bearerFor({ id: uuidv7(), roles: ['chain-admin'], client: 'web' }),
    };
    const askers: [string, As, number, number][] = [
      ['its owner', { bearer: await customer(owner) }, 200, 404],
      ['another customer', { bearer: await customer(uuidv7()) }, 404, 404],
      ['nobody', {}, 404, 404],
      ['a guest with the key', { key }, 404, 200],
      ['another customer with the key', { key, bearer: await customer(uuidv7()) }, 404, 200],
      ['a guest with a wrong key', { key: 'k3y-of-a-guest-0123457' }, 404, 404],
      ['a guest with no key at all', { key: "' OR true --" }, 404, 404],
      ['a cashier of the cinema', { bearer: staff.cashier }, 200, 200],
      ['a cashier of another cinema', { bearer: staff.elsewhere }, 404, 404],
      ['the office of the chain', { bearer: staff.office }, 200, 200],
      ['the office of another chain', { bearer: staff.others }, 404, 404],
      ['a manager of nothing', { bearer: staff.unbound }, 404, 404],
      ['the first administrator', { bearer: staff.first }, 200, 200],
    ];
    for (const [who, as, ofOwn, ofGuest] of askers)
      for (const part of PARTS) {
        const answers = [(await get(`/${own.id}${part}`, as)).status, (await get(`/${guests.id}${part}`, as)).status];
        expect([who, part, ...answers]).toEqual([who, part, ofOwn, ofGuest]);
      }
    await get(`/${guests.id}`, { key, bearer: 'Bearer nonsense' }).expect(401);
    await get('/1', { key }).expect(404);
    await get('/1/timeline', { key }).expect(404);
  });

  it('is not there before it is, and a reader who wants its version waits', async () => {
    const [user, held] = [uuidv7(), heldPurchase()];
    const waits = get(`/${held.id}`, { bearer: await customer(user) }).set('Min-Version', '1');
    const [answer] = await Promise.all([waits, told({ ...held, customer: user }, 'purchase.held')]);
    expect([answer.status, answer.body.state]).toEqual([200, 'held']);
  });
});

describe('a list', () => {
  it('holds what the caller may see, the newest first, and is asked for by what it is about', async () => {
    const [user, chain, cinema] = [uuidv7(), uuidv7(), uuidv7()];
    const at = (minute: number) => [{ at: `2026-11-20T10:0${minute}:00.000Z`, what: 'held' as const }];
    const first = await told(heldPurchase({ customer: user, chain, cinema, history: at(1) }), 'purchase.held');
    const second = await told(await paidPurchase({ customer: user, chain, cinema: uuidv7(), history: at(2) }));
    const third = await told(await paidPurchase({ customer: uuidv7(), chain, cinema, history: at(3) }));
    const ids = async (query: string, bearer: string) =>
      ((await get(query, { bearer }).expect(200)).body.items as Known[]).map(({ id }) => id);
    const [own, cashier] = [await customer(user), await employed('cashier', chain, [cinema])];
    expect(await ids('', own)).toEqual([second.id, first.id]);
    expect(await ids('?state=paid', own)).toEqual([second.id]);
    expect(await ids(`?customer=${third.customer}`, own)).toEqual([]);
    expect(await ids('', cashier)).toEqual([third.id, first.id]);
    expect(await ids('?sort=createdAt', cashier)).toEqual([first.id, third.id]);
    expect(await ids(`?customer=${user}`, cashier)).toEqual([first.id]);
    expect(await ids(`?screening=${third.screening}`, cashier)).toEqual([third.id]);
    expect(await ids(`?receipt=1234&cinema=${cinema}`, cashier)).toEqual([third.id]);
    expect(await ids('?from=2026-11-20T10:02:00Z&to=2026-11-20T10:03:00Z', own)).toEqual([second.id]);
    expect(await ids(`?startTo=${first.show.startAt}`, own)).toEqual([]);
    expect(JSON.stringify((await get('', { bearer: cashier })).body)).not.toContain('accessKeyHash');
    await get('').expect(401);
    await get('?state=sold', { bearer: own }).expect(400);
  });

  it('shows a customer who also works here both', async () => {
    const [chain, cinema] = [uuidv7(), uuidv7()];
    const cashier = await employed('cashier', chain, [cinema]);
    const { sub } = JSON.parse(Buffer.from(cashier.split('.')[1]!, 'base64url').toString()) as { sub: string };
    const both = await mesh.bearerFor({ id: sub, roles: ['cashier', 'customer'], client: 'web' });
    const own = await told(heldPurchase({ customer: sub }), 'purchase.held');
    const sold = await told(heldPurchase({ chain, cinema }), 'purchase.held');
    const { body } = await get('', { bearer: both }).expect(200);
    expect((body.items as Known[]).map(({ id }) => id).sort()).toEqual([own.id, sold.id].sort());
  });
});

describe('a timeline', () => {
  const history: PurchaseState['history'] = [
    { at: '2026-11-22T20:00:00.000Z', what: 'held' },
    { at: '2026-11-22T20:02:00.000Z', what: 'paying' },
    { at: '2026-11-22T20:03:00.000Z', what: 'paid' },
    { at: '2026-11-22T20:30:00.500Z', what: 'refunded', by: 'm1' },
  ];
  const refund: PurchaseState['refund'] = { id: 'r', amountMinor: 4300, reason: 'screening-cancelled', state: 'pending' };

  it('tells what happened in the language that is asked for, by the cinema’s clock', async () => {
    const user = uuidv7();
    const { id } = await told(await paidPurchase({ customer: user, state: 'refunded', history, refund }));
    const read = async (language: string) => {
      const { body, headers } = await get(`/${id}/timeline`, { bearer: await customer(user), language }).expect(200);
      expect(headers.vary).toBe('Accept-Language');
      return { said: headers['content-language'] as string, items: body.items as Record<string, string>[] };
    };
    const english = await read('de, en-GB;q=0.9, es;q=0.5');
    expect(english.said).toBe('en');
    expect(english.items.map(({ text }) => text?.replaceAll('\u00a0', ' '))).toEqual([
      'Seats F3, F4 were held, for PEN 43.00.',
      'Payment began.',
      'PEN 43.00 paid, receipt 1234.',
      'The purchase was reversed: PEN 43.00 go back, because the screening was cancelled.',
    ]);
    expect(english.items[3]).toMatchObject({ at: '2026-11-22T20:30:00.500Z', localAt: '2026-11-22T15:30:00-05:00', by: 'm1' });
    const spanish = await read('qu');
    expect(spanish.said).toBe('es');
    expect(spanish.items[2]?.text?.replaceAll('\u00a0', ' ')).toBe('Se pagaron S/ 43.00, comprobante 1234.');
  });

  it('says which seat was let in, and by whom', async () => {
    const [user, at] = [uuidv7(), '2026-11-23T01:10:00.000Z'];
    const paid = await paidPurchase({ customer: user });
    const tickets = paid.tickets!.map((ticket, i) => (i === 1 ? { ...ticket, admittedAt: at, admittedBy: 'u1' } : ticket));
    const admitted = { at, what: 'admitted' as const, by: 'u1' };
    const { id } = await told({ ...paid, tickets, history: [...paid.history, admitted] }, 'purchase.admitted');
    const { body } = await get(`/${id}/timeline`, { bearer: await customer(user) }).expect(200);
    expect(body.items.at(-1)).toMatchObject({ text: 'Entró una persona al asiento F4.', by: 'u1', what: 'admitted' });
  });
});

describe('tickets', () => {
  const pdfOf = async (id: string, as: As) =>
    (await get(`/${id}/tickets.pdf`, as).buffer(true).expect(200)) as { body: Buffer; headers: Record<string, string> };

  it('are a page each, with all that a visitor wants to know', async () => {
    const user = uuidv7();
    const { id, show, tickets } = await told(await paidPurchase({ customer: user }));
    const { body, headers } = await pdfOf(id, { bearer: await customer(user) });
    expect(headers).toMatchObject({ 'content-type': 'application/pdf', 'content-language': 'es' });
    const [first, second, ...none] = readPdf(body);
    expect(none).toEqual([]);
    const time = new Intl.DateTimeFormat('es', { timeZone: show.timeZone, hour: '2-digit', minute: '2-digit' }).format(
      new Date(show.startAt),
    );
    const expected = [
      'CineManzana Larcomar · Lima',
      'Amélie',
      'SALA',
      'Sala 3',
      'F3',
      time,
      'Adulto · General',
      '2D · en francés',
    ];
    for (const piece of [
      ...expected,
      'S/\u00a025.00 (incluye IGV 18 %: S/\u00a03.81)',
      'Comprobante: 1234',
      'Entrada 1 de 2',
      id,
    ])
      expect(first!.text).toContain(piece);
    expect(second!.text).toMatch(/F4[^]*Niño · Premium[^]*Entrada 2 de 2/);
    const { modules } = qrcode.create(tickets![0]!.code, { errorCorrectionLevel: 'M' });
    expect(first!.dark).toBe(modules.data.filter(Boolean).length);
    const english = readPdf((await pdfOf(id, { bearer: await customer(user), language: 'en' })).body);
    expect(english[0]!.text).toMatch(/Adult · Standard[^]*Ticket 1 of 2[^]*Show this code at the door/);
  });

  it('whose film has letters that their fonts lack are written all the same', async () => {
    const user = uuidv7();
    const paid = await paidPurchase({ customer: user });
    const { id } = await told({ ...paid, show: { ...paid.show, title: `Łódź “日本” ${'long '.repeat(60)}` } });
    const [page] = readPdf((await pdfOf(id, { bearer: await customer(user) })).body);
    expect(page!.text).toMatch(/Lódz .\?\?. long long/);
  });

  it('have codes as pictures', async () => {
    const key = 'k3y';
    const { id, tickets } = await told(await paidPurchase({ accessKeyHash: hashOf(key) }));
    const [ticket] = tickets!;
    const picture = (name: string, of = ticket!.id, as: As = { key }) => get(`/${id}/tickets/${of}/${name}`, as).buffer(true);
    const svg = await picture('qr.svg').expect(200);
    const { modules } = qrcode.create(ticket!.code, { errorCorrectionLevel: 'M' });
    expect(svg.headers['content-type']).toBe('image/svg+xml');
    expect(String(svg.body)).toBe(await qrcode.toString(ticket!.code, { type: 'svg', errorCorrectionLevel: 'M', margin: 4 }));
    const png = (await picture('qr.png').expect('content-type', 'image/png').expect(200)).body as Buffer;
    expect([png.subarray(1, 4).toString(), png.readUInt32BE(16)]).toEqual(['PNG', (modules.size + 8) * 4]);
    await picture('qr.svg', uuidv7()).expect(404);
    await picture('qr.svg', 'nonsense').expect(404);
    await picture('qr.png', ticket!.id, {}).expect(404);
  });

  it('are there only once they are paid for, and as long as they are good', async () => {
    const user = uuidv7();
    const as = { bearer: await customer(user) };
    const held = await told(heldPurchase({ customer: user }), 'purchase.held');
    const paid = await paidPurchase({ customer: user });
    const back = await told({ ...paid, state: 'refunded' }, 'purchase.refunded');
    for (const path of [
      `/${held.id}/tickets.pdf`,
      `/${back.id}/tickets.pdf`,
      `/${back.id}/tickets/${back.tickets![0]!.id}/qr.svg`,
    ])
      expect((await get(path, as).expect(409)).body.type).toBe('/problems/not-paid');
  });
});

it('the keys of tickets are published without their secret half', async () => {
  const { body, headers } = await mesh.http('purchase-query').get('/api/tickets/keys').expect(200);
  expect(headers['content-type']).toMatch('application/jwk-set+json');
  const key = { kty: 'OKP', crv: 'Ed25519', x: expect.stringMatching(/^[\w-]{43}$/), alg: 'EdDSA', use: 'sig' };
  expect(body).toEqual({ keys: [{ ...key, kid: expect.stringMatching(/^[\w-]{43}$/) }] });
});
