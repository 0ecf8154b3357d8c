import { Controller, Get, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import request from 'supertest';
import { Allow, authProviders, currentCaller, developmentIssuer, Public } from '#auth';
import type { Environment } from '#config';
import { newContext, runWith } from '#context';
import { toProblem } from '#problem';

@Controller()
class Doors {
  @Get('open') @Public() open() {
    return 'open';
  }
  @Post('staff') @Allow('manager', 'chain-admin') staff() {
    return currentCaller();
  }
  @Get('forgotten') forgotten() {
    return 'must not be seen';
  }
}

const issuer = 'urn:cinemanzana:dev';
let app: NestFastifyApplication, keys: Awaited<ReturnType<typeof generateKeyPair>>;

const token = (
  claims: object = {},
  { key = keys.privateKey, typ = 'at+jwt', alg = 'ES256', ...over }: Record<string, never> | Record<string, unknown> = {},
) =>
  new SignJWT({ roles: ['manager'], client_id: 'web', ...claims })
    .setProtectedHeader({ alg: alg as string, typ: typ as string })
    .setIssuer((over.iss as string) ?? issuer)
    .setAudience((over.aud as string) ?? 'cinemanzana')
    .setSubject('u1')
    .setIssuedAt()
    .setExpirationTime((over.exp as string | number) ?? '5m')
    .sign(key as CryptoKey);

beforeAll(async () => {
  keys = await generateKeyPair('ES256', { extractable: true });
  const trusted = {
    issuer,
    audience: 'cinemanzana',
    algorithms: ['ES256' as const],
    publicKey: await exportSPKI(keys.publicKey),
  };
  @Module({ controllers: [Doors], providers: authProviders(trusted) })
  class Root {}
  const adapter = new FastifyAdapter();
  app = await NestFactory.create<NestFastifyApplication>(Root, adapter, { logger: false });
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (_req, _reply, done) => runWith(newContext(), done));
  app.useGlobalFilters({
    catch: (error, host) => {
      const { status, type, detail, headers } = toProblem(error);
      return host.switchToHttp().getResponse().status(status).headers(headers).send({ type, detail });
    },
  });
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
});
afterAll(() => app.close());

const post = (bearer?: string) => {
  const call = request(app.getHttpServer()).post('/staff');
  return bearer === undefined ? call : call.set('authorization', `Bearer ${bearer}`);
};

describe('a route', () => {
  it('is closed unless it says otherwise', async () => {
    await request(app.getHttpServer()).get('/open').expect(200, 'open');
    await request(app.getHttpServer()).get('/forgotten').expect(401);
    await request(app.getHttpServer())
      .get('/forgotten')
      .set('authorization', `Bearer ${await token()}`)
      .expect(403);
  });

  it('knows who is calling, by role', async () => {
    const { body } = await post(await token()).expect(201);
    expect(body).toEqual({ id: 'u1', roles: ['manager'], client: 'web' });
    const { headers } = await post(await token({ roles: ['customer'] })).expect(403);
    expect(headers['www-authenticate']).toContain('insufficient_scope');
    expect((await post().expect(401)).headers['www-authenticate']).toBe('Bearer realm="cinemanzana"');
  });

  it.each([
    ['signed by another key', async () => token({}, { key: (await generateKeyPair('ES256')).privateKey })],
    ['of another issuer', () => token({}, { iss: 'urn:else' })],
    ['for another audience', () => token({}, { aud: 'else' })],
    ['expired beyond the tolerance', () => token({}, { exp: Math.floor(Date.now() / 1000) - 31 })],
    ['of another kind', () => token({}, { typ: 'JWT' })],
    [
      'signed with the public key as a secret',
      async () => token({}, { alg: 'HS256', key: new TextEncoder().encode(await exportSPKI(keys.publicKey)) }),
    ],
    [
      'without a signature',
      async () => new UnsecuredJWT({ sub: 'u1', roles: ['manager'] }).setIssuer(issuer).setAudience('cinemanzana').encode(),
    ],
    [
      'tampered with',
      async () =>
        (await token()).replace(
          /\.([^.]+)\./,
          (_, body: string) =>
            `.${Buffer.from(Buffer.from(body, 'base64url').toString().replace('u1', 'u2')).toString('base64url')}.`,
        ),
    ],
    ['that is no token', () => Promise.resolve('nonsense')],
  ])('refuses a token %s', async (_, make) => {
    const { headers } = await post(await make()).expect(401);
    expect(headers['www-authenticate']).toContain('invalid_token');
  });

  it('forgives a clock 20 s off', async () => {
    await post(await token({}, { exp: Math.floor(Date.now() / 1000) - 20 })).expect(201);
  });
});

describe('the development token', () => {
  it('is trusted by the dev profile on the embedded database alone', async () => {
    const runtime = { devToken: { publicJwk: await exportJWK(keys.publicKey), token: '' } };
    const env = (over: object) => ({ profile: 'dev', databaseIsEmbedded: true, runtime, ...over }) as unknown as Environment;
    expect(developmentIssuer(env({}))?.publicKey).toBe(`${(await exportSPKI(keys.publicKey)).trim()}\n`);
    expect(developmentIssuer(env({ profile: 'production' }))).toBeUndefined();
    expect(developmentIssuer(env({ databaseIsEmbedded: false }))).toBeUndefined();
  });
});
