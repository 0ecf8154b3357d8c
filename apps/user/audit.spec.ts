import { Storage } from '#storage';
import { Users } from './contract.js';
import { UserCommand } from './user.command.js';
import { UserQuery } from './user.query.js';

const users = new Users();
let admin: string;
const ADMIN = '01890000-0000-7000-8000-00000000ad02';
beforeAll(async () => {
  await users.start([UserCommand, UserQuery]);
  admin = await users.admin(ADMIN);
});
afterAll(() => users.stop());

const roles = (id: string, to: string[]) =>
  users.command().put(`/api/users/${id}/roles`).set('authorization', admin).send({ roles: to });
const list = (query: string) => users.mesh.http('user-query').get(`/api/audit?${query}`).set('authorization', admin);

it('says who did what, through what, when, before and after', async () => {
  const { id } = await users.register();
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  await roles(id, ['customer', 'usher']).set('traceparent', traceparent).expect(200);
  const [record] = await users.audit(`subjectId=${id}`);
  expect(record).toEqual({
    ...{ id: expect.any(String), version: 1, who: ADMIN, client: 'web', process: 'user-command', traceId: 'a'.repeat(32) },
    ...{ at: expect.stringMatching(/Z$/), subject: 'user', subjectId: id, action: 'roles-changed' },
    ...{ before: { roles: ['customer'] }, after: { roles: ['customer', 'usher'] } },
  });
});

it('holds what staff and clients write, and not what customers do to themselves', async () => {
  const { id, email, bearer } = await users.register();
  await users.command().patch(`/api/users/${id}`).set('authorization', bearer).send({ name: 'Ana' }).expect(200);
  await users.post(`/api/users/${id}/password`, { current: 'correct horse 1', password: 'another horse 2' }, bearer).expect(200);
  await users.internal('password', { email }, 'mesh-cli');
  const records = await users.audit(`subjectId=${id}`);
  expect(records).toMatchObject([{ who: 'mesh-cli', client: 'mesh-cli', action: 'password-changed' }]);
  expect(JSON.stringify(records)).not.toMatch(/argon2|passwordHash/);
});

it('is rolled back with its write', async () => {
  const { id } = await users.register();
  const storage = users.mesh.running('user-command').app.get(Storage);
  await storage.query(`ALTER TABLE outbox ADD CONSTRAINT no_more CHECK (name <> 'audit.recorded')`);
  await roles(id, ['usher']).expect(500);
  await storage.query('ALTER TABLE outbox DROP CONSTRAINT no_more');
  expect(await storage.query('SELECT 1 FROM audit_record WHERE "subjectId" = $1', [id])).toEqual([]);
  expect(await storage.query('SELECT version FROM account WHERE id = $1', [id])).toEqual([{ version: 1 }]);
  await roles(id, ['usher']).set('If-Match', '"7"').expect(412);
  expect(await storage.query('SELECT 1 FROM audit_record WHERE "subjectId" = $1', [id])).toEqual([]);
});

it('is listed newest first, page by page, by who, what and when', async () => {
  const { id } = await users.register();
  for (const to of [['usher'], ['cashier'], ['manager'], ['customer'], ['usher']]) await roles(id, to).expect(200);
  const all = await users.audit(`subjectId=${id}`, 5);
  expect(all.map(({ after }) => (after as { roles: string[] }).roles[0])).toEqual([
    'usher',
    'customer',
    'manager',
    'cashier',
    'usher',
  ]);
  const query = `subjectId=${id}&limit=2`;
  const first = await list(query).expect(200);
  const second = await list(`${query}&cursor=${first.body.next}`).expect(200);
  expect([...first.body.items, ...second.body.items]).toEqual(all.slice(0, 4));
  const at = (i: number) => encodeURIComponent(String(all[i]!.at));
  expect((await list(`subjectId=${id}&from=${at(2)}&to=${at(0)}`)).body.items).toEqual(all.slice(1, 3));
  for (const by of [`who=${ADMIN}`, 'client=web', 'subject=user', 'action=roles-changed'])
    expect((await list(`subjectId=${id}&${by}`)).body.items).toHaveLength(5);
  for (const by of ['who=nobody', 'client=mesh-cli', 'subject=movie', 'action=erased'])
    expect((await list(`subjectId=${id}&${by}`)).body.items).toEqual([]);
  await list('from=yesterday').expect(400);
  await list('before=x').expect(400);
});

it('is part of what a person can take away, without what concerns others', async () => {
  const one = await users.register();
  const other = await users.register({ name: 'Someone Else' });
  await roles(one.id, ['customer', 'chain-admin']).expect(200);
  const asOne = await users.admin(one.id);
  await users.command().patch(`/api/users/${other.id}`).set('authorization', asOne).send({ name: 'Changed' }).expect(200);
  await users.audit(`who=${one.id}`);
  await users.audit(`subjectId=${one.id}`);
  await users.get(`/api/users/${one.id}`, one.bearer, 2);
  const { body, headers } = await users.get(`/api/users/${one.id}/export`, one.bearer);
  expect(headers['content-disposition']).toBe(`attachment; filename="cinemanzana-user-${one.id}.json"`);
  expect(body.user).toMatchObject({ id: one.id, email: one.email });
  expect(body.audit).toMatchObject([
    { subjectId: one.id, who: ADMIN, after: { roles: ['customer', 'chain-admin'] } },
    { subjectId: other.id, who: one.id, before: null, after: null },
  ]);
  expect(JSON.stringify(body)).not.toMatch(/Someone Else|Changed/);
});
