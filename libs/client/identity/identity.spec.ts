import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Get, Headers } from '@nestjs/common';
import { Public } from '#auth';
import { Client } from '#client';
import { clientSecretName, makeSecrets } from '#config';
import { Problem } from '#problem';
import { service } from '#service';
import { startTestMesh, type TestMesh } from '#testing';
import { Identity } from './identity.js';

describe('a process’s identity', () => {
  let nowMs: number, granted: number, secret: string | undefined, fails: Problem | undefined;
  const identity = () =>
    new Identity({
      id: 'movie-command',
      secret: () => secret,
      grant: (basic) => {
        if (fails) return Promise.reject(fails);
        expect(Buffer.from(basic.slice(6), 'base64').toString()).toBe('movie-command:s%2Fcret');
        return Promise.resolve({ access_token: `t${++granted}`, expires_in: 300 });
      },
      now: () => nowMs,
    });
  beforeEach(() => ([nowMs, granted, secret, fails] = [1e12, 0, 's/cret', undefined]));

  it('is got once for many calls, and kept', async () => {
    const own = identity();
    expect(await Promise.all([own.bearer(), own.bearer(), own.bearer()])).toEqual(['t1', 't1', 't1']);
    nowMs += 200_000;
    expect(await own.bearer()).toBe('t1');
    expect(granted).toBe(1);
  });

  it('is renewed while the old one is still good, and never used at its end', async () => {
    const own = identity();
    await own.bearer();
    nowMs += 220_000;
    expect(await own.bearer()).toBe('t1');
    await sleep(1);
    expect(await own.bearer()).toBe('t2');
    nowMs += 275_000;
    expect(await own.bearer()).toBe('t3');
  });

  it('survives an issuer that is away while the old one is good', async () => {
    const own = identity();
    await own.bearer();
    nowMs += 250_000;
    fails = new Problem('no-instance', 503, 'away');
    expect(await own.bearer()).toBe('t1');
    nowMs += 30_000;
    await expect(own.bearer()).rejects.toMatchObject({ type: 'no-instance' });
  });

  it('is nobody’s without a secret, and a clear error with a wrong one', async () => {
    secret = undefined;
    expect(await identity().bearer()).toBeUndefined();
    secret = 's/cret';
    fails = new Problem('invalid_client', 401, 'no');
    await expect(identity().bearer()).rejects.toMatchObject({
      type: 'issuer-unavailable',
      status: 503,
      detail: expect.stringContaining('client secret') as string,
    });
  });
});

describe('a call', () => {
  @Controller()
  @Public()
  class Echo {
    @Get('who') who(@Headers('authorization') authorization?: string) {
      if (authorization === 'Bearer t2') throw new Problem('unauthenticated', 401, 'the keys are others now');
      return { authorization: authorization ?? null };
    }
  }
  let mesh: TestMesh, asked: { authorization?: string; type?: string; body: string }[];
  beforeAll(async () => {
    asked = [];
    const echo = service({ name: 'echo', controllers: [Echo] });
    const caller = service({ name: 'caller' });
    const oauth = service({
      name: 'oauth',
      listener: () => (req, res) => {
        if (req.url !== '/oauth/token') return false;
        let body = '';
        req
          .on('data', (chunk) => (body += String(chunk)))
          .on('end', () => {
            asked.push({ authorization: req.headers.authorization, type: req.headers['content-type'], body });
            res.writeHead(200, { 'content-type': 'application/json' });
            res.end(JSON.stringify({ access_token: `t${asked.length}`, expires_in: asked.length === 1 ? 31 : 300 }));
          });
        return true;
      },
    });
    mesh = await startTestMesh({ processes: [echo, caller, oauth] });
  });
  afterAll(() => mesh.stop());
  const who = async (more: object = {}) =>
    (await mesh.running('caller').app.get(Client).call<{ authorization: string | null }>('echo', { method: 'GET', path: '/who', ...more })).body.authorization; // prettier-ignore

  it('names nobody while the process has no secret', async () => {
    expect(await who()).toBeNull();
    expect(asked).toHaveLength(0);
  });

  it('says who makes it, by client credentials, unless told otherwise', async () => {
    makeSecrets(mesh.dataDir, [clientSecretName('caller')]);
    expect(await who()).toBe('Bearer t1');
    const [{ authorization, type, body }] = asked as [(typeof asked)[number]];
    expect(Buffer.from(authorization!.slice(6), 'base64').toString()).toMatch(/^caller:[\w-]{43}$/);
    expect([type, body]).toEqual(['application/x-www-form-urlencoded', 'grant_type=client_credentials']);
    expect(await who({ isAnonymous: true })).toBeNull();
    expect(await who({ headers: { authorization: 'Bearer mine' } })).toBe('Bearer mine');
  });

  it('gets another token when its own is refused, once', async () => {
    expect(await who()).toBe('Bearer t1'); // and t2, which nobody takes, is asked for behind the scenes
    while (asked.length < 2) await sleep(5);
    expect(await who()).toBe('Bearer t3');
  });
});
