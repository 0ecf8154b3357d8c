import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Consul from 'consul';
import { fileSettings, type Flat } from '#config';
import { Discovery } from '#discovery';
import { silentLog } from '#log';
import { Agent, AgentConfig } from './agent/agent.js';
import { discoveryConfig, Patient, registryContract, speaker } from './discovery.contract.js';

/** An agent on a bare server, that can be stopped and started again on the same port. */
class Registry {
  agent: Agent;
  port = 0;
  private server: Server;

  constructor(
    private readonly file?: string,
    private readonly over: Flat = {},
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    const { over, file } = this;
    const settings = fileSettings({ process: 'discovery', profile: 'test', sections: [AgentConfig], log: silentLog, over });
    this.agent = new Agent({ config: settings.section(AgentConfig), log: silentLog, file, node: 'here' });
    this.server = createServer((req, res) => void (this.agent.handle(req, res) || res.writeHead(404).end()));
    await new Promise<void>((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    await this.agent.close();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

describe('the development agent', () => {
  const registry = new Registry();
  beforeAll(() => registry.start());
  afterAll(() => registry.stop());
  registryContract(() => registry.url);
});

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
  });

  it('believes in no health that it has not seen since', async () => {
    const patient = await new Patient().live();
    const Check = { HTTP: `http://127.0.0.1:${patient.port}/`, Interval: '100ms', Status: 'passing' };
    await ask('PUT', '/v1/agent/service/register', { Name: 'web', Port: patient.port, Check });
    await registry.stop();
    await patient.die();
    await registry.start();
    expect((await ask('GET', '/v1/health/service/web?passing')).json()).toEqual([]);
    await patient.live(patient.port);
    await sleep(400);
    expect((await ask('GET', '/v1/health/service/web?passing')).json()).toHaveLength(1);
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

  it('serves the stock client', async () => {
    const consul = new Consul({ host: '127.0.0.1', port: registry.port });
    await consul.agent.service.register({ name: 'stock', port: 9, tags: ['t'], check: { name: 'alive', ttl: '1m', timeout: '1s', status: 'passing' } });
    expect(await consul.health.service({ service: 'stock', passing: true })).toHaveLength(1);
    expect(await consul.catalog.service.list()).toHaveProperty('stock', ['t']);
    await consul.agent.check.fail('service:stock');
    expect(await consul.health.service({ service: 'stock', passing: true })).toHaveLength(0);
    await consul.kv.set('stock/key', 'value');
    expect(await consul.kv.get('stock/key')).toMatchObject({ Value: 'value' });
    expect(await consul.kv.keys('stock')).toEqual(['stock/key']);
    await consul.agent.service.deregister('stock');
    consul.destroy();
  });
});

describe('a registry that goes away', () => {
  const self = (port: number) => {
    const check = { path: '/health/ready' };
    return { id: 'web-here-0', name: 'web', address: '127.0.0.1', port, tags: [], meta: {}, check };
  };

  it('is replaced by what is known, and told everything again when it comes back empty', async () => {
    const registry = await new Registry().start();
    const patient = await new Patient().live();
    const [web, seer] = [1, 2].map(() => new Discovery({ url: registry.url, log: silentLog, config: discoveryConfig() }));
    await web!.register(self(patient.port));
    await seer!.ready('web');
    const before = seer!.instances('web');
    expect(before).toHaveLength(1);
    await registry.stop();
    while (seer!.connected) await sleep(10);
    expect(seer!.instances('web')).toBe(before);
    await registry.start();
    const startedMs = performance.now();
    while (!seer!.connected || registry.agent.catalog.servicesNamed('web').length === 0) await sleep(10);
    expect(performance.now() - startedMs).toBeLessThan(2000);
    expect(seer!.instances('web')).toHaveLength(1);
    await Promise.all([web!.close(), seer!.close(), patient.die()]);
    await registry.stop();
  });

  it('is waited for by a process that registers', async () => {
    const registry = await new Registry().start();
    await registry.stop();
    const patient = await new Patient().live();
    const web = new Discovery({ url: registry.url, log: silentLog, config: discoveryConfig() });
    let done = false;
    const registered = web.register(self(patient.port)).then(() => (done = true));
    await sleep(300);
    expect(done).toBe(false);
    await registry.start();
    await registered;
    expect(registry.agent.catalog.servicesNamed('web')).toHaveLength(1);
    await Promise.all([web.close(), patient.die()]);
    await registry.stop();
  });
});
