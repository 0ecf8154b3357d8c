import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { emit } from '#outbox';
import { service } from '#service';
import { Storage } from '#storage';
import { until } from '#testing';
import { OAuth } from './oauth.js';
import type { Revoked } from './store/revocations.js';
import { CALLBACK, SECRETS, type Stand, startStand, VERIFIER } from './stand/stand.contract.js';
import type { StandIn } from './stand/users.contract.js';

/** Never made: an event needs an outbox, and an outbox a process that stores. */
@Entity('nothing')
class Nothing {
  @PrimaryColumn('int') id: number;
  @Column('int') more: number;
}
const Teller = service({ name: 'teller', tables: [Nothing], emits: true });

describe('the feed of revocations', () => {
  let stand: Stand;
  beforeAll(async () => {
    stand = await startStand({ 'outbox.pollMs': 50, 'bus.pollMs': 100 }, [Teller]);
  }, 60_000);
  afterAll(() => stand?.stop());

  const feed = async (after: number, waitSeconds = 0, url = stand.mesh.url('oauth')) =>
    (await (await fetch(`${url}/internal/revocations?after=${after}&waitSeconds=${waitSeconds}`)).json()) as Revoked;
  const post = async (path: string, fields: Record<string, string>) => {
    const answer = await fetch(`${stand.issuer}${path}`, { method: 'POST', body: new URLSearchParams(fields) });
    return { status: answer.status, body: (await answer.json().catch(() => ({}))) as Record<string, string> };
  };
  const signIn = async (user: StandIn = stand.users.add({})) => {
    const browser = stand.browser();
    const page = await browser.open(stand.authorization());
    const { url } = await browser.send(page, { email: user.email, password: user.password });
    const code = new URL(url).searchParams.get('code')!;
    const { body } = await post('/token', {
      ...{ grant_type: 'authorization_code', client_id: 'web', redirect_uri: CALLBACK, code, code_verifier: VERIFIER },
    });
    const { sid, gid } = decodeJwt(body.access_token!) as { sid: string; gid: string };
    return { user, browser, access: body.access_token!, refresh: body.refresh_token!, sid: `sid:${sid}`, gid: `gid:${gid}` };
  };
  const renew = (refresh_token: string) => post('/token', { grant_type: 'refresh_token', client_id: 'web', refresh_token });
  const place = async () => (await feed(0)).last;
  let version = 0;
  const tell = (name: string, user: StandIn, signedOutAt?: string) => {
    const storage = stand.mesh.running('teller').app.get(Storage);
    const { roles, confirmed, disabled } = user;
    const body = { roles, confirmed, disabled, ...(signedOutAt ? { signedOutAt } : {}) };
    return storage.transaction((tx) => emit(tx, { name, key: user.id, version: ++version, body }));
  };

  it('tells of a signed-out session at once, on every instance', async () => {
    const second = await stand.mesh.launch(OAuth);
    const { browser, sid, gid } = await signIn();
    const after = await place();
    const heard = Promise.all([feed(after, 20), feed(after, 20, second.url)]);
    await sleep(100);
    const startedMs = performance.now();
    await browser.send(await browser.open(`${stand.issuer}/session/end`), { logout: 'yes' });
    for (const { ids, last } of await heard) {
      expect([sid, gid]).toEqual(expect.arrayContaining(ids));
      expect(last).toBeGreaterThan(after);
    }
    expect(performance.now() - startedMs).toBeLessThan(1000);
    const { ids } = await feed(after);
    expect(ids).toEqual(expect.arrayContaining([sid, gid]));
    await second.close({ hasty: true });
  });

  it('tells of a grant whose refresh token was used again, and of tokens that clients revoke', async () => {
    const after = await place();
    const [reused, revoked] = [await signIn(), await signIn()];
    await renew(reused.refresh);
    expect((await renew(reused.refresh)).body.error).toBe('invalid_grant');
    expect((await post('/token/revocation', { client_id: 'web', token: revoked.access })).status).toBe(200);
    const own = { client_id: 'mesh-cli', client_secret: SECRETS.CLIENT_SECRET_MESH_CLI };
    const { body } = await post('/token', { grant_type: 'client_credentials', ...own });
    await post('/token/revocation', { ...own, token: body.access_token! });
    const { ids } = await feed(after);
    expect(ids).toEqual(expect.arrayContaining([reused.gid, revoked.gid, `jti:${decodeJwt(body.access_token!).jti}`]));
  });

  it('waits when there is nothing, and answers in time', async () => {
    const after = await place();
    const startedMs = performance.now();
    expect(await feed(after, 1)).toEqual({ last: after, ids: [] });
    expect(performance.now() - startedMs).toBeGreaterThan(900);
    // A number that this database never gave: it is an older copy.
    expect((await feed(after + 1_000_000)).ids).toEqual((await feed(0)).ids);
    await stand.mesh.http('oauth').get('/internal/revocations?after=-1').expect(400);
    await stand.mesh.http('oauth').get('/internal/revocations?waitSeconds=21').expect(400);
  });

  it('forgets what no token outlives', async () => {
    const storage = stand.mesh.running('oauth').app.get(Storage);
    await storage.query(`UPDATE revocation SET at = now() - interval '361 seconds'`);
    expect((await feed(0)).ids).toEqual([]);
  });

  it.each(['user.changed', 'user.erased'])(
    'ends what a user began before the moment that %s names, and nothing later',
    async (name) => {
      const user = stand.users.add({});
      const [one, two, stranger] = [await signIn(user), await signIn(user), await signIn()];
      const after = await place();
      const signedOutAt = new Date().toISOString();
      user.signedOutAt = signedOutAt;
      // In the same second, and before the event arrives.
      const fresh = await signIn(user);
      await tell(name, user, signedOutAt);
      await until('both sessions are over', async () => (await feed(after)).ids.length >= 4, 5000);
      const { ids } = await feed(after);
      expect(ids.toSorted()).toEqual([one.sid, one.gid, two.sid, two.gid].toSorted());
      for (const { refresh } of [one, two]) expect((await renew(refresh)).status).toBe(400);
      for (const { refresh } of [fresh, stranger]) expect((await renew(refresh)).status).toBe(200);
    },
  );

  it('hears nothing in a change that signs nobody out', async () => {
    const one = await signIn();
    await tell('user.changed', one.user);
    await sleep(400);
    expect((await renew(one.refresh)).status).toBe(200);
  });

  it('gives the command line a token of any user to try things out with', async () => {
    const user = stand.users.add({ roles: ['usher'] });
    const ask = async (bearer: string, email = user.email) =>
      stand.mesh.http('oauth').post('/internal/tokens').set('authorization', bearer).send({ email });
    const cli = await stand.mesh.bearerFor({ client: 'mesh-cli' });
    const { status, body } = await ask(cli);
    expect([status, body.expires_in]).toEqual([200, 300]);
    expect(decodeJwt(body.access_token)).toMatchObject({
      sub: user.id,
      roles: ['usher'],
      client_id: 'mesh-cli',
      aud: 'cinemanzana',
    });
    expect((await ask(cli, 'nobody@example.com')).status).toBe(404);
    expect((await ask(await stand.mesh.bearer('operator'))).status).toBe(403);
    process.env.MESH_PROFILE = 'production';
    expect((await ask(cli)).status).toBe(404);
    process.env.MESH_PROFILE = 'test';
  });
});
