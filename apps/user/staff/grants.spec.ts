import { randomUUID } from 'node:crypto';
import { Desk } from '#testing';
import { Users } from '../contract.js';
import { UserCommand } from '../user.command.js';
import { UserQuery } from '../user.query.js';

const users = new Users();
let desk: Desk, admin: string;
beforeAll(async () => {
  await users.start([UserCommand, UserQuery]);
  admin = await users.admin();
  desk = new Desk(users.mesh, 'user', admin);
});
afterAll(() => users.stop());

const [chain, cinema] = [randomUUID(), randomUUID()];
const rolesOf = async (id: string) =>
  (await desk.sql<{ roles: string[] }>('SELECT roles FROM account WHERE id = $1', [id]))[0]!.roles;
/** The account once an event has made it so. */
const becomes = (id: string, version: number, roles: string[]) =>
  desk.found(`SELECT 1 FROM account WHERE id = $1 AND version = $2 AND roles = $3::varchar[]`, [id, version, roles]);
/** Tell of a place among the staff, and wait until it has had its effect. */
async function tell(event: 'created' | 'changed' | 'removed', key: string, version: number, place: object = {}) {
  const body = event === 'removed' ? { id: key } : { chain, cinemas: [cinema], ...place };
  await desk.tell({ name: `manager.${event}`, key, version, body });
  await desk.found('SELECT 1 FROM granted_role WHERE id = $1 AND version >= $2', [key, version]);
}
const put = (id: string, roles: string[], bearer: string) =>
  users.command().put(`/api/users/${id}/roles`).set('authorization', bearer).send({ roles });

describe('a place among the staff', () => {
  it('gives its user the role, another role when it changes, and none when it ends', async () => {
    const [{ id: user, bearer }, key] = [await users.register(), randomUUID()];
    await tell('created', key, 1, { user, role: 'cashier' });
    await becomes(user, 2, ['customer', 'cashier']);
    expect((await users.get(`/api/users/${user}`, bearer, 2)).body.signedOutAt).toBeUndefined();
    await tell('changed', key, 2, { user, role: 'manager' });
    await becomes(user, 3, ['customer', 'manager']);
    await tell('removed', key, 3);
    await becomes(user, 4, ['customer']);
    // What was taken away ends the sessions that had it.
    expect((await users.get(`/api/users/${user}`, bearer, 4)).body.signedOutAt).toMatch(/Z$/);
  });

  it('that is told of again, or late, changes nothing', async () => {
    const [{ id: user }, key] = [await users.register(), randomUUID()];
    await tell('created', key, 1, { user, role: 'usher' });
    await tell('created', key, 1, { user, role: 'usher' });
    await tell('changed', key, 2, { user, role: 'usher', cinemas: [] });
    await tell('removed', key, 3);
    await tell('changed', key, 2, { user, role: 'manager' });
    await tell('created', randomUUID(), 1, { user: randomUUID(), role: 'usher' });
    await becomes(user, 3, ['customer']);
    const unseen = randomUUID();
    await tell('removed', unseen, 2);
    await tell('created', unseen, 1, { user, role: 'manager' });
    await tell('created', randomUUID(), 1, { user: randomUUID(), role: 'usher' });
    expect(await rolesOf(user)).toEqual(['customer']);
  });

  it('that ends takes nothing that another one gives, nor what an administrator gave beside it', async () => {
    const { id: user } = await users.register();
    const [first, second] = [randomUUID(), randomUUID()];
    await put(user, ['customer', 'operator'], admin).expect(200);
    await tell('created', first, 1, { user, role: 'usher' });
    await tell('created', second, 1, { user, role: 'usher' });
    await tell('removed', first, 2);
    await becomes(user, 3, ['customer', 'operator', 'usher']);
    await tell('removed', second, 2);
    await becomes(user, 4, ['customer', 'operator']);
  });

  it('of nobody, or of who is erased, holds nothing up', async () => {
    const { id: user } = await users.register();
    await users.post(`/api/users/${user}/erase`, {}, admin).expect(200);
    await tell('created', randomUUID(), 1, { user, role: 'usher' });
    await tell('created', randomUUID(), 1, { user: randomUUID(), role: 'usher' });
    expect(await rolesOf(user)).toEqual([]);
  });

  it('of an administrator of a chain leaves those of all alone, and ends although there is no other', async () => {
    const [founder, bound, key] = [await users.register(), await users.register(), randomUUID()];
    await put(founder.id, ['customer', 'chain-admin'], admin).expect(200);
    await tell('created', key, 1, { user: bound.id, role: 'chain-admin', cinemas: [] });
    await becomes(bound.id, 2, ['customer', 'chain-admin']);
    // One of a chain is none who could take the place of the last one.
    for (const refused of [put(founder.id, ['customer'], admin), users.post(`/api/users/${founder.id}/disable`, {}, admin)])
      expect((await refused.expect(409)).body.type).toBe('/problems/last-administrator');
    await tell('removed', key, 2);
    await becomes(bound.id, 3, ['customer']);
  });

  it('of the last administrator ends without the role, which stays, and holds nothing up', async () => {
    const [last] = await desk.sql<{ id: string }>(`SELECT id FROM account WHERE 'chain-admin' = ANY(roles)`);
    const [{ id: user }, key] = [await users.register(), randomUUID()];
    await tell('created', key, 1, { user: last!.id, role: 'chain-admin' });
    // As if it had never been known here that it was bound.
    await desk.sql('DELETE FROM staff WHERE id = $1', [key]);
    await tell('removed', key, 2);
    await tell('created', randomUUID(), 1, { user, role: 'usher' });
    await becomes(user, 2, ['customer', 'usher']);
    expect(await rolesOf(last!.id)).toEqual(['customer', 'chain-admin']);
  });
});

describe('an administrator of one chain', () => {
  it('gives no roles, and neither disables, enables, confirms, changes nor erases others', async () => {
    const [bound, other, key] = [await users.register(), await users.register(), randomUUID()];
    await tell('created', key, 1, { user: bound.id, role: 'chain-admin', cinemas: [] });
    await desk.found('SELECT 1 FROM staff WHERE id = $1', [key]);
    const bearer = await users.admin(bound.id);
    const refused = async (call: PromiseLike<{ status: number; body: { type: string } }>) => {
      const { status, body } = await call;
      expect([status, body.type]).toEqual([403, '/problems/out-of-bounds']);
    };
    await refused(put(bound.id, ['chain-admin', 'operator'], bearer));
    await refused(put(other.id, ['chain-admin'], bearer));
    for (const verb of ['disable', 'enable', 'confirm', 'erase'])
      await refused(users.post(`/api/users/${other.id}/${verb}`, {}, bearer));
    await refused(users.command().patch(`/api/users/${other.id}`).set('authorization', bearer).send({ name: 'x' }));
    await desk.found('SELECT 1 FROM staff WHERE id = $1', [key], 'query');
    for (const path of ['/api/users', '/api/audit', `/api/audit/${randomUUID()}`]) await refused(users.get(path, bearer));
    expect((await users.get(`/api/users/${other.id}`, bearer)).status).toBe(404);
    // The own account is the person's own, as everybody's.
    expect((await users.get(`/api/users/${bound.id}`, bearer)).status).toBe(200);
    await users.command().patch(`/api/users/${bound.id}`).set('authorization', bearer).send({ name: 'Ana' }).expect(200);
    await tell('removed', key, 2);
    await desk.found('SELECT 1 FROM staff WHERE id = $1 AND removed', [key]);
    await refused(put(bound.id, ['chain-admin'], bearer));
  });
});
