import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from './contract/registry.js';
import { Patient, speaker } from './contract/speak.js';

describe('the state of the development agent', () => {
  let dir: string;
  let registry: Registry;
  const ask = speaker(() => registry.url);

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'discovery-'));
    registry = await new Registry(join(dir, 'state.json')).start();
  });
  afterEach(async () => {
    await registry.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  const again = async () => {
    await registry.stop();
    await registry.start();
  };

  it('survives a restart, and so does its index', async () => {
    await ask('PUT', '/v1/agent/service/register', { Name: 'web', Port: 1, Tags: ['t'], Meta: { a: 'b' } });
    await ask('PUT', '/v1/kv/a/b?flags=18446744073709551615', 'value');
    const session = (await ask('PUT', '/v1/session/create', { TTL: '1h', LockDelay: '0s' })).json<{ ID: string }>().ID;
    await ask('PUT', `/v1/kv/lock?acquire=${session}`, 'held');
    const before = await ask('GET', '/v1/kv/a/b');
    const self = (await ask('GET', '/v1/agent/self')).json<{ Config: object }>().Config;
    await again();
    expect((await ask('GET', '/v1/agent/service/web')).json()).toMatchObject({ Port: 1, Tags: ['t'], Meta: { a: 'b' } });
    const after = await ask('GET', '/v1/kv/a/b');
    expect(after.text).toBe(before.text);
    expect(after.text).toContain('"Flags":18446744073709551615');
    expect(after.index).toBe(before.index);
    expect((await ask('PUT', `/v1/kv/lock?acquire=${session}`, 'still')).json()).toBe(true);
    expect((await ask('GET', '/v1/agent/self')).json<{ Config: object }>().Config).toEqual(self);
  });

  it('has on disk whatever was acknowledged, readable by nobody else', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => ask('PUT', `/v1/kv/k${i}`, String(i))));
    const saved = JSON.parse(readFileSync(join(dir, 'state.json'), 'utf8')) as { kv: { Key: string }[] };
    expect(saved.kv).toHaveLength(50);
    expect(statSync(join(dir, 'state.json')).mode & 0o077).toBe(0);
  });

  it('believes in no health that it has not seen since', async () => {
    const patient = await new Patient().live();
    const Check = { HTTP: `http://127.0.0.1:${patient.port}/`, Interval: '100ms', Timeout: '300ms', Status: 'passing' };
    await ask('PUT', '/v1/agent/service/register', { Name: 'web', Port: patient.port, Check });
    const isWell = async () => (await ask('GET', '/v1/health/service/web?passing')).json<object[]>().length === 1;
    expect(await isWell()).toBe(true);
    patient.hangs = true;
    await again();
    expect(await isWell()).toBe(false);
    patient.hangs = false;
    await sleep(600);
    expect(await isWell()).toBe(true);
    await patient.die();
  });

  it('begins empty, above every earlier index, when it cannot be read, and keeps what could not', async () => {
    await ask('PUT', '/v1/kv/a', 'v');
    const { index } = await ask('GET', '/v1/kv/a');
    await registry.stop();
    writeFileSync(join(dir, 'state.json'), '{"kv": [');
    await sleep(1100);
    await registry.start();
    expect((await ask('GET', '/v1/kv/a')).status).toBe(404);
    expect((await ask('GET', '/v1/catalog/services')).index).toBeGreaterThanOrEqual(index - 60);
    expect(readFileSync(join(dir, 'state.json.broken'), 'utf8')).toBe('{"kv": [');
  });
});

describe('only the development agent', () => {
  const registry = new Registry(undefined, { 'agent.deregisterMinMs': 0, 'agent.reapMs': 50, 'agent.sessionMinMs': 50 });
  const ask = speaker(() => registry.url);
  beforeAll(() => registry.start());
  afterAll(() => registry.stop());

  it('forgets a service that was critical for as long as it asked for', async () => {
    const Check = { TTL: '1m', DeregisterCriticalServiceAfter: '300ms' };
    await ask('PUT', '/v1/agent/service/register', { Name: 'gone', Check });
    await ask('PUT', '/v1/agent/service/register', { Name: 'kept', Check: { TTL: '1m' } });
    await sleep(200);
    expect((await ask('GET', '/v1/agent/service/gone')).status).toBe(200);
    await sleep(400);
    expect((await ask('GET', '/v1/agent/service/gone')).status).toBe(404);
    expect((await ask('GET', '/v1/agent/service/kept')).status).toBe(200);
  });

  it('ends a session that is not renewed within twice its time, and one whose check fails', async () => {
    const open = async (body: object) => (await ask('PUT', '/v1/session/create', body)).json<{ ID: string }>().ID;
    const isThere = async (id: string) => (await ask('GET', `/v1/session/info/${id}`)).json<object[]>().length === 1;
    const short = await open({ TTL: '200ms' });
    await sleep(300);
    await ask('PUT', `/v1/session/renew/${short}`);
    await sleep(300);
    expect(await isThere(short)).toBe(true);
    await sleep(250);
    expect(await isThere(short)).toBe(false);
    await ask('PUT', '/v1/agent/check/register', { ID: 'pulse', Name: 'pulse', TTL: '1m', Status: 'passing' });
    const bound = await open({ NodeChecks: ['serfHealth', 'pulse'] });
    await ask('PUT', '/v1/agent/check/fail/pulse');
    expect(await isThere(bound)).toBe(false);
    await ask('PUT', '/v1/agent/check/deregister/pulse');
  });

  it('says which kinds of checks it does not run', async () => {
    const said = await ask('PUT', '/v1/agent/service/register', { Name: 'x', Check: { GRPC: '127.0.0.1:1', Interval: '1s' } });
    expect([said.status, said.text]).toEqual([400, expect.stringContaining('GRPC checks are not run by the development agent')]);
  });

  it('takes no registration of a megabyte, and no prototype', async () => {
    expect((await ask('PUT', '/v1/agent/service/register', { Name: 'x'.repeat(2_000_000) })).status).toBe(413);
    const said = await ask('PUT', '/v1/agent/service/register', '{"Name":"p","Meta":{"__proto__":"v"}}');
    expect(said.status).toBe(200);
    expect((await ask('GET', '/v1/agent/service/p')).text).toContain('"Meta":{"__proto__":"v"}');
  });

  it('answers at once who waits for an index that it has not reached', async () => {
    const said = await ask('GET', '/v1/catalog/services?index=99999999999999&wait=5s');
    expect(said.tookMs).toBeLessThan(1000);
  });

  it('sends away who waits when it stops, so that they ask another', async () => {
    const dying = await new Registry().start();
    const speak = speaker(() => dying.url);
    const { index } = await speak('GET', '/v1/catalog/services');
    const waiting = speak('GET', `/v1/catalog/services?index=${index}&wait=1m`);
    await sleep(100);
    dying.agent.stop();
    expect((await waiting).status).toBe(500);
    expect((await speak('GET', '/v1/catalog/services')).status).toBe(200);
    await dying.stop();
  });
});
