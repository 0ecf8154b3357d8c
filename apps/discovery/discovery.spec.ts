import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Consul from 'consul';
import { startTestMesh } from '#testing';
import { Registry } from './contract/registry.js';
import { speaker } from './contract/speak.js';
import { registryContract } from './discovery.contract.js';
import { DiscoveryAgent } from './discovery.js';

describe('the development agent', () => {
  const registry = new Registry();
  beforeAll(() => registry.start());
  afterAll(() => registry.stop());
  registryContract(() => registry.url);

  it('serves the stock client', async () => {
    const consul = new Consul({ host: '127.0.0.1', port: registry.port });
    await consul.agent.service.register({
      name: 'stock',
      port: 9,
      tags: ['t'],
      check: { name: 'alive', ttl: '1m', timeout: '1s', status: 'passing' },
    });
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

describe('the process discovery', () => {
  const before = process.env.MESH_DATA;
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'discovery-'));
    process.env.MESH_DATA = dir;
  });
  afterEach(() => {
    if (before === undefined) delete process.env.MESH_DATA;
    else process.env.MESH_DATA = before;
    rmSync(dir, { recursive: true, force: true });
  });

  it('answers as a process of the mesh and as a registry, and does not wait for who waits when it stops', async () => {
    const mesh = await startTestMesh({ processes: [DiscoveryAgent] });
    const url = mesh.url('discovery');
    const ask = speaker(() => url);
    expect((await ask('GET', '/health/ready')).status).toBe(200);
    expect((await ask('GET', '/v1/status/leader')).json()).toBe(new URL(url).host);
    expect((await ask('GET', '/elsewhere')).json()).toMatchObject({ type: '/problems/not-found' });
    const { index } = await ask('GET', '/v1/catalog/services');
    const waiting = ask('GET', `/v1/catalog/services?index=${index}&wait=5m`);
    await sleep(100);
    const startedMs = performance.now();
    await Promise.all([waiting, mesh.stop()]);
    expect(performance.now() - startedMs).toBeLessThan(3000);
    expect((await waiting).status).toBe(500);
    expect(existsSync(join(dir, 'discovery', 'state.json'))).toBe(true);
  });
});
