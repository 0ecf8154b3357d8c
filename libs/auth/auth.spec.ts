import { Controller, Get, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import request from 'supertest';
import { Allow, AllowClients, authProviders, currentCaller, Public } from '#auth';
import { newContext, runWith } from '#context';
import { toProblem } from '#problem';
import { FORGERIES, forger, type Forger } from '#testing';

@Controller()
class Doors {
  @Get('open') @Public() open() {
    return 'open';
  }
  @Post('staff') @Allow('manager', 'chain-admin') staff() {
    return currentCaller();
  }
  @Post('inner') @AllowClients('oauth') inner() {
    return currentCaller();
  }
  @Get('forgotten') forgotten() {
    return 'must not be seen';
  }
}

let app: NestFastifyApplication, mint: Forger;

beforeAll(async () => {
  mint = await forger();
  @Module({ controllers: [Doors], providers: authProviders(mint.issuer) })
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

const post = (bearer?: string, path = '/staff') => {
  const call = request(app.getHttpServer()).post(path);
  return bearer === undefined ? call : call.set('authorization', `Bearer ${bearer}`);
};

describe('a route', () => {
  it('is closed unless it says otherwise', async () => {
    await request(app.getHttpServer()).get('/open').expect(200, 'open');
    await request(app.getHttpServer()).get('/forgotten').expect(401);
    const bearer = `Bearer ${await mint.token()}`;
    await request(app.getHttpServer()).get('/forgotten').set('authorization', bearer).expect(403);
  });

  it('knows who is calling, by role', async () => {
    const { body } = await post(await mint.token()).expect(201);
    expect(body).toEqual({ id: 'u1', roles: ['manager'], client: 'web', sessionId: 's1' });
    const { headers } = await post(await mint.token({ roles: ['customer'] })).expect(403);
    expect(headers['www-authenticate']).toContain('insufficient_scope');
    expect((await post().expect(401)).headers['www-authenticate']).toBe('Bearer realm="cinemanzana"');
  });

  it('is open to the client it names, speaking for itself', async () => {
    await post(await mint.token({ sub: 'oauth', client_id: 'oauth', roles: [] }), '/inner').expect(201);
    await post(await mint.token({ sub: 'oauth', client_id: 'web', roles: [] }), '/inner').expect(403);
    await post(await mint.token({ sub: 'u1', client_id: 'oauth', roles: ['manager'] }), '/inner').expect(403);
    await post(await mint.token({ sub: 'movie-query', client_id: 'movie-query', roles: [] }), '/inner').expect(403);
  });

  it.each(FORGERIES)('refuses a token %s', async (_, forge) => {
    const asked = mint.asked();
    const { headers } = await post(await forge(mint)).expect(401);
    expect(headers['www-authenticate']).toContain('invalid_token');
    expect(mint.asked() - asked).toBeLessThanOrEqual(1); // for a key, and nothing else
  });

  it('forgives a clock 20 s off', async () => {
    await post(await mint.token({}, { exp: Math.floor(Date.now() / 1000) - 20 })).expect(201);
  });

  it('refuses what was revoked: by session, by grant, by itself', async () => {
    for (const id of ['sid:s9', 'gid:g9', 'jti:t9']) mint.revoked.add(id);
    await post(await mint.token({ sid: 's9' })).expect(401);
    await post(await mint.token({ gid: 'g9' })).expect(401);
    const { body } = await post(await mint.token({ jti: 't9' })).expect(401);
    expect((body as { detail: string }).detail).toContain('session is over');
    await post(await mint.token({ sid: 't9', gid: 's9', jti: 'g9' })).expect(201);
  });

  it('is 503 while nobody can say whether a token is good', async () => {
    mint.isAway = true;
    const { headers } = await post(await mint.token({}, { kid: 'k-new' })).expect(503);
    expect(headers['retry-after']).toBe('1');
    mint.isAway = false;
  });
});
