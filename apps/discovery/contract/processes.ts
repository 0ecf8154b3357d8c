import { setTimeout as sleep } from 'node:timers/promises';
import { fileSettings, type Flat } from '#config';
import { Discovery, DiscoveryConfig } from '#discovery';
import { silentLog } from '#log';
import { GONE_WITHIN_MS, Patient, type Speak } from './speak.js';

const USABLE_WITHIN_MS = 1000;
/** Longer than all that is waited for here. */
const PATIENCE_MS = 8000;

/** The room's configuration as the files have it, but for `over`. */
export const discoveryConfig = (over: Flat = {}): DiscoveryConfig =>
  fileSettings({ process: 'discovery', profile: 'test', sections: [DiscoveryConfig], log: silentLog, over }).section(
    DiscoveryConfig,
  );

/** Where only the outcome matters and not how soon, nobody need wait a second for it. */
const BRISK = { 'discovery.checkIntervalMs': 200 };

/** How a process of ours is found through `#discovery`, and how soon. */
export function processes(url: () => string, ask: Speak, name: string) {
  const opened: Discovery[] = [];
  const patients: Patient[] = [];
  const discovery = (over?: Flat) => {
    const one = new Discovery({ url: url(), log: silentLog, config: discoveryConfig(over) });
    opened.push(one);
    return one;
  };
  const patient = async () => {
    const one = await new Patient().live();
    patients.push(one);
    return one;
  };
  const self = (port: number, slot = 0) => {
    const plain = {
      id: `${name}-${slot}`,
      name,
      address: '127.0.0.1',
      tags: ['mesh-route=/api/y'],
      meta: { slot: String(slot) },
    };
    return { ...plain, port, check: { path: '/health/ready' } };
  };
  /** How long it took until `test` held, ms. */
  const until = async (from: Discovery, test: () => boolean) => {
    const startedMs = performance.now();
    while (!test()) {
      if (performance.now() - startedMs > PATIENCE_MS) throw new Error(`not within ${PATIENCE_MS} ms: ${test}`);
      await Promise.race([new Promise<void>((resolve) => from.onChange(() => resolve())), sleep(PATIENCE_MS / 10)]);
    }
    return performance.now() - startedMs;
  };

  afterEach(async () => {
    await Promise.all(opened.map((one) => one.deregister()));
    await Promise.all(opened.splice(0).map((one) => one.close()));
    await Promise.all(patients.splice(0).map((one) => one.die()));
    await ask('PUT', `/v1/agent/service/deregister/${name}-0`);
  });

  it(`is usable within ${USABLE_WITHIN_MS} ms of its registration, by name and by tag`, async () => {
    const seer = discovery();
    await seer.ready(name);
    seer.catalog();
    const { port } = await patient();
    const usable = until(seer, () => seer.instances(name).some((one) => one.port === port && one.passing));
    const listed = until(seer, () => seer.catalog().get(name)?.includes('mesh-route=/api/y') === true);
    await discovery().register(self(port));
    expect(await usable).toBeLessThan(USABLE_WITHIN_MS);
    expect(await listed).toBeLessThan(USABLE_WITHIN_MS);
    expect(seer.instances(name)[0]).toMatchObject({ id: `${name}-0`, address: '127.0.0.1', meta: { slot: '0' } });
  });

  it(`is not used ${GONE_WITHIN_MS} ms after it died or hangs, while another is left`, async () => {
    const seer = discovery();
    const [dying, hanging, ...well] = [await patient(), await patient(), await patient(), await patient(), await patient()];
    await Promise.all([dying, hanging, ...well].map(({ port }, slot) => discovery().register(self(port, slot))));
    await until(seer, () => seer.instances(name).length === 5);
    const ports = () => seer.instances(name).map(({ port }) => port);
    hanging.hangs = true;
    await dying.die();
    expect(await until(seer, () => !ports().includes(dying.port))).toBeLessThan(GONE_WITHIN_MS);
    expect(await until(seer, () => !ports().includes(hanging.port))).toBeLessThan(GONE_WITHIN_MS);
    expect(ports().sort()).toEqual(well.map(({ port }) => port).sort());
  });

  it('is replaced by its restart, which does not inherit its illness', async () => {
    const seer = discovery();
    const first = await patient();
    const before = discovery(BRISK);
    await before.register(self(first.port));
    await until(seer, () => seer.instances(name).length === 1);
    await before.close();
    await first.die();
    await until(seer, () => seer.instances(name).some(({ passing }) => !passing));
    const second = await patient();
    const usable = until(seer, () => seer.instances(name).some(({ port, passing }) => port === second.port && passing));
    await discovery().register(self(second.port));
    expect(await usable).toBeLessThan(USABLE_WITHIN_MS);
    expect(seer.instances(name)).toHaveLength(1);
  });

  it('is tried although ill when more than half of its service are', async () => {
    const seer = discovery();
    const [ill, alsoIll, well] = [await patient(), await patient(), await patient()];
    await Promise.all([ill, alsoIll, well].map(({ port }, slot) => discovery(BRISK).register(self(port, slot))));
    await until(seer, () => seer.instances(name).length === 3);
    ill.status = 503;
    await until(seer, () => seer.instances(name).length === 2);
    alsoIll.status = 503;
    await until(seer, () => seer.instances(name).filter(({ passing }) => !passing).length === 2);
    expect(seer.instances(name)).toHaveLength(3);
  });

  it('leaves at once, and comes back by itself when the registry loses it', async () => {
    const seer = discovery();
    const { port } = await patient();
    const one = discovery();
    await one.register(self(port));
    await until(seer, () => seer.instances(name).length === 1);
    await ask('PUT', `/v1/agent/service/deregister/${name}-0`);
    await until(seer, () => seer.instances(name).length === 0);
    expect(await until(seer, () => seer.instances(name).length === 1)).toBeLessThan(USABLE_WITHIN_MS);
    await one.deregister();
    expect(await until(seer, () => seer.instances(name).length === 0)).toBeLessThan(USABLE_WITHIN_MS);
  });
}
