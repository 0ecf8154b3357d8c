import { migrationFor, Storage } from '#storage';
import { Users } from './contract.js';
import { UserCommand } from './user.command.js';
import { UserQuery } from './user.query.js';
import { UserConfig } from './user-section.js';

const users = new Users();
let admin: string;
beforeAll(async () => {
  await users.start([UserCommand, UserQuery]);
  admin = await users.admin();
});
afterAll(() => users.stop());

const put = (path: string, body: object, bearer: string) => users.command().put(path).set('authorization', bearer).send(body);
const patch = (path: string, body: object, bearer: string) => users.command().patch(path).set('authorization', bearer).send(body);

describe('a user', () => {
  it('registers as a customer, and sees itself', async () => {
    const { id, bearer } = await users.register({ email: 'Ana@Example.org', name: 'Ana', language: 'es' });
    const { body, headers } = await users.get(`/api/users/${id}`, bearer);
    const ana = { id, version: 1, email: 'Ana@Example.org', name: 'Ana', language: 'es', roles: ['customer'] };
    expect(body).toEqual({ ...ana, confirmed: true, disabled: false });
    expect(headers.etag).toBe('"1"');
    expect((await users.get('/api/users/me', bearer)).body).toEqual(body);
  });

  it('has an e-mail that nobody else has, whatever its case', async () => {
    const { email } = await users.register();
    const { body } = await users.post('/api/users', { email: email.toUpperCase(), password: 'correct horse 1' }).expect(409);
    expect(body).toMatchObject({ type: '/problems/user-exists', fields: ['email'] });
    const found = await users.mesh.http('user-query').get(`/api/users?email=${email.toUpperCase()}`).set('authorization', admin);
    expect(found.status).toBe(200);
    expect(JSON.stringify(body)).not.toMatch(new RegExp(email, 'i'));
  });

  it('comes from one address only so often, and not at the cost of those from others', async () => {
    const join = (n: number, address: string) =>
      users.command().post('/api/users').set('x-forwarded-for', `9.9.9.9, ${address}`).send({ email: `many-${address}-${n}@example.org`, password: 'correct horse 1' }); // prettier-ignore
    const [{ registrations }] = [users.mesh.running('user-command').app.get(UserConfig)];
    const statuses: number[] = [];
    for (let n = 0; n <= registrations; n++) statuses.push((await join(n, '10.0.0.1')).status);
    expect(statuses).toEqual([...Array<number>(registrations).fill(201), 429]);
    const refused = await join(99, '10.0.0.1');
    expect([refused.status, Number(refused.headers['retry-after']) > 0]).toEqual([429, true]);
    expect((await join(0, '10.0.0.2')).status).toBe(201);
  });

  it.each([
    ['roles', { roles: ['chain-admin'] }, '/roles'],
    ['a confirmation', { confirmed: true }, '/confirmed'],
    ['no e-mail', { email: 'ana' }, '/email'],
    ['an e-mail of two', { email: 'a@example.org,b@example.org' }, '/email'],
    ['an e-mail with a line break', { email: 'a@example.org\nBcc: b@example.org' }, '/email'],
    ['an e-mail of look-alikes', { email: 'аna@example.org' }, '/email'],
    ['a short password', { password: 'nine char' }, '/password'],
    ['a password beyond 200 characters', { password: 'x y z '.repeat(40) }, '/password'],
    ['its e-mail as password', { email: 'someone@example.org', password: 'Someone@example.org' }, '/password'],
    ['a common password', { password: 'Password123!' }, '/password'],
    ['a common Spanish password', { password: 'contraseña' }, '/password'],
    ['a language we do not speak', { language: 'fr' }, '/language'],
    ['a name with a line break', { name: 'Ana\r\nBcc: x' }, '/name'],
  ])('cannot register with %s', async (_, over, pointer) => {
    const { body } = await users
      .post('/api/users', { email: 'wrong@example.org', password: 'correct horse 1', ...over })
      .expect(400);
    expect(body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer);
  });

  it('changes its name and language, and nothing else', async () => {
    const { id, bearer } = await users.register();
    const { body } = await patch(`/api/users/${id}`, { name: 'Ana María', language: 'en' }, bearer).expect(200);
    expect((await users.get(`/api/users/${id}`, bearer, 2)).body).toEqual(body);
    for (const wrong of [{ roles: ['operator'] }, { email: 'x@example.org' }, { passwordHash: 'x' }, { disabled: false }])
      await patch(`/api/users/${id}`, wrong, bearer).expect(400);
  });

  it('is not there for another customer', async () => {
    const [one, other] = [await users.register(), await users.register()];
    await users.get(`/api/users/${one.id}`, one.bearer);
    for (const path of [`/api/users/${one.id}`, `/api/users/${one.id}/export`])
      expect((await users.get(path, other.bearer)).status).toBe(404);
    await patch(`/api/users/${one.id}`, { name: 'x' }, other.bearer).expect(404);
    const change = { current: 'correct horse 1', password: 'another horse 2' };
    await users.post(`/api/users/${one.id}/password`, change, other.bearer).expect(404);
    await users.post(`/api/users/${one.id}/erase`, {}, other.bearer).expect(404);
    // Not even to an administrator, whose own password it would be.
    await users.post(`/api/users/${one.id}/password`, change, admin).expect(404);
  });

  it('is found by an administrator', async () => {
    const { id, email } = await users.register({ email: 'Findable@Example.org' });
    await users.get(`/api/users/${id}`, admin);
    for (const query of ['email=findable@example.org', 'q=findble', 'role=customer&disabled=false&confirmed=true']) {
      const { body } = await users.get(`/api/users?limit=100&${query}`, admin);
      expect(body.items).toContainEqual(expect.objectContaining({ id, email }));
    }
    expect((await users.get('/api/users?role=usher', admin)).body.items).toEqual([]);
    for (const path of ['/api/users/nobody', '/api/users/nobody/export']) expect((await users.get(path, admin)).status).toBe(404);
  });

  it('is never removed', async () => {
    const { id } = await users.register();
    await users.command().delete(`/api/users/${id}`).set('authorization', admin).expect(404);
  });
});

describe('who may', () => {
  const roles = ['customer', 'cashier', 'usher', 'manager', 'chain-admin', 'operator'] as const;

  it.each([
    ['post', '/api/users/:id/confirm'],
    ['post', '/api/users/:id/disable'],
    ['post', '/api/users/:id/enable'],
    ['put', '/api/users/:id/roles'],
    ['get', '/api/users'],
    ['get', '/api/audit'],
  ] as const)('%s %s: an administrator alone', async (verb, path) => {
    const { id } = await users.register();
    const http = users.mesh.http(verb === 'get' ? 'user-query' : 'user-command');
    const call = () => http[verb](path.replace(':id', id));
    await call().expect(401);
    for (const role of roles) {
      const { status } = await call()
        .set('authorization', await users.mesh.bearer(role))
        .send({ roles: ['usher'] });
      expect([role, status]).toEqual([role, role === 'chain-admin' ? 200 : 403]);
    }
  });

  it('ask about accounts: the client itself, and no user through it', async () => {
    const oauthUser = await users.mesh.bearerFor({ id: 'someone', roles: ['chain-admin', 'operator'], client: 'oauth' });
    for (const bearer of [admin, oauthUser, await users.mesh.bearerFor({ client: 'movie-query' })]) {
      await users.post('/internal/accounts/check', { email: 'a@example.org', password: 'x' }, bearer).expect(403);
      await users.post('/internal/accounts/first', {}, bearer).expect(403);
    }
    await users.post('/internal/accounts/check', { email: 'a@example.org', password: 'x' }).expect(401);
    await users
      .post('/internal/accounts/password', { email: 'a@example.org' }, await users.mesh.bearerFor({ client: 'oauth' }))
      .expect(403);
  });
});

describe('an administrator', () => {
  it('gives roles, and ends the sessions of whom one is taken from', async () => {
    const { id } = await users.register();
    const given = await put(`/api/users/${id}/roles`, { roles: ['customer', 'usher'] }, admin).expect(200);
    expect(given.body).toMatchObject({ roles: ['customer', 'usher'] });
    expect(given.body.signedOutAt).toBeUndefined();
    const taken = await put(`/api/users/${id}/roles`, { roles: ['customer'] }, admin).expect(200);
    expect(taken.body.signedOutAt).toMatch(/Z$/);
    for (const wrong of [[], ['king'], ['usher', 'usher'], 'usher'])
      await put(`/api/users/${id}/roles`, { roles: wrong }, admin).expect(400);
  });

  it('cannot be the last to go, nor disable itself', async () => {
    const [one, two] = [await users.register(), await users.register()];
    const [asOne, asCli] = [
      await users.admin(one.id),
      await users.mesh.bearerFor({ client: 'mesh-cli', roles: ['chain-admin'] }),
    ];
    await put(`/api/users/${one.id}/roles`, { roles: ['chain-admin'] }, asCli).expect(200);
    const last = async (call: Promise<{ body: { type: string } }> | PromiseLike<{ body: { type: string } }>) =>
      expect((await call).body.type).toBe('/problems/last-administrator');
    await last(users.post(`/api/users/${one.id}/disable`, {}, asCli).expect(409));
    await last(put(`/api/users/${one.id}/roles`, { roles: ['customer'] }, asOne).expect(409));
    await last(users.post(`/api/users/${one.id}/erase`, { password: 'correct horse 1' }, asOne).expect(409));
    expect((await users.post(`/api/users/${one.id}/disable`, {}, asOne).expect(409)).body.type).toBe('/problems/own-account');
    await put(`/api/users/${two.id}/roles`, { roles: ['chain-admin'] }, asCli).expect(200);
    // The same id in capitals is the own one still.
    const itself = `/api/users/${one.id.toUpperCase()}`;
    expect((await users.post(`${itself}/disable`, {}, asOne).expect(409)).body.type).toBe('/problems/own-account');
    await users.post(`${itself}/erase`, {}, asOne).expect(403);
    // Both take each other away at once: one of them stays.
    const asTwo = await users.admin(two.id);
    const both = await Promise.all([
      users.post(`/api/users/${two.id}/disable`, {}, asOne),
      users.post(`/api/users/${one.id}/disable`, {}, asTwo),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
  });
});

it('what both sides answer is documented, also where it stands in place of what every resource has', async () => {
  const of = async (process: string) => (await users.mesh.http(process).get('/openapi.json').expect(200)).body.paths;
  const [command, query] = [await of('user-command'), await of('user-query')];
  const { post } = command['/api/users'];
  expect(Object.keys(post.requestBody.content['application/json'].schema.properties)).toContain('password');
  expect(post.parameters).toMatchObject([{ name: 'Idempotency-Key', in: 'header' }]);
  expect(command['/api/users/{id}'].delete).toBeUndefined();
  expect(Object.keys(command['/api/users/{id}'].patch.requestBody.content)).toContain('application/merge-patch+json');
  expect(Object.keys(command).filter((path) => path.startsWith('/internal'))).toEqual([]);
  const names = query['/api/audit'].get.parameters.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(['who', 'client', 'subject', 'subjectId', 'action', 'from', 'to']));
});

it.each(['user-command', 'user-query'])('the tables of %s are as its entities say', async (process) => {
  const { db } = users.mesh.running(process).app.get(Storage);
  expect(await migrationFor(db, { process, name: 'none', atMs: 0 })).toBeUndefined();
});
