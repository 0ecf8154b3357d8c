import { setTimeout as sleep } from 'node:timers/promises';
import * as openid from 'openid-client';
import { Browser, FORGERIES, forger, startWholeMesh, until, type WholeMesh } from '#testing';
import { underLoad } from './contract.js';

const ROLES = ['customer', 'cashier', 'usher', 'manager', 'chain-admin', 'operator'];
const PASSWORD = 'a long enough secret 1';

let mesh: WholeMesh, administrator: { email: string; password: string };
beforeAll(async () => {
  mesh = await startWholeMesh({ fold: ['--no-demo'] });
  const ready = mesh.events.find(({ event }) => event === 'ready') as { administrator?: typeof administrator };
  administrator = ready.administrator!;
}, 90_000);
afterAll(() => mesh?.stop(), 60_000);

/** Who is let in, as an operation of the merged OpenAPI document says. */
type Access = 'public' | { roles: string[]; clients: string[] };

interface Operation {
  'x-access'?: Access;
}

/** One request of one caller, and what must come of it. */
interface Case {
  method: string;
  path: string;
  who: string;
  expected: 'let in' | 401 | 403;
  got: number;
}

/** A caller: what it is called, its roles, and its token; a client speaks for itself. */
interface Asker {
  who: string;
  roles: readonly string[];
  client?: string;
  token?: string;
}

/** Nobody's: what is asked for does not exist, so that whoever is let in changes nothing. */
const NOBODYS_ID = '00000000-0000-7000-8000-000000000000';

function expectedOf(access: Access, { roles, client, token }: Asker): Case['expected'] {
  if (access === 'public') return 'let in';
  if (token === undefined) return 401;
  const isAllowed =
    access.roles.some((role) => roles.includes(role)) || (client !== undefined && access.clients.includes(client));
  return isAllowed ? 'let in' : 403;
}

/** Open to everyone who signs what they send, whoever they are. */
const SIGNED = '/api/payments/webhook';

/** Every operation of the merged document asked by every caller, with a body that no operation takes. */
async function matrix(askers: readonly Asker[]): Promise<Case[]> {
  const { body } = await mesh.http('GET', '/openapi.json');
  const cases: Case[] = [];
  for (const [template, item] of Object.entries(body.paths as Record<string, Record<string, Operation>>)) {
    for (const [method, { 'x-access': access }] of Object.entries(item)) {
      if (access === undefined) throw new Error(`${method} ${template} does not say who may`);
      const path = template.replace(/\{\w+\}/g, NOBODYS_ID);
      for (const asker of askers) {
        const headers: Record<string, string> = asker.token === undefined ? {} : { authorization: `Bearer ${asker.token}` };
        const sent = method === 'get' ? undefined : { 'no such field': 1 };
        const ask = () => mesh.http(method.toUpperCase(), path, sent, headers);
        let { status } = await ask();
        // A busy machine may be too slow for a deadline, which says nothing of who may.
        for (let tries = 1; (status === 503 || status === 504) && tries < 4; tries++) ({ status } = await ask());
        cases.push({
          method,
          path: template,
          who: asker.who,
          expected: template === SIGNED ? 401 : expectedOf(access, asker),
          got: status,
        });
      }
    }
  }
  return cases;
}

/** Those that went otherwise than they must; whoever is let in may still be told that there is no such thing, or that the input is wrong. */
const wrong = (cases: readonly Case[]): Case[] =>
  cases.filter(({ expected, got }) => (expected === 'let in' ? got === 401 || got === 403 || got >= 500 : got !== expected));

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const tokenOf = async (...args: string[]) => {
  const { code, stdout, stderr } = await mesh.mesh('token', ...args);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
};

/** A user who may sign in, with these roles. */
async function user(email: string, roles: string[] = ['customer']): Promise<{ id: string; email: string }> {
  const { status, body } = await mesh.http('POST', '/api/users', { email, password: PASSWORD });
  expect(status).toBe(201);
  const id = String(body.id);
  if (roles.join() !== 'customer') expect((await mesh.write('PUT', `/api/users/${id}/roles`, { roles })).status).toBe(200);
  return { id, email };
}

/** As the client `web` does it: the authorization code with PKCE, by a stock client and a browser without scripts. */
async function signIn(email: string, password: string) {
  const options = { execute: [openid.allowInsecureRequests] };
  const config = await openid.discovery(new URL(`${mesh.api}/oauth`), 'web', undefined, openid.None(), options);
  const verifier = openid.randomPKCECodeVerifier();
  const redirect = `${mesh.api}/signed-in`;
  const url = openid.buildAuthorizationUrl(config, {
    redirect_uri: redirect,
    scope: 'openid profile email offline_access',
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const browser = new Browser();
  const page = await browser.submit(await browser.open(url), { email, password }, redirect);
  if (!page.url.href.startsWith(redirect)) throw new Error(`not signed in: ${page.status} ${page.text}`);
  const tokens = await openid.authorizationCodeGrant(config, page.url, { pkceCodeVerifier: verifier });
  return { config, browser, tokens };
}

/** Whether a token is refused by the gateway and by each process that answers it, asked directly. */
async function refusedEverywhere(token: string, paths: [string, string][]): Promise<boolean> {
  const { stdout } = await mesh.mesh('status', '--json');
  const { instances } = JSON.parse(stdout) as { instances: { process: string; url: string }[] };
  const urls = paths.map(([process, path]) => `${instances.find((one) => one.process === process)!.url}${path}`);
  const answers = await Promise.all([`${mesh.api}/api/users/me`, ...urls].map((url) => fetch(url, { headers: bearer(token) })));
  return answers.every(({ status }) => status === 401);
}

describe('who is calling', () => {
  it('is asked at every route of every service, with each role', async () => {
    const askers: Asker[] = [{ who: 'nobody', roles: [] }];
    for (const role of ROLES) {
      const { email } = await user(`${role}@example.org`, [role]);
      askers.push({ who: role, roles: [role], token: await tokenOf('--user', email) });
    }
    askers.push({ who: 'a service', roles: [], client: 'movie-query', token: await tokenOf('--client', 'movie-query') });
    const cases = await matrix(askers);
    expect(cases.length).toBeGreaterThan(100);
    expect(wrong(cases)).toEqual([]);
    expect(new Set(cases.map(({ expected }) => expected))).toEqual(new Set(['let in', 401, 403]));
  }, 60_000);

  it('is not taken from a forged token', async () => {
    const mint = await forger();
    for (const [, forge] of FORGERIES) {
      const answer = await mesh.http('POST', '/api/movies', {}, bearer(await forge(mint)));
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('invalid_token')]);
    }
    const [head, body, signature] = (await mesh.token()).split('.') as [string, string, string];
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
    const more = Buffer.from(JSON.stringify({ ...claims, sub: 'root' })).toString('base64url');
    expect((await mesh.http('POST', '/api/movies', {}, bearer([head, more, signature].join('.')))).status).toBe(401);
  });
});

describe('the first administrator', () => {
  it('is told once, signs in with that password, and may do what one may', async () => {
    expect(administrator.email).toContain('@');
    const { tokens } = await signIn(administrator.email, administrator.password);
    const { status, body } = await mesh.http('GET', '/api/users?limit=5', undefined, bearer(tokens.access_token));
    expect([status, body.items!.length > 0]).toEqual([200, true]);
  });

  it('gets a new password from the command line, and the old one is no good', async () => {
    const { code, stdout } = await mesh.mesh('password', administrator.email, '--json');
    const made = JSON.parse(stdout) as typeof administrator;
    expect([code, made.email]).toEqual([0, administrator.email]);
    await expect(signIn(administrator.email, administrator.password)).rejects.toThrow('not signed in: 401');
    administrator = made;
    await signIn(made.email, made.password);
  });
});

describe('a session', () => {
  it('ends everywhere within 5 s of a sign-out', async () => {
    const { email } = await user('leaves@example.org');
    const { config, browser, tokens } = await signIn(email, PASSWORD);
    const me = await mesh.http('GET', '/api/users/me', undefined, bearer(tokens.access_token));
    expect([me.status, me.body.email]).toEqual([200, email]);
    const asked = await browser.open(openid.buildEndSessionUrl(config, { id_token_hint: tokens.id_token! }));
    if (asked.text.includes('<form')) await browser.submit(asked, {});
    const isOver = () => refusedEverywhere(tokens.access_token, [['user-query', '/api/users/me']]);
    expect(await until('it is refused everywhere', isOver, 8000)).toBeLessThan(5000);
  }, 30_000);

  it('ends with a new password, a disabled account, and a revoked refresh token', async () => {
    const { id, email } = await user('ends@example.org');
    const { config, tokens } = await signIn(email, PASSWORD);
    await openid.tokenRevocation(config, tokens.refresh_token!);
    await until('it is over', () => refusedEverywhere(tokens.access_token, []), 5000);
    await expect(openid.refreshTokenGrant(config, tokens.refresh_token!)).rejects.toMatchObject({ error: 'invalid_grant' });

    const second = await signIn(email, PASSWORD);
    const change = { current: PASSWORD, password: 'another long secret 2' };
    expect((await mesh.http('POST', `/api/users/${id}/password`, change, bearer(second.tokens.access_token))).status).toBe(200);
    await until('it is over', () => refusedEverywhere(second.tokens.access_token, []), 5000);

    const third = await signIn(email, change.password);
    expect((await mesh.write('POST', `/api/users/${id}/disable`, {})).status).toBe(200);
    await until('it is over', () => refusedEverywhere(third.tokens.access_token, []), 5000);
    await expect(openid.refreshTokenGrant(third.config, third.tokens.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
    await expect(signIn(email, change.password)).rejects.toThrow('not signed in: 403');
  }, 30_000);
});

describe('a write by staff', () => {
  it('leaves who, through which client, when, before and after', async () => {
    const staff = await user('staff@example.org', ['manager']);
    const token = await tokenOf('--user', staff.email);
    const { body } = await mesh.http('POST', '/api/movies', { title: 'Audited', releaseOn: '2020-01-01' }, bearer(token));
    const id = String(body.id);
    await mesh.http('PATCH', `/api/movies/${id}`, { minutes: 90 }, bearer(token));
    let items: Record<string, unknown>[] = [];
    const isThere = async () => {
      const answer = await mesh.write('GET', `/api/audit?subjectId=${id}`);
      items = answer.body.items ?? [];
      return items.length === 2;
    };
    await until('both are told', isThere, 5000);
    expect(items.map(({ who, client, subject, action }) => [who, client, subject, action])).toEqual([
      [staff.id, 'mesh-cli', 'movie', 'changed'],
      [staff.id, 'mesh-cli', 'movie', 'created'],
    ]);
    expect(items[0]).toMatchObject({ before: { minutes: null }, after: { minutes: 90 } });
    expect(items[1]).toMatchObject({ after: { title: 'Audited' } });
  });
});

describe('the keys', () => {
  let stop: ReturnType<typeof underLoad> | undefined;
  afterEach(() => stop?.());

  it('rotate under load without one false refusal', async () => {
    // As long as in production would be a long test: the same order of events, twenty times as quick.
    await mesh.mesh('config', 'set', 'auth.keysMinAgeMs', '1500');
    await mesh.mesh('config', 'set', 'oauth.keySignsAfterSeconds', '2', '--for', 'oauth');
    await sleep(2000); // by then it is live
    const kidOf = (token: string) =>
      (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid;
    const fresh = async () => await tokenOf('--client', 'movie-query');
    const before = kidOf(await mesh.token());
    const secretly = await mesh.token();
    stop = underLoad(200, () => mesh.http('GET', '/api/users?limit=1', undefined, bearer(secretly)));
    const { code, stdout } = await mesh.mesh('keys', 'rotate', '--json');
    const { kid } = JSON.parse(stdout) as { kid: string };
    expect([code, kid === before]).toEqual([0, false]);
    let latest = '';
    await until('the new key signs', async () => kidOf((latest = await fresh())) === kid, 15_000);
    expect((await mesh.http('GET', '/api/users?limit=1', undefined, bearer(latest))).status).toBe(403); // known, and without a role
    const { asked, wrong: refused } = await stop();
    expect(asked).toBeGreaterThan(50);
    expect(refused).toEqual({});
  }, 40_000);
});
