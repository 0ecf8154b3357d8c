import { setTimeout as sleep } from 'node:timers/promises';
import { Discovery } from '#discovery';
import { silentLog } from '#log';
import { discoveryConfig } from './contract/processes.js';
import { Registry } from './contract/registry.js';
import { Patient } from './contract/speak.js';
import { processContract } from './discovery.contract.js';

describe('with the development agent', () => {
  const registry = new Registry();
  beforeAll(() => registry.start());
  afterAll(() => registry.stop());
  processContract(() => registry.url);
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
    while (registry.agent.catalog.servicesNamed('web').length === 0) {
      expect(seer!.instances('web')).toHaveLength(1);
      await sleep(5);
    }
    expect(performance.now() - startedMs).toBeLessThan(4000);
    while (!seer!.connected) await sleep(10);
    expect(seer!.instances('web')).toHaveLength(1);
    await Promise.all([web!.close(), seer!.close(), patient.die()]);
    await registry.stop();
  });

  it('is waited for by a process that registers', async () => {
    const registry = await new Registry().start();
    const patient = await new Patient().live();
    await registry.stop();
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
