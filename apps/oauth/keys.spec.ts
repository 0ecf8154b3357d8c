import { setTimeout as sleep } from 'node:timers/promises';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';
import { Storage } from '#storage';
import { Keys } from './keys/keys.js';
import { sealedBy } from './keys/seal.js';
import { OAuth } from './oauth.js';
import { SECRETS, type Stand, startStand } from './stand/stand.contract.js';

const jwk = { kty: 'EC', kid: 'k', d: 'private' };

describe('signing keys', () => {
  let stand: Stand, server: oauth.AuthorizationServer;
  const insecure = { [oauth.allowInsecureRequests]: true };
  beforeAll(async () => {
    process.env.OAUTH_KEY_SECRET = 'the secret of the keys';
    stand = await startStand({
      'oauth.keySignsAfterSeconds': 1,
      'oauth.accessTokenSeconds': 30,
      'oauth.idTokenSeconds': 30,
      'oauth.keyPollMs': 200,
    });
    stand.instances.push((await stand.mesh.launch(OAuth)).url);
    const issuer = new URL(stand.issuer);
    server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
  }, 60_000);
  afterAll(async () => {
    await stand?.stop();
    delete process.env.OAUTH_KEY_SECRET;
  });

  const token = async () => {
    const client: oauth.Client = { client_id: 'movie-query' };
    const auth = oauth.ClientSecretBasic(SECRETS.CLIENT_SECRET_MOVIE_QUERY);
    const answer = await oauth.clientCredentialsGrantRequest(server, client, auth, {}, insecure);
    return (await oauth.processClientCredentialsResponse(server, client, answer)).access_token;
  };
  /** From each instance, so that none may lag behind. */
  const tokens = () => Promise.all(Array.from({ length: 4 }, token));
  const kidOf = (text: string) => decodeProtectedHeader(text).kid;
  const published = async (url: string) => {
    const { keys } = (await (await fetch(`${url}/oauth/jwks`)).json()) as { keys: Record<string, string>[] };
    return keys;
  };
  const rotate = async () => {
    const authorization = await stand.mesh.bearerFor({ client: 'mesh-cli' });
    const { body } = await stand.mesh.http('oauth').post('/internal/keys/rotate').set('authorization', authorization).expect(200);
    return body as { kid: string; signsAt: string };
  };
  const verify = (text: string) => {
    const keys = createRemoteJWKSet(new URL(server.jwks_uri!));
    return jwtVerify(text, keys, { issuer: stand.issuer, audience: 'cinemanzana', typ: 'at+jwt', algorithms: ['ES256'] });
  };

  it('are made once, however many instances start, and lie encrypted', async () => {
    const [one, two] = await Promise.all(stand.instances.map(published));
    expect(one).toHaveLength(1);
    expect(two).toEqual(one);
    expect(Object.keys(one![0]!)).not.toContain('d');
    const storage = stand.mesh.running('oauth').app.get(Storage);
    const [row] = await storage.query<{ sealed: string }>('SELECT sealed FROM signing_key');
    expect(row!.sealed).toMatch(/^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  it('are rotated without a token refused: published first, signing later, kept while tokens live', async () => {
    const old = await token();
    const { kid, signsAt } = await rotate();
    expect(Date.parse(signsAt) - Date.now()).toBeGreaterThan(500);
    const early = await tokens();
    await sleep(100);
    for (const url of stand.instances)
      expect((await published(url)).map((key) => key.kid)).toEqual(expect.arrayContaining([kid, kidOf(old)]));
    expect(early.map(kidOf)).toEqual(early.map(() => kidOf(old)));
    await sleep(Date.parse(signsAt) - Date.now() + 400);
    const late = await tokens();
    expect(late.map(kidOf)).toEqual(late.map(() => kid));
    for (const text of [old, ...early, ...late]) await expect(verify(text)).resolves.toBeDefined();
    const [header, , signature] = old.split('.');
    await expect(verify([header, late[0]!.split('.')[1], signature].join('.'))).rejects.toThrow();
  });

  it('go when nothing that they signed lives any more', async () => {
    const storage = stand.mesh.running('oauth').app.get(Storage);
    await storage.query(`UPDATE signing_key SET signs_at = signs_at - interval '5 minutes'`);
    const keys = stand.mesh.running('oauth').app.get(Keys);
    await keys.clear();
    await sleep(500);
    for (const url of stand.instances) expect(await published(url)).toHaveLength(1);
    await expect(verify(await token())).resolves.toBeDefined();
  });

  it('and cookies have a secret in production, or nothing starts', async () => {
    process.env.MESH_PROFILE = 'production';
    await expect(stand.mesh.launch(OAuth)).rejects.toThrow(/OAUTH_COOKIE_SECRET is missing/);
    process.env.MESH_PROFILE = 'test';
  });

  it('can be made by the command line alone', async () => {
    const post = () => stand.mesh.http('oauth').post('/internal/keys/rotate');
    await post().expect(401);
    await post()
      .set('authorization', await stand.mesh.bearer('operator', 'chain-admin'))
      .expect(403);
    await post()
      .set('authorization', await stand.mesh.bearerFor({ client: 'movie-query' }))
      .expect(403);
  });
});

describe('the seal of private keys', () => {
  it('opens with its own secret alone, and takes what was written without one', async () => {
    const [one, other, none] = [sealedBy('one'), sealedBy('other'), sealedBy(undefined)];
    expect(await one.close(jwk)).not.toContain('private');
    expect(await one.open(await one.close(jwk))).toEqual(jwk);
    expect(await one.open(await none.close(jwk))).toEqual(jwk);
    await expect(other.open(await one.close(jwk))).rejects.toThrow(/another OAUTH_KEY_SECRET/);
    await expect(none.open(await one.close(jwk))).rejects.toThrow(/another OAUTH_KEY_SECRET/);
  });
});
