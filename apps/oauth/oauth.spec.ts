import * as client from 'openid-client';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { type Opened, Browser } from './stand/browser.contract.js';
import { CALLBACK, SECRETS, type Stand, startStand, VERIFIER } from './stand/stand.contract.js';

const SCOPE = 'openid profile email roles';

/** How a refused request was refused, in the standard's word. */
const refused = async (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (error: { error?: string; cause?: { error?: string } }) => error.error ?? error.cause?.error ?? String(error),
  );

describe('signing in with openid-client', () => {
  let stand: Stand, web: client.Configuration;
  const options = { execute: [client.allowInsecureRequests] };
  beforeAll(async () => {
    stand = await startStand();
    web = await client.discovery(new URL(stand.issuer), 'web', undefined, client.None(), options);
  }, 60_000);
  afterAll(() => stand?.stop());

  const machine = (id: string, secret: string, auth?: client.ClientAuth) =>
    client.discovery(new URL(stand.issuer), id, secret, auth, options);
  const authorization = (parameters: Record<string, string> = {}) => stand.authorization({ scope: SCOPE, ...parameters });
  const enter = async (browser: Browser, email: string, url?: string): Promise<Opened> => {
    const page = await browser.open(url ?? authorization());
    return browser.send(page, { email, password: 'correct horse' });
  };
  const exchange = (url: string, config = web) =>
    client.authorizationCodeGrant(config, new URL(url), { pkceCodeVerifier: VERIFIER });
  const signIn = async (email = stand.users.add({}).email, browser = stand.browser()) => {
    const { url } = await enter(browser, email);
    return { browser, tokens: await exchange(url) };
  };
  it('publishes what a client must know, under the public address alone', async () => {
    const { jwks_uri, token_endpoint, ...rest } = web.serverMetadata();
    expect({ jwks_uri, token_endpoint }).toEqual({ jwks_uri: `${stand.issuer}/jwks`, token_endpoint: `${stand.issuer}/token` });
    expect(rest).toMatchObject({ code_challenge_methods_supported: ['S256'], response_types_supported: ['code'] });
    const headers = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', forwarded: 'host=evil.example' };
    for (const path of ['/oauth/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/oauth']) {
      const text = await (await fetch(stand.publicUrl + path, { headers })).text();
      expect(text).not.toContain('evil.example');
      expect(JSON.parse(text)).toMatchObject({ issuer: stand.issuer, jwks_uri: `${stand.issuer}/jwks` });
    }
  });

  it('gives an access token for the mesh, an ID token and what userinfo tells', async () => {
    const user = stand.users.add({ name: 'Ana', roles: ['manager', 'cashier'] });
    const { tokens } = await signIn(user.email);
    expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({ typ: 'at+jwt', alg: 'ES256', kid: expect.any(String) });
    const claims = decodeJwt(tokens.access_token);
    expect(claims).toMatchObject({
      ...{ iss: stand.issuer, aud: 'cinemanzana', sub: user.id, client_id: 'web', scope: SCOPE, roles: ['manager', 'cashier'] },
      ...{ jti: expect.any(String), sid: expect.any(String), gid: expect.any(String) },
    });
    expect(claims.exp! - claims.iat!).toBe(300);
    expect(tokens.claims()).toMatchObject({ sub: user.id, aud: 'web' });
    const about = { sub: user.id, name: 'Ana', email: user.email, email_verified: true, locale: 'es', roles: user.roles };
    expect(await client.fetchUserInfo(web, tokens.access_token, user.id)).toEqual(about);
    expect(await refused(client.fetchUserInfo(web, `${tokens.access_token.slice(0, -6)}AAAAAA`, user.id))).not.toBe('accepted');
  });

  it.each([
    ['no challenge', { code_challenge: '', code_challenge_method: '' }],
    ['a plain one', { code_challenge: VERIFIER, code_challenge_method: 'plain' }],
    ['one that names no method', { code_challenge_method: '' }],
  ])('refuses a request with %s, for every client', async (_, parameters) => {
    for (const [id, redirect_uri] of [
      ['web', CALLBACK],
      ['partner', 'http://127.0.0.1:9/partner'],
    ]) {
      const url = authorization({ redirect_uri: redirect_uri!, client_id: id!, ...parameters });
      const { url: back } = await stand.browser().open(url);
      expect(new URL(back).searchParams.get('error')).toBe('invalid_request');
    }
  });

  it('refuses a code without its verifier, and one that was used', async () => {
    const { url } = await enter(stand.browser(), stand.users.add({}).email);
    const wrong = client.authorizationCodeGrant(web, new URL(url), { pkceCodeVerifier: client.randomPKCECodeVerifier() });
    expect(await refused(wrong)).toBe('invalid_grant');
    const { browser } = await signIn();
    const { url: second } = await browser.open(authorization());
    const tokens = await exchange(second);
    expect(await refused(exchange(second))).toBe('invalid_grant');
    // Somebody else may have been the first, so what came of it is over.
    expect(await refused(client.refreshTokenGrant(web, tokens.refresh_token!))).toBe('invalid_grant');
  });

  it('sends nobody to an address that is not the client’s, but to any port of a native one', async () => {
    const page = await stand.browser().open(authorization({ redirect_uri: 'https://evil.example/callback' }));
    expect([page.status, page.url.startsWith(stand.issuer)]).toEqual([400, true]);
    const url = authorization({ redirect_uri: 'http://127.0.0.1:34567/back', client_id: 'phone' });
    const browser = stand.browser();
    const consent = await enter(browser, stand.users.add({}).email, url);
    expect((await browser.send(consent)).url).toMatch(/^http:\/\/127\.0\.0\.1:34567\/back\?code=/);
  });

  it('renews tokens with a new refresh token each time, with the roles of now', async () => {
    const user = stand.users.add({});
    const { tokens } = await signIn(user.email);
    user.roles = ['usher'];
    const next = await client.refreshTokenGrant(web, tokens.refresh_token!);
    expect(next.refresh_token).not.toBe(tokens.refresh_token);
    expect(decodeJwt(next.access_token).roles).toEqual(['usher']);
  });

  it('ends the whole family when a refresh token is used again', async () => {
    const { tokens } = await signIn();
    const next = await client.refreshTokenGrant(web, tokens.refresh_token!);
    expect(await refused(client.refreshTokenGrant(web, tokens.refresh_token!))).toBe('invalid_grant');
    expect(await refused(client.refreshTokenGrant(web, next.refresh_token!))).toBe('invalid_grant');
    expect(await refused(client.fetchUserInfo(web, next.access_token, client.skipSubjectCheck))).not.toBe('accepted');
  });

  it('lets one of many who use the same refresh token at once win at most, and ends the family', async () => {
    const { tokens } = await signIn();
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, () => client.refreshTokenGrant(web, tokens.refresh_token!).catch(() => undefined)),
    );
    const won = outcomes.filter((outcome) => outcome !== undefined);
    expect(won.length).toBeLessThanOrEqual(1);
    for (const { refresh_token } of won)
      expect(await refused(client.refreshTokenGrant(web, refresh_token!))).toBe('invalid_grant');
  });

  it.each([
    ['was disabled', () => ({ disabled: true })],
    ['is not confirmed any more', () => ({ confirmed: false })],
    ['was signed out everywhere', () => ({ signedOutAt: new Date().toISOString() })],
  ])('refuses to renew for a user who %s', async (_, change) => {
    const user = stand.users.add({});
    const { tokens } = await signIn(user.email);
    Object.assign(user, change());
    expect(await refused(client.refreshTokenGrant(web, tokens.refresh_token!))).toBe('invalid_grant');
  });

  it('refuses to renew for a user who is gone', async () => {
    const user = stand.users.add({});
    const { tokens, browser } = await signIn(user.email);
    stand.users.all.splice(stand.users.all.indexOf(user), 1);
    expect(await refused(client.refreshTokenGrant(web, tokens.refresh_token!))).toBe('invalid_grant');
    expect((await browser.open(authorization())).text).toContain('name="password"');
  });

  it('gives a client tokens of its own, by either way to prove itself', async () => {
    const cli = await machine(
      'mesh-cli',
      SECRETS.CLIENT_SECRET_MESH_CLI,
      client.ClientSecretBasic(SECRETS.CLIENT_SECRET_MESH_CLI),
    );
    const post = await machine('partner', SECRETS.CLIENT_SECRET_PARTNER, client.ClientSecretPost(SECRETS.CLIENT_SECRET_PARTNER));
    const own = decodeJwt((await client.clientCredentialsGrant(cli)).access_token);
    expect(own).toMatchObject({ sub: 'mesh-cli', client_id: 'mesh-cli', aud: 'cinemanzana', roles: ['chain-admin', 'operator'] });
    expect(own.sid ?? own.gid).toBeUndefined();
    expect(await refused(client.clientCredentialsGrant(post))).toBe('invalid_request'); // it speaks for users only
    const secret = SECRETS.CLIENT_SECRET_MOVIE_QUERY;
    const service = await machine('movie-query', secret, client.ClientSecretPost(secret));
    expect(decodeJwt((await client.clientCredentialsGrant(service)).access_token)).toMatchObject({
      sub: 'movie-query',
      roles: [],
    });
    for (const [id, secret] of [
      ['movie-query', 'wrong'],
      ['movie-command', 'any'],
      ['web', 'any'],
      ['../path', 'any'],
    ]) {
      expect(await refused(client.clientCredentialsGrant(await machine(id!, secret!)))).toBe('invalid_client');
    }
  });

  it('introspects and revokes refresh tokens', async () => {
    const { tokens } = await signIn();
    expect(await client.tokenIntrospection(web, tokens.refresh_token!)).toMatchObject({ active: true, client_id: 'web' });
    await client.tokenRevocation(web, tokens.refresh_token!);
    expect(await client.tokenIntrospection(web, tokens.refresh_token!)).toEqual({ active: false });
    expect(await refused(client.refreshTokenGrant(web, tokens.refresh_token!))).toBe('invalid_grant');
  });

  it('introspects JWT access tokens for clients that prove themselves, and ends their grant on revocation', async () => {
    const cli = await machine('mesh-cli', SECRETS.CLIENT_SECRET_MESH_CLI);
    const { tokens } = await signIn();
    const { sub, sid } = decodeJwt(tokens.access_token);
    const about = await client.tokenIntrospection(cli, tokens.access_token);
    expect(about).toMatchObject({ active: true, sub, sid, client_id: 'web', aud: 'cinemanzana', roles: ['customer'] });
    expect(await client.tokenIntrospection(cli, `${tokens.access_token.slice(0, -6)}AAAAAA`)).toEqual({ active: false });
    const basic = { authorization: `Basic ${btoa('mesh-cli:wrong')}` };
    const body = new URLSearchParams({ token: tokens.access_token });
    expect((await fetch(`${stand.issuer}/token/introspection`, { method: 'POST', body })).status).toBe(400);
    expect((await fetch(`${stand.issuer}/token/introspection`, { method: 'POST', body, headers: basic })).status).toBe(401);
    expect(await refused(client.tokenRevocation(cli, tokens.access_token))).toBe('invalid_request');
    expect(await client.tokenIntrospection(cli, tokens.access_token)).toMatchObject({ active: true });
    await client.tokenRevocation(web, tokens.access_token);
    await client.tokenRevocation(web, 'nonsense');
    expect(await client.tokenIntrospection(cli, tokens.access_token)).toEqual({ active: false });
    expect(await refused(client.refreshTokenGrant(web, tokens.refresh_token!))).toBe('invalid_grant');
    const own = await client.clientCredentialsGrant(cli);
    expect(await client.tokenIntrospection(web, own.access_token)).toEqual({ active: false });
    await client.tokenRevocation(cli, own.access_token);
    expect(await client.tokenIntrospection(cli, own.access_token)).toEqual({ active: false });
  });

  it('signs out everything that came of the session, and goes back where the client said', async () => {
    const { tokens, browser } = await signIn();
    const url = client.buildEndSessionUrl(web, {
      ...{ id_token_hint: tokens.id_token!, post_logout_redirect_uri: 'http://127.0.0.1:9/bye', state: 'x y' },
    });
    const page = await browser.open(url.href);
    expect(page.text).toContain('name="logout"');
    const { url: bye } = await browser.send(page, { logout: 'yes' });
    expect(bye).toBe('http://127.0.0.1:9/bye?state=x+y');
    expect(await refused(client.refreshTokenGrant(web, tokens.refresh_token!))).toBe('invalid_grant');
    expect((await browser.open(authorization())).text).toContain('name="password"');
    // Nobody is signed in any more, so nobody is asked.
    expect((await browser.open(url.href)).url).toBe('http://127.0.0.1:9/bye?state=x+y');
  });
});
