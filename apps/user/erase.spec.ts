import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Storage } from '#storage';
import { openClient } from '#postgres';
import { Users } from './contract.js';
import { UserCommand } from './user.command.js';
import { UserQuery } from './user.query.js';

const users = new Users();
beforeAll(() => users.start([UserCommand, UserQuery], { 'user.confirmation': 'email', 'mail.pollMs': 50 }));
afterAll(() => users.stop());

/** Every table of every schema in which the text is found. */
async function tablesWith(text: string): Promise<string[]> {
  const client = await openClient(users.mesh.postgres!.url());
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    const found: string[] = [];
    for (const { name } of rows) {
      const { rowCount } = await client.query(`SELECT 1 FROM ${name} t WHERE strpos(lower(t::text), lower($1)) > 0 LIMIT 1`, [
        text,
      ]);
      if (rowCount) found.push(name);
    }
    return found;
  } finally {
    await client.end();
  }
}

const filesWith = (folder: string, text: string): string[] =>
  readdirSync(folder, { recursive: true })
    .map((file) => join(folder, String(file)))
    .filter((file) => !file.includes('/postgres/') && statSync(file).isFile())
    .filter((file) => readFileSync(file, 'utf8').toLowerCase().includes(text.toLowerCase()));

const everywhere = async (text: string) => [
  ...(await tablesWith(text)),
  ...filesWith(users.mesh.dataDir, text),
  ...filesWith(users.outbox, text),
];
const nowhere = async (text: string) => {
  for (let i = 0; ; i++) {
    const found = await everywhere(text);
    if (found.length === 0 || i === 60) return found;
    await sleep(50);
  }
};

it('leaves nothing of a person, anywhere', async () => {
  const admin = await users.admin();
  const made = await users
    .command()
    .post('/api/users')
    .set('Idempotency-Key', 'erase')
    .send({ email: 'Unforgettable@Example.org', password: 'correct horse 1', name: 'Zacarías Unico' })
    .expect(201);
  const { id } = made.body as { id: string };
  await users.mails(id);
  const change = (body: object) => users.command().patch(`/api/users/${id}`).set('authorization', admin).send(body).expect(200);
  await change({ name: 'Zacarías Segundo' });
  await users.internal('forgot', { email: 'unforgettable@example.org' });
  await users.get(`/api/users/${id}`, admin, 2);
  await users.audit(`subjectId=${id}`);
  expect(await everywhere('unforgettable@example')).toEqual(
    expect.arrayContaining(['user_command.account', 'user_command.idempotency', 'bus.event', 'user_query.user_view']),
  );
  expect(await everywhere('Zacarías')).toEqual(expect.arrayContaining(['user_command.audit_record', 'user_query.audit_view']));

  const { body } = await users.post(`/api/users/${id}/erase`, {}, admin).expect(200);
  const nothing = { id, version: 3, roles: [], confirmed: false, disabled: true, erased: true };
  expect(body).toEqual({ ...nothing, signedOutAt: expect.stringMatching(/Z$/) });
  expect((await users.get(`/api/users/${id}`, admin, 3)).body).toEqual(body);
  for (const text of ['unforgettable@example', 'Zacarías', 'Unico']) expect([text, await nowhere(text)]).toEqual([text, []]);
  const storage = users.mesh.running('user-command').app.get(Storage);
  expect(await storage.query(`SELECT 1 FROM mail WHERE about = $1`, [id])).toEqual([]);
  expect(await storage.query(`SELECT 1 FROM link WHERE "userId" = $1`, [id])).toEqual([]);

  const records = await users.audit(`subjectId=${id}&sort=at`, 2);
  expect(records).toMatchObject([
    { action: 'changed', before: {}, after: {}, version: 2 },
    { action: 'erased', before: { roles: ['customer'], disabled: false }, after: { erased: true }, version: 1 },
  ]);
});

it('is done by the person, who knows the password, and is final', async () => {
  const { id, email, bearer } = await users.register();
  const admin = await users.admin();
  for (const wrong of [{}, { password: 'wrong horse 1' }])
    expect((await users.post(`/api/users/${id}/erase`, wrong, bearer).expect(403)).body.type).toBe('/problems/wrong-password');
  await users.post(`/api/users/${id}/erase`, { password: 'correct horse 1' }, bearer).expect(200);
  expect((await users.check(email, 'correct horse 1')).body).toEqual({ outcome: 'wrong' });
  const refused = async (call: PromiseLike<{ status: number; body: { type: string } }>) => {
    const { status, body } = await call;
    expect([status, body.type]).toEqual([409, '/problems/user-erased']);
  };
  await refused(users.post(`/api/users/${id}/enable`, {}, admin));
  await refused(
    users
      .command()
      .put(`/api/users/${id}/roles`)
      .set('authorization', admin)
      .send({ roles: ['customer'] }),
  );
  await refused(users.command().patch(`/api/users/${id}`).set('authorization', admin).send({ name: 'Again' }));
  // The address is free again, and leads to another account.
  const again = await users.post('/api/users', { email, password: 'correct horse 1' }).expect(201);
  expect(again.body.id).not.toBe(id);
});
