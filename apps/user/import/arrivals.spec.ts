import { Storage } from '#storage';
import { tokenIn, Users } from '../contract.js';
import { UserCommand } from '../user.command.js';
import { UserQuery } from '../user.query.js';

const users = new Users();
let admin: string;
beforeAll(async () => {
  await users.start([UserCommand, UserQuery]);
  admin = await users.admin();
});
afterAll(() => users.stop());

type Result = { status: string; id?: string; errors?: object[] };
const bring = async (people: unknown[], over: object = {}) =>
  (await users.post('/api/users/import', { users: people, ...over }, admin).expect(200)).body.results as Result[];
const sql = <T>(text: string) => users.mesh.running('user-command').app.get(Storage).query<T>(text);

describe('customers from elsewhere', () => {
  it('are tried first, and nothing is written', async () => {
    const results = await bring([{ email: 'trial@example.pe' }, { email: 'trial' }], { dryRun: true });
    expect(results).toMatchObject([{ status: 'accepted' }, { status: 'refused', errors: [{ pointer: '/email' }] }]);
    expect(await sql(`SELECT 1 FROM account WHERE email = 'trial@example.pe'`)).toEqual([]);
  });

  it('have an account each, a bad one costing no other, and keep what they have when they come again', async () => {
    const { email } = await users.register({ name: 'Here before' });
    const rosa = { email: 'Rosa@Example.pe', name: 'Rosa', language: 'es', phone: '+51987654321' };
    const batch = [
      rosa,
      { email: email.toUpperCase(), name: 'Other' },
      { email: 'x@example.pe', phone: '987' },
      { ...rosa, email: 'ROSA@example.pe' },
    ];
    const results = await bring(batch);
    expect(results.map(({ status }) => status)).toEqual(['created', 'existed', 'refused', 'existed']);
    expect(results[2]!.errors).toMatchObject([{ pointer: '/phone' }]);
    const { body } = await users.get(`/api/users/${results[0]!.id}`, admin);
    expect(body).toMatchObject({ ...rosa, roles: ['customer'], confirmed: true, disabled: false });
    expect((await bring(batch)).map(({ status }) => status)).toEqual(['existed', 'existed', 'refused', 'existed']);
    expect(await sql(`SELECT name FROM account WHERE lower(email) = lower('${email}')`)).toEqual([{ name: 'Here before' }]);
  });

  it('sign in once they have set a password as forgotten, and nobody was written to before', async () => {
    const [late] = await bring([{ email: 'late@example.pe' }]);
    const id = late!.id!;
    const signIn = async (password: string) => (await users.check('late@example.pe', password)).body.outcome as string;
    expect([await signIn('x'), await signIn('null')]).toEqual(['wrong', 'wrong']);
    expect(await sql(`SELECT kind FROM mail WHERE about = '${id}'`)).toEqual([]);
    expect((await users.internal('forgot', { email: 'late@example.pe' })).status).toBe(204);
    const mails = await users.mails(id);
    expect(mails).toHaveLength(1);
    const token = tokenIn(mails[0]);
    expect((await users.internal('reset', { token, password: 'correct horse 1' })).status).toBe(200);
    expect(await signIn('correct horse 1')).toBe('ok');
  });

  it('are brought by an administrator of all chains alone, and not more than 500 together', async () => {
    const { bearer } = await users.register();
    await users.post('/api/users/import', { users: [] }, bearer).expect(403);
    await users.post('/api/users/import', { users: Array(501).fill(7) }, admin).expect(400);
    const user = '01890000-0000-7000-8000-00000000ad02';
    await sql(
      `INSERT INTO staff (id, version, "user", role, chain, cinemas) VALUES ('${user}', 1, '${user}', 'chain-admin', '${user}', '{}')`,
    );
    await users.post('/api/users/import', { users: [] }, await users.admin(user)).expect(403);
  });
});
