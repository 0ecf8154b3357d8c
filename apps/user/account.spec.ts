import { Storage } from '#storage';
import { Users } from './contract.js';
import { UserCommand } from './user.command.js';

const users = new Users();
beforeAll(() => users.start([UserCommand], { 'user.wrongPasswords': 3 }));
afterAll(() => users.stop());

const hashes = async (id: string) => {
  const storage = users.mesh.running('user-command').app.get(Storage);
  const [row] = await storage.query<{ hash: string; version: number }>(
    'SELECT "passwordHash" AS hash, version FROM account WHERE id = $1',
    [id],
  );
  return row!;
};
const checks = async () => {
  const { text } = await users.command().get('/metrics').expect(200);
  return [...text.matchAll(/^user_password_checks_total\{.*\} (\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
};

describe('a password', () => {
  it('signs in, whatever the case of the e-mail', async () => {
    const { id, email } = await users.register({ name: 'Ana', language: 'en' });
    const { body } = await users.check(email.toLowerCase(), 'correct horse 1');
    expect(body).toEqual({ outcome: 'ok', account: { id, email, name: 'Ana', language: 'en', roles: ['customer'] } });
    expect((await users.check(email, 'Correct horse 1')).body).toEqual({ outcome: 'wrong' });
  });

  it('is the same however it was typed', async () => {
    const { email } = await users.register({ password: 'contrasen\u0303a larga' });
    expect((await users.check(email, 'contraseña larga')).body.outcome).toBe('ok');
  });

  it('is compared also where there is no account: the same answer after the same work', async () => {
    const { email } = await users.register();
    await users.check('nobody@example.org', 'x');
    const before = await checks();
    const answers = [
      await users.check(email, 'wrong horse 1'),
      await users.check('nobody@example.org', 'wrong horse 1'),
      await users.check('no address at all', 'wrong horse 1'),
    ];
    expect(answers.map(({ status, body }) => [status, body])).toEqual(Array(3).fill([200, { outcome: 'wrong' }]));
    expect((await checks()) - before).toBe(3);
  });

  it('is hashed again at a sign-in when its cost has changed, which nobody is told', async () => {
    const { id, email } = await users.register();
    const before = await hashes(id);
    expect(before.hash).toMatch(/^\$argon2id\$v=19\$m=64,p=1,t=1\$|^\$argon2id\$v=19\$m=64,t=1,p=1\$/);
    const dearer = await users.mesh.launch(UserCommand);
    const { UserConfig } = await import('./user-section.js');
    dearer.app.get(UserConfig).hashPasses = 2;
    const answer = await fetch(`${dearer.url}/internal/accounts/check`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: await users.mesh.bearerFor({ client: 'oauth' }) },
      body: JSON.stringify({ email, password: 'correct horse 1' }),
    });
    expect(await answer.json()).toMatchObject({ outcome: 'ok' });
    const after = await hashes(id);
    expect(after.hash).toMatch(/t=2/);
    expect(after.version).toBe(before.version);
    expect((await users.check(email, 'correct horse 1')).body.outcome).toBe('ok');
  });

  it('is changed by its owner, who knows it, and ends the sessions', async () => {
    const { id, email, bearer } = await users.register();
    const change = (current: string, password: string) => users.post(`/api/users/${id}/password`, { current, password }, bearer);
    expect((await change('wrong horse 1', 'another horse 2').expect(403)).body.type).toBe('/problems/wrong-password');
    await change('correct horse 1', email).expect(400);
    const { body } = await change('correct horse 1', 'another horse 2').expect(200);
    expect(body.signedOutAt).toMatch(/Z$/);
    expect(JSON.stringify(body)).not.toMatch(/argon2/);
    expect((await users.check(email, 'correct horse 1')).body.outcome).toBe('wrong');
    expect((await users.check(email, 'another horse 2')).body.outcome).toBe('ok');
  });

  it('cannot be guessed with a stolen token, while its owner still signs in', async () => {
    const { id, email, bearer } = await users.register();
    const guess = (current: string) => users.post(`/api/users/${id}/password`, { current, password: 'another horse 2' }, bearer);
    for (let i = 0; i < 3; i++) await guess('wrong horse 1').expect(403);
    const { headers } = await guess('correct horse 1').expect(429);
    expect(Number(headers['retry-after'])).toBeGreaterThan(600);
    expect((await users.check(email, 'correct horse 1')).body.outcome).toBe('ok');
  });
});

describe('an account', () => {
  it('that is disabled says so only to who knows the password', async () => {
    const { id, email } = await users.register();
    const admin = await users.admin();
    expect((await users.post(`/api/users/${id}/disable`, {}, admin).expect(200)).body.signedOutAt).toMatch(/Z$/);
    expect((await users.check(email, 'correct horse 1')).body).toEqual({ outcome: 'disabled' });
    expect((await users.check(email, 'wrong horse 1')).body).toEqual({ outcome: 'wrong' });
    await users.post(`/api/users/${id}/enable`, {}, admin).expect(200);
    expect((await users.check(email, 'correct horse 1')).body.outcome).toBe('ok');
  });

  it('is told by id and by e-mail, without its password', async () => {
    const { id, email } = await users.register();
    const bearer = await users.mesh.bearerFor({ client: 'oauth' });
    const get = (path: string) => users.command().get(`/internal/accounts${path}`).set('authorization', bearer);
    const account = { id, email, roles: ['customer'], confirmed: true, disabled: false };
    for (const path of [`/${id}`, `?email=${email.toUpperCase()}`]) {
      const { body } = await get(path).expect(200);
      expect(body).toMatchObject(account);
      expect(Object.keys(body)).not.toContain('passwordHash');
    }
    const sellers = await users.mesh.bearerFor({ client: 'purchase-command' });
    await users.command().get(`/internal/accounts/${id}`).set('authorization', sellers).expect(200);
    await users.command().get(`/internal/accounts?email=${email}`).set('authorization', sellers).expect(403);
    for (const path of ['/1', '/01890000-0000-7000-8000-000000000000', '?email=nobody@example.org', '?email=%00', ''])
      await get(path).expect(404);
  });

  it('of the first administrator is made once, whoever asks at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 4 }, () => users.internal('first', {}, 'mesh-cli')));
    const [made] = answers.filter(({ status }) => status === 201);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
    expect(answers.find(({ status }) => status === 409)!.body.type).toBe('/problems/administrator-exists');
    const { email, password } = made!.body as { email: string; password: string };
    expect(password).toMatch(/^[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{5}$/);
    expect((await users.check(email, password)).body).toMatchObject({
      outcome: 'ok',
      account: { roles: ['chain-admin', 'operator'] },
    });
    const renewed = await users.internal('password', { email: email.toUpperCase() }, 'mesh-cli');
    expect(renewed.body).toEqual({ email, password: expect.not.stringMatching(password) });
    expect((await users.check(email, renewed.body.password as string)).body.outcome).toBe('ok');
    expect((await users.internal('password', { email: 'nobody@example.org' }, 'mesh-cli')).status).toBe(404);
  });
});
