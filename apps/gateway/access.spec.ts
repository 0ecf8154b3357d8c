import { createServer, type Server } from 'node:http';
import { ACCESS_TAG, OWN_AUTH_TAG, type RouteAccess } from '#service';
import { FORGERIES, type Forger } from '#testing';
import { type Door, kill, listen, openDoor, portOf } from './contract.js';

const roles = (...names: string[]) => ({ roles: names, clients: [] });

let routes: RouteAccess[] | undefined, tags: string[], mint: Forger;
let behind: Server, door: Door, refresh: () => void, served: number, rulesAsked: number, services: string[];

beforeEach(async () => {
  [served, rulesAsked, services] = [0, 0, ['films']];
  routes = [
    { method: 'GET', path: '/api/films', access: 'public' },
    { method: 'GET', path: '/api/films/:id', access: roles('customer', 'manager') },
    { method: 'POST', path: '/api/films', access: roles('manager') },
    { method: 'POST', path: '/api/films/import', access: { roles: [], clients: ['mesh-cli'] } },
    { method: 'GET', path: '/api/films/slow', access: 'public', timeoutMs: 1000 },
  ];
  tags = ['mesh-route=/api/films', ACCESS_TAG];
  behind = await listen(
    createServer((req, res) => {
      if (req.url?.endsWith('slow')) return void setTimeout(() => res.end('late'), 200);
      if (req.url !== '/access') return void (served++, res.end('served'));
      rulesAsked++;
      res.writeHead(routes ? 200 : 500, { 'content-type': 'application/json' }).end(JSON.stringify(routes));
    }),
  );
  const instance = { id: 'f', service: 'films', address: '127.0.0.1', port: portOf(behind), tags: [], meta: {}, passing: true };
  let instances = [instance];
  refresh = () => (instances = [...instances]);
  const discovery = {
    catalog: () => new Map(services.map((service) => [service, tags])),
    instances: () => instances,
    ready: () => Promise.resolve(),
    onChange: () => () => undefined,
  };
  door = await openDoor(discovery);
  mint = door.mint;
});
afterEach(async () => {
  await door.close();
  await kill(behind);
});

const ask = async (method: string, path: string, authorization?: string) => {
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  const answer = await fetch(`http://127.0.0.1:${door.port}${path}`, { method, headers });
  const [challenge, allow] = ['www-authenticate', 'allow'].map((name) => answer.headers.get(name));
  return { status: answer.status, challenge, allow, text: await answer.text() };
};
const bearer = async (claims?: object) => `Bearer ${await mint.token(claims)}`;

describe('the door', () => {
  it('lets everyone read what is public', async () => {
    expect(await ask('GET', '/api/films')).toMatchObject({ status: 200, text: 'served' });
    expect(await ask('HEAD', '/api/films')).toMatchObject({ status: 200 });
  });

  it('waits longer for a route that says so, and for no other', async () => {
    door.breakers.of('films', { timeoutMs: 50 });
    expect(await ask('GET', '/api/films/slow')).toMatchObject({ status: 200, text: 'late' });
    expect((await ask('GET', '/api/films/other/slow')).status).toBe(504);
  });

  it('says what is offered to who asks for something else, whatever side would answer it', async () => {
    expect(await ask('PUT', '/api/films')).toMatchObject({ status: 405, allow: 'GET, HEAD, POST' });
    expect(await ask('OPTIONS', '/api/films/1')).toMatchObject({ status: 405, allow: 'GET, HEAD' });
    expect(await ask('GET', '/api/films/import')).toMatchObject({ status: 405, allow: 'POST' });
    expect(await ask('PATCH', '/api/films/1/2')).toMatchObject({ status: 200 });
    expect(served).toBe(1);
  });

  it('knows both sides of a path, and waits for neither that has no say', async () => {
    routes = [
      { method: 'GET', path: '/api/films/:id', access: 'public' },
      { method: 'DELETE', path: '/api/films/:film', access: 'public', isRefused: true },
    ];
    tags = ['mesh-route=/api/films', ACCESS_TAG];
    services = ['films-query', 'films-command'];
    expect(await ask('GET', '/api/films/1')).toMatchObject({ status: 200 });
    expect(await ask('PUT', '/api/films/1')).toMatchObject({ status: 405, allow: 'GET, HEAD' });
    expect(await ask('DELETE', '/api/films/1')).toMatchObject({ status: 200 });
    expect(rulesAsked).toBe(2);
  });

  it('does not say what is offered for a side that is not there yet', async () => {
    routes = [{ method: 'GET', path: '/api/films/:id', access: 'public' }];
    services = ['films-query'];
    expect((await ask('PATCH', '/api/films/1')).status).toBe(200); // passed on to whoever is found in its place
    services = ['films-query', 'films-command'];
    expect((await ask('PATCH', '/api/films/1')).status).toBe(405);
  });

  it('refuses who sends no token, and says how to', async () => {
    for (const [method, path] of [
      ['POST', '/api/films'],
      ['GET', '/api/films/1'],
      ['POST', '/api/films/import'],
    ] as const)
      // prettier-ignore
      expect(await ask(method, path)).toMatchObject({ status: 401, challenge: 'Bearer realm="cinemanzana"' });
    expect(await ask('POST', '/api/films', 'Basic dTpw')).toMatchObject({ status: 401 });
    expect(served).toBe(0);
  });

  it.each(FORGERIES)('refuses a token %s, on a public route too', async (_, forge) => {
    const token = await forge(mint);
    for (const method of ['POST', 'GET']) {
      const { status, challenge } = await ask(method, '/api/films', `Bearer ${token}`);
      expect(status).toBe(401);
      expect(challenge).toContain('invalid_token');
    }
    expect(served).toBe(0);
  });

  it('refuses who lacks the role', async () => {
    expect(await ask('POST', '/api/films', await bearer({ roles: ['customer'] }))).toMatchObject({
      status: 403,
      challenge: expect.stringContaining('insufficient_scope') as string,
    });
    expect(await ask('POST', '/api/films/import', await bearer({ sub: 'u1', client_id: 'mesh-cli' }))).toMatchObject({ status: 403 }); // prettier-ignore
    expect(served).toBe(0);
    expect(await ask('POST', '/api/films', await bearer({ roles: ['manager'] }))).toMatchObject({ status: 200 });
    expect(await ask('POST', '/api/films/import', await bearer({ sub: 'mesh-cli', client_id: 'mesh-cli' }))).toMatchObject({ status: 200 }); // prettier-ignore
    expect(served).toBe(2);
  });

  it('refuses a revoked session from the next request on', async () => {
    const authorization = await bearer();
    expect((await ask('POST', '/api/films', authorization)).status).toBe(200);
    mint.revoked.add('sid:s1');
    expect((await ask('POST', '/api/films', authorization)).status).toBe(401);
    expect(served).toBe(1);
  });

  it('asks for the rules once, and again when the instances are others', async () => {
    await Promise.all([ask('GET', '/api/films'), ask('GET', '/api/films'), ask('POST', '/api/films')]);
    expect(rulesAsked).toBe(1);
    routes = [{ method: 'POST', path: '/api/films', access: 'public' }];
    refresh();
    await ask('GET', '/api/films'); // by the old rules, while the new ones are asked for
    for (let tries = 0; tries < 50 && (await ask('POST', '/api/films')).status !== 200; tries++);
    expect(await ask('POST', '/api/films')).toMatchObject({ status: 200 });
    expect(rulesAsked).toBe(2);
  });

  it('keeps closed what does not say who may, and keeps to what it knows', async () => {
    const known = routes;
    routes = undefined;
    expect((await ask('POST', '/api/films')).status).toBeGreaterThanOrEqual(500);
    expect(served).toBe(0);
    routes = known;
    expect((await ask('POST', '/api/films')).status).toBe(401);
    routes = undefined;
    refresh();
    for (let i = 0; i < 5; i++) expect((await ask('POST', '/api/films')).status).toBe(401);
    expect(served).toBe(0);
  });

  it('leaves alone what verifies by itself, and what says nothing', async () => {
    tags = ['mesh-route=/api/films', ACCESS_TAG, OWN_AUTH_TAG];
    expect((await ask('POST', '/api/films', 'Bearer opaque')).status).toBe(200);
    tags = ['mesh-route=/api/films'];
    expect((await ask('POST', '/api/films')).status).toBe(200);
    expect((await ask('POST', '/api/films', 'Bearer opaque')).status).toBe(401);
    expect(rulesAsked).toBe(0);
  });
});
