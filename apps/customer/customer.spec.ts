import { v7 as uuidv7 } from 'uuid';
import { openClient } from '#postgres';
import { migrationFor, Storage } from '#storage';
import { Desk, startTestMesh, type TestMesh, until } from '#testing';
import { CustomerCommand } from './customer.command.js';
import { CustomerQuery } from './customer.query.js';

let mesh: TestMesh, desk: Desk;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [CustomerCommand, CustomerQuery] });
  desk = new Desk(mesh, 'customer');
});
afterAll(() => mesh.stop());

const user = (over: object = {}) => ({
  ...{ email: 'ana@example.org', name: 'Ana', language: 'es', roles: ['customer'], confirmed: true, disabled: false, ...over },
});
const tellUser = (key: string, what: string, version: number, over: object = {}) =>
  desk.tell({ name: `user.${what}`, key, version, body: user(over) });
/** Until the events told so far of that user's topic and key are handled: a later one is. */
const told = (id: string, version: number) =>
  desk.found('SELECT 1 FROM customer WHERE id = $1 AND "userVersion" = $2', [id, version]);
const as = async (id: string, ...roles: ('customer' | 'manager' | 'chain-admin')[]) =>
  desk.as(await mesh.bearerFor({ id, roles: roles.length ? roles : ['customer'], client: 'web' }));

/** A customer nobody else has made, at their desk. */
async function customer(over: object = {}): Promise<{ id: string; own: Desk }> {
  const id = uuidv7();
  await tellUser(id, 'created', 1, over);
  await told(id, 1);
  const own = await as(id);
  await own.seen(id);
  return { id, own };
}

describe('a customer', () => {
  it('comes to be with the user, who is a customer', async () => {
    const { id, own } = await customer();
    const is = { id, version: 1, name: 'Ana', language: 'es', points: 0, consents: {} };
    expect((await own.get(`/${id}`).expect(200)).body).toEqual(is);
    expect((await own.get('/me').expect(200)).headers.etag).toBe('"1"');
    const clerk = uuidv7();
    await tellUser(clerk, 'created', 1, { roles: ['cashier'] });
    await tellUser(clerk, 'changed', 2, { roles: ['cashier', 'customer'], name: 'Beto' });
    await told(clerk, 2);
    expect((await (await as(clerk)).seen(clerk)).body).toEqual({ ...is, id: clerk, name: 'Beto' });
  });

  it('who comes from elsewhere has the telephone of there, until they change it', async () => {
    const { id, own } = await customer({ phone: '+51987654321' });
    expect((await own.get(`/${id}`).expect(200)).body.phone).toBe('+51987654321');
    await own.patch(id, { phone: null }).expect(200);
    await tellUser(id, 'changed', 2, { phone: '+51987654321', name: 'Rosa' });
    await told(id, 2);
    expect((await own.seen(id, 3)).body.phone).toBeUndefined();
  });

  it('follows what the account says, but for what they set', async () => {
    const { id, own } = await customer();
    await own.patch(id, { name: 'Anita' }).expect(200);
    await tellUser(id, 'changed', 2, { name: 'Ana María', language: 'en' });
    await told(id, 2);
    expect((await own.seen(id, 3)).body).toMatchObject({ name: 'Anita', language: 'en' });
    await own.patch(id, { name: null }).expect(200);
    await tellUser(id, 'changed', 3, { name: 'Ana Sofía' });
    await tellUser(id, 'changed', 2, { language: 'en' });
    await tellUser(id, 'created', 1, { language: 'en' });
    await tellUser(id, 'changed', 4, { name: 'Ana Sofía' });
    await told(id, 4);
    const { body } = await own.seen(id, 5);
    expect(body).toEqual({ id, version: 5, language: 'es', points: 0, consents: {} });
  });

  it('changes what is theirs', async () => {
    const { id, own } = await customer();
    const change = { name: 'Ana', phone: '+51987654321', language: 'en', consents: { newsletter: true } };
    const { body, headers } = await own.patch(id, change, { 'If-Match': '"1"' }).expect(200);
    expect(body).toEqual({ id, version: 2, points: 0, ...change });
    expect(headers.etag).toBe('"2"');
    expect((await own.seen(id, 2)).body).toEqual(body);
    await own.patch(id, { phone: null }, { 'If-Match': '"1"' }).expect(412);
    await own.patch(id, { phone: null }, { 'If-Match': '"2"' }).expect(200);
    expect((await own.seen(id, 3)).body.phone).toBeUndefined();
  });

  it.each<[object, string]>([
    [{ phone: '987654321' }, '/phone'],
    [{ phone: '+0987654321' }, '/phone'],
    [{ phone: '+519876543210123456' }, '/phone'],
    [{ language: 'fr' }, '/language'],
    [{ name: ' ' }, '/name'],
    [{ points: 1000 }, '/points'],
    [{ erased: true }, '/erased'],
    [{ consents: { newsletter: 'yes' } }, '/consents/newsletter'],
    [{ consents: { everything: true } }, '/consents/everything'],
    [{ consents: [] }, '/consents'],
  ])('cannot set %j', async (change, pointer) => {
    const { id, own } = await customer();
    const { body } = await own.patch(id, change).expect(400);
    expect(body.errors[0].pointer).toBe(pointer);
  });

  it('sees and changes nobody else, and is made and removed by nobody', async () => {
    const [{ id, own }, other] = [await customer(), await customer()];
    for (const path of [`/${other.id}`, `/${other.id}/export`]) await own.get(path).expect(404);
    await own.patch(other.id, { name: 'Mía' }).expect(404);
    await desk.get(`/${id}`).expect(401);
    await (await as(id, 'manager')).get(`/${id}`).expect(403);
    for (const call of [own.post('', {}), desk.post('', {})]) expect((await call.expect(405)).headers.allow).toBe('GET, HEAD');
    expect((await own.remove(id).expect(405)).headers.allow).toBe('GET, HEAD, PATCH');
    await own.seen(id);
  });

  it('is listed for administrators of all chains alone', async () => {
    const { id, own } = await customer({ name: 'Única Zárate' });
    const [first, bound] = [uuidv7(), uuidv7()];
    const body = { user: bound, role: 'chain-admin', chain: uuidv7(), cinemas: [] };
    await desk.tell({ name: 'manager.created', key: uuidv7(), body });
    await desk.found('SELECT 1 FROM staff WHERE "user" = $1', [bound], 'query');
    const { body: found } = await (await as(first, 'chain-admin')).get('?q=unica%20zarate').expect(200);
    expect(found.items).toMatchObject([{ id, name: 'Única Zárate' }]);
    expect((await (await as(bound, 'chain-admin')).get('').expect(403)).body.type).toBe('/problems/out-of-bounds');
    await (await as(first, 'manager')).get('').expect(403);
    await own.get('').expect(403);
  });
});

describe('consents', () => {
  const dated = async (own: Desk, id: string, wanted: number) => {
    await desk.found('SELECT 1 FROM consent_view WHERE customer = $1 OFFSET $2', [id, wanted - 1], 'query');
    const { body, headers } = await own.get(`/${id}/export`).expect(200);
    expect(headers['content-disposition']).toBe(`attachment; filename="cinemanzana-customer-${id}.json"`);
    return body as { exportedAt: string; customer: object; consents: { consent: string; given: boolean; at: string }[] };
  };

  it('are dated, each time one changes, and the customer has the proof', async () => {
    const { id, own } = await customer();
    const started = new Date().toISOString();
    await own.patch(id, { consents: { newsletter: true, profiling: false } }).expect(200);
    await own.patch(id, { consents: { newsletter: true }, name: 'Ana' }).expect(200);
    await own.patch(id, { consents: { newsletter: null } }).expect(200);
    expect((await own.seen(id, 4)).body.consents).toEqual({ profiling: false });
    await own.patch(id, { consents: { profiling: true } }).expect(200);
    await own.seen(id, 5);
    const { consents, customer: kept, exportedAt } = await dated(own, id, 4);
    expect(consents.map(({ consent, given }) => `${consent} ${given}`)).toEqual([
      ...['newsletter true', 'profiling false', 'newsletter false', 'profiling true'],
    ]);
    for (const { at } of consents) expect(at >= started && at <= exportedAt).toBe(true);
    expect(kept).toMatchObject({ id, name: 'Ana', consents: { profiling: true } });
    expect(await desk.sql('SELECT 1 FROM customer_consent WHERE customer = $1', [id])).toHaveLength(4);
  });
});

describe('points', () => {
  const lines = (seats: number) => Array.from({ length: seats }, (_, n) => ({ seat: `A${n + 1}` }));
  const purchase = (key: string, who: string | undefined, what: string, version: number, seats: number, state = what) =>
    desk.tell({ name: `purchase.${what}`, key, version, body: { customer: who, state, lines: lines(seats) } });
  /** Until what was told of this purchase is handled: the table has that version. */
  const counted = (key: string, version: number) =>
    desk.found('SELECT 1 FROM customer_points WHERE purchase = $1 AND version = $2', [key, version]);
  const points = async (id: string) =>
    (await desk.sql<{ points: number }>('SELECT points FROM customer WHERE id = $1', [id]))[0]!.points;

  it('are ten a seat, once, and go with the money', async () => {
    const { id, own } = await customer();
    const [first, second] = [uuidv7(), uuidv7()];
    await purchase(first, id, 'paid', 3, 2);
    await purchase(first, id, 'paid', 3, 2);
    await purchase(first, id, 'admitted', 4, 2, 'paid');
    await counted(first, 4);
    expect(await points(id)).toBe(20);
    await purchase(second, id, 'paid', 3, 3);
    await counted(second, 3);
    expect((await own.seen(id, 3)).body.points).toBe(50);
    await purchase(first, id, 'refunded', 5, 2);
    await purchase(first, id, 'changed', 6, 2, 'refunded');
    await purchase(first, id, 'paid', 3, 2);
    await purchase(first, id, 'changed', 7, 2, 'refunded');
    await counted(first, 7);
    // What came late did nothing, not even for a while.
    expect((await own.seen(id, 4)).body).toMatchObject({ version: 4, points: 30 });
    expect(await desk.sql('SELECT version FROM customer WHERE id = $1', [id])).toEqual([{ version: 4 }]);
  });

  it('are of the new purchase when one is exchanged, whichever is told first', async () => {
    const { id } = await customer();
    const [old, next] = [uuidv7(), uuidv7()];
    await purchase(next, id, 'paid', 1, 3);
    await counted(next, 1);
    await purchase(old, id, 'exchanged', 4, 2);
    await purchase(old, id, 'paid', 3, 2);
    await purchase(old, id, 'exchanged', 5, 2);
    await counted(old, 5);
    expect(await points(id)).toBe(30);
  });

  it('are never fewer than none, and wait for who comes to be later', async () => {
    const [id, refunded, early] = [uuidv7(), uuidv7(), uuidv7()];
    await purchase(refunded, id, 'refunded', 4, 8);
    await purchase(early, id, 'admitted', 4, 1, 'paid');
    await purchase(uuidv7(), undefined, 'paid', 3, 9);
    for (const key of [refunded, early]) await counted(key, 4);
    await tellUser(id, 'created', 1);
    await told(id, 1);
    expect(await points(id)).toBe(10);
    await purchase(early, id, 'refunded', 5, 1);
    await counted(early, 5);
    expect(await points(id)).toBe(0);
  });

  it('are right whatever comes together with them', async () => {
    const { id, own } = await customer();
    const keys = Array.from({ length: 6 }, () => uuidv7());
    const names = keys.map((_, n) => own.patch(id, { name: `Ana ${n}` }));
    const all = await Promise.all([...names, ...keys.map((key) => purchase(key, id, 'paid', 3, 2))]);
    expect(all.slice(0, 6).map((answer) => (answer as { status: number }).status)).toEqual(Array(6).fill(200));
    for (const key of keys) await counted(key, 3);
    expect(await points(id)).toBe(120);
  });
});

describe('when the user is erased', () => {
  const gone = { email: undefined, name: undefined, roles: [], disabled: true, erased: true };
  const paid = (key: string, id: string, version = 3) =>
    desk.tell({ name: 'purchase.paid', key, version, body: { customer: id, state: 'paid', lines: [{}] } });
  /** How many rows the whole database has for it. */
  const rowsOf = async (text: string, params: unknown[] = []) => {
    const admin = await openClient(mesh.postgres!.url());
    try {
      return (await admin.query(text, params)).rowCount;
    } finally {
      await admin.end();
    }
  };

  it('nothing is left that says anything of the person', async () => {
    const { id, own } = await customer({ name: 'Zenobia Irrepetible' });
    const key = uuidv7();
    await own.patch(id, { phone: '+51999888777', consents: { newsletter: true } }).expect(200);
    await paid(key, id);
    await desk.found('SELECT 1 FROM customer_points WHERE purchase = $1', [key]);
    await desk.found('SELECT 1 FROM consent_view WHERE customer = $1', [id], 'query');
    await tellUser(id, 'erased', 2, gone);
    await told(id, 2);
    const { body } = await own.seen(id, 4);
    expect(body).toEqual({ id, version: 4, points: 0, consents: {}, erased: true });
    for (const table of ['customer_points', 'customer_consent'])
      expect(await desk.sql(`SELECT 1 FROM ${table} WHERE customer = $1`, [id])).toEqual([]);
    // Of the customer the log has the last event, which says nothing; of the consent none.
    const said = `SELECT 1 FROM bus.event WHERE topic = 'customer' AND (key = $1 OR body ->> 'customer' = $1)`;
    await until('the log has forgotten', async () => (await rowsOf(said, [id])) === 1);
    const proofs = () => desk.sql('SELECT 1 FROM consent_view WHERE customer = $1', [id], 'query');
    await until('the proofs are gone', async () => (await proofs()).length === 0);
    await own.patch(id, { name: 'Otra' }).expect(404);
  });

  it('nothing brings it back, not even one that was never seen', async () => {
    const { id } = await customer();
    const never = uuidv7();
    for (const key of [id, never]) {
      await tellUser(key, 'erased', 2, gone);
      await told(key, 2);
      await tellUser(key, 'created', 1);
      await tellUser(key, 'changed', 3);
      await paid(uuidv7(), key);
    }
    const waiting = `SELECT 1 FROM bus.waiting('customer-command', ARRAY['user', 'purchase']) WHERE events > 0`;
    await until('all is handled', async () => (await rowsOf(waiting)) === 0);
    const rows = await desk.sql('SELECT erased, name, points FROM customer WHERE id = ANY ($1)', [[id, never]]);
    expect(rows).toEqual(Array(2).fill({ erased: true, name: null, points: 0 }));
  });
});

it.each(['customer-command', 'customer-query'])('the tables of %s are as its entities say', async (process) => {
  const { db } = mesh.running(process).app.get(Storage);
  expect(await migrationFor(db, { process, name: 'none', atMs: 0 })).toBeUndefined();
});
