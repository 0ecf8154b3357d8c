import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Get, Param } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { Public } from '#auth';
import { Problem } from '#problem';
import { service } from '#service';
import { Storage } from '#storage';
import { Desk, startTestMesh, type TestMesh } from '#testing';
import { PurchaseCommand } from '../purchase.command.js';
import type { PurchaseState } from '../purchase.events.js';
import { Purchase } from '../purchase.row.js';
import { Sales } from '../sales.js';
import { heldPurchase } from '../view/sold.contract.js';
import { type LetterKind, Letters } from './letters.js';
import { Tickets } from './ticket.js';

const MINUTE_MS = 60_000;
const accounts = new Map<string, { email: string; name?: string; language?: string }>();

/** What purchase-command asks of user-command. */
@Controller('internal/accounts')
@Public()
class StandInAccounts {
  @Get(':id') one(@Param('id') id: string) {
    const account = accounts.get(id);
    if (!account) throw new Problem('not-found', 404, 'there is no such account');
    return { id, ...account };
  }
}

const outbox = mkdtempSync(join(tmpdir(), 'outbox-'));
let mesh: TestMesh, desk: Desk;
beforeAll(async () => {
  const users = service({ name: 'user-command', controllers: [StandInAccounts] });
  mesh = await startTestMesh({ processes: [PurchaseCommand, users], config: { 'mail.outboxFolder': outbox, 'mail.pollMs': 50 } });
  desk = new Desk(mesh, 'purchase');
}, 30_000);
afterAll(async () => {
  await mesh.stop();
  rmSync(outbox, { recursive: true });
});

const app = () => mesh.running('purchase-command').app;
const storage = () => app().get(Storage);

/** A paid purchase whose film begins in so many minutes, as the till leaves it. */
async function sold(over: Partial<PurchaseState> & { email?: string } = {}, startsInMinutes = 30): Promise<Purchase> {
  const { email, ...state } = over;
  const held = heldPurchase(state);
  const [startAt, endAt] = [0, 120].map((more) => new Date(Date.now() + (startsInMinutes + more) * MINUTE_MS).toISOString());
  const show = { ...held.show, startAt: startAt!, endAt: endAt! };
  const tickets = await app()
    .get(Tickets)
    .issue({ ...held, show });
  const paid = { state: 'paid', receipt: 77, paidAt: new Date().toISOString(), tickets, ...state } as const;
  const row = Object.assign(new Purchase(), { ...held, show, ...paid, email, overAt: new Date(endAt!), late: [] });
  await app().get(Sales).rows.write('paid', row);
  return row;
}
const codeOf = ({ tickets }: Purchase, index = 0) => tickets![index]!.code;

async function employed(role: 'usher' | 'cashier', chain: string, cinemas: string[]): Promise<{ id: string; bearer: string }> {
  const [user, key] = [uuidv7(), uuidv7()];
  const event = { name: 'manager.created', key, body: { user, role, chain, cinemas } };
  await desk.tell(event);
  await desk.found('SELECT 1 FROM staff WHERE id = $1', [key]);
  return { id: user, bearer: await mesh.bearerFor({ id: user, roles: [role], client: 'web' }) };
}
const scan = (bearer: string, code: string, more: { screening?: string; key?: string } = {}) => {
  const { key, ...body } = more;
  const call = mesh
    .http('purchase-command')
    .post('/api/tickets/scan')
    .send({ code, ...body });
  if (bearer) void call.set('authorization', bearer);
  return key === undefined ? call : call.set('Idempotency-Key', key);
};
const problem = ({ status, body }: { status: number; body: { type?: string } }) => [status, body.type?.replace('/problems/', '')];

describe('the door', () => {
  const [chain, cinema] = [uuidv7(), uuidv7()];
  let usher: { id: string; bearer: string };
  beforeAll(async () => {
    usher = await employed('usher', chain, [cinema]);
  });

  it('lets each ticket in once, and says who let it in before', async () => {
    const purchase = await sold({ chain, cinema });
    const [first] = purchase.tickets!;
    const { body } = await scan(usher.bearer, first!.code, { screening: purchase.screening }).expect(200);
    expect(body).toEqual({
      ...{ admitted: true, ticket: first!.id, purchase: purchase.id, screening: purchase.screening, seat: 'F3' },
      ...{ category: 'adult', title: 'Amélie', auditoriumName: 'Sala 3', startAt: purchase.show.startAt },
      admittedAt: expect.stringMatching(/Z$/),
    });
    const other = await employed('cashier', chain, [cinema]);
    const again = await scan(other.bearer, first!.code).expect(409);
    expect(again.body).toMatchObject({ type: '/problems/ticket-used', admittedAt: body.admittedAt, admittedBy: usher.id });
    expect((await scan(other.bearer, codeOf(purchase, 1)).expect(200)).body.seat).toBe('F4');
    const [row] = await storage().query<Pick<Purchase, 'history'>>('SELECT history FROM purchase WHERE id = $1', [purchase.id]);
    expect(row!.history.slice(-2)).toEqual([
      expect.objectContaining({ what: 'admitted', by: usher.id }),
      expect.objectContaining({ what: 'admitted', by: other.id }),
    ]);
  });

  it('lets one in when two scan at once, and answers a scanner that lost its answer again', async () => {
    const code = codeOf(await sold({ chain, cinema }));
    const both = await Promise.all(['one', 'two'].map((key) => scan(usher.bearer, code, { key })));
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
    const winner = both.findIndex(({ status }) => status === 200);
    const again = await scan(usher.bearer, code, { key: ['one', 'two'][winner] });
    expect([again.status, again.body]).toEqual([200, both[winner]!.body]);
  });

  it('is kept by staff of that cinema', async () => {
    const purchase = await sold({ chain, cinema });
    const elsewhere = await employed('usher', chain, [uuidv7()]);
    expect(problem(await scan(elsewhere.bearer, codeOf(purchase)))).toEqual([403, 'out-of-bounds']);
    expect(problem(await scan(await mesh.bearer('customer'), codeOf(purchase)))).toEqual([403, 'forbidden']);
    expect(problem(await scan('', codeOf(purchase)))).toEqual([401, 'unauthenticated']);
    await scan(usher.bearer, codeOf(purchase)).expect(200);
  });

  it('refuses what is no ticket, is of another screening, was given back, or comes at the wrong time', async () => {
    const purchase = await sold({ chain, cinema });
    const code = codeOf(purchase);
    const changed = code.replace(/\.(..)/, (_, two: string) => `.${two === 'ey' ? 'ez' : 'ey'}`);
    expect(problem(await scan(usher.bearer, changed))).toEqual([400, 'ticket-forged']);
    const other = await scan(usher.bearer, code, { screening: uuidv7() }).expect(409);
    const { screening, show } = purchase;
    const what = { screening, film: show.title, auditoriumName: 'Sala 3', startAt: show.startAt };
    expect(other.body).toMatchObject({ type: '/problems/ticket-for-another-screening', ...what });
    const refused = async (made: Promise<Purchase>) => problem(await scan(usher.bearer, codeOf(await made)));
    expect(await refused(sold({ chain, cinema, state: 'refunded' }))).toEqual([409, 'ticket-void']);
    expect(await refused(sold({ chain, cinema, state: 'exchanged' }))).toEqual([409, 'ticket-void']);
    expect(await refused(sold({ chain, cinema }, 125))).toEqual([409, 'too-early']);
    expect(await refused(sold({ chain, cinema }, 115))).toEqual([200, undefined]);
    expect(await refused(sold({ chain, cinema }, -119))).toEqual([200, undefined]);
    expect(await refused(sold({ chain, cinema }, -121))).toEqual([409, 'screening-over']);
    await scan(usher.bearer, '').expect(400);
  });

  it('goes by the time to which a screening was moved', async () => {
    const purchase = await sold({ chain, cinema }, 30);
    const startAt = new Date(Date.now() + 200 * MINUTE_MS).toISOString();
    const body = { ...{ chain, cinema }, ...purchase.show, startAt };
    await desk.tell({ name: 'screening.changed', key: purchase.screening, body });
    await desk.found('SELECT 1 FROM known_screening WHERE id = $1', [purchase.screening]);
    expect(problem(await scan(usher.bearer, codeOf(purchase)))).toEqual([409, 'too-early']);
  });
});

describe('a letter', () => {
  /** The parts of a message: its head, and what each part holds, by media type. */
  function read(message: string): { head: string; parts: Record<string, Buffer> } {
    const [head = ''] = message.split('\n\n', 1);
    const parts: Record<string, Buffer> = {};
    for (const piece of message.split(/^--[^\n]*\n/m)) {
      const [about = '', ...rest] = piece.split('\n\n');
      const [, type = ''] = /^Content-Type: ([\w/]+)/m.exec(about) ?? [];
      const [, encoding] = /^Content-Transfer-Encoding: (\S+)/m.exec(about) ?? [];
      if (!type || type.startsWith('multipart/')) continue;
      const body = rest.join('\n\n');
      const byte = (_: string, hex: string) => String.fromCharCode(parseInt(hex, 16));
      const unquoted = () => Buffer.from(body.replaceAll('=\n', '').replaceAll(/=([\dA-F]{2})/g, byte), 'latin1');
      parts[type] =
        encoding === 'base64' ? Buffer.from(body, 'base64') : encoding === 'quoted-printable' ? unquoted() : Buffer.from(body);
    }
    return { head, parts };
  }
  const filesOf = (owner: string) => readdirSync(outbox).filter((file) => file.includes(owner) && !file.startsWith('.'));
  const wait = async (isDone: () => boolean | Promise<boolean>) => {
    for (let i = 0; i < 150 && !(await isDone()); i++) await sleep(20);
  };
  const isSent = async () => (await storage().query('SELECT 1 FROM mail')).length === 0;
  async function written(kind: LetterKind, purchase: Purchase, owner: string) {
    const before = filesOf(owner).length;
    await storage().transaction((tx) => app().get(Letters).write(tx, kind, purchase));
    await wait(isSent);
    const files = filesOf(owner).sort();
    return files.length > before ? read(readFileSync(join(outbox, files.at(-1)!), 'utf8')) : undefined;
  }

  it('brings a guest the tickets, to be shown or printed', async () => {
    const purchase = await sold({ email: 'guest@example.org' });
    const letter = (await written('tickets', purchase, purchase.id))!;
    expect(letter.head).toMatch(/^To: guest@example.org$/im);
    const text = letter.parts['text/plain']!.toString().replaceAll('\u00a0', ' ');
    expect(text).toMatch(/^Hola:\n\nGracias por tu compra/);
    for (const line of ['Cine: CineManzana Larcomar, Lima', 'Asiento F3: Adulto, General: S/ 25.00', 'Comprobante: 77'])
      expect(text).toContain(line);
    expect(text).toContain('Total: S/ 43.00 (incluye IGV 18 %: S/ 6.56)');
    const pdf = letter.parts['application/pdf']!;
    expect([pdf.subarray(0, 5).toString(), pdf.length > 5000, pdf.toString('latin1').match(/\/Type \/Page\b/g)?.length]).toEqual([
      '%PDF-',
      true,
      2,
    ]);
  });

  it('goes to the address that a customer has now, in their language, and shows their words as words', async () => {
    const customer = uuidv7();
    accounts.set(customer, { email: 'ana@example.org', name: 'Ana <b>&', language: 'en' });
    const purchase = await sold({
      customer,
      state: 'refunded',
      refund: { id: 'r', amountMinor: 4300, reason: 'customer', state: 'pending', creditNote: 9 },
    });
    const letter = (await written('refunded', purchase, customer))!;
    expect(letter.head).toMatch(/^Subject: =\?UTF-8\?Q\?Your_refund_for_Am=C3=A9lie\?=$/m);
    const text = letter.parts['text/plain']!.toString().replaceAll('\u00a0', ' ');
    expect(text).toMatch(/^Hello Ana <b>&,\n\n[^]*We return PEN 43.00, as you asked, to what you paid with[^]*Credit note: 9\./);
    const html = letter.parts['text/html']!.toString();
    expect(html).toContain('Hello Ana &lt;b&gt;&amp;,');
    expect(html).not.toMatch(/<b>|https?:/);
    expect(letter.parts['application/pdf']).toBeUndefined();
    const off = (await written('cancelled', purchase, customer))!;
    expect(off.parts['text/plain']!.toString()).toContain('the screening that you bought was cancelled');
  });

  it('is not written to who is erased, nor with tickets that were given back meanwhile', async () => {
    const customer = uuidv7();
    expect(await written('tickets', await sold({ customer }), customer)).toBeUndefined();
    accounts.set(customer, { email: 'back@example.org' });
    expect(await written('tickets', await sold({ customer, state: 'refunded' }), customer)).toBeUndefined();
    expect(await written('tickets', await sold({ soldBy: uuidv7() }), customer)).toBeUndefined();
    expect(await written('tickets', await sold({ customer }), customer)).toBeDefined();
  });

  it('is taken away from our files when its reader is erased', async () => {
    const customer = uuidv7();
    accounts.set(customer, { email: 'gone@example.org' });
    await written('tickets', await sold({ customer }), customer);
    expect(filesOf(customer)).toHaveLength(1);
    await desk.tell({ name: 'user.erased', key: customer, version: 2, body: { roles: [], erased: true } });
    await wait(() => filesOf(customer).length === 0);
    expect(filesOf(customer)).toEqual([]);
  });
});
