import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileSettings, type Flat } from '#config';
import { silentLog } from '#log';
import { pauseMs } from './config.js';
import { Discovery, DiscoveryConfig } from './discovery.js';
import { type HealthRow, usable } from './instance.js';

const config = (over: Flat = {}) =>
  fileSettings({ process: 'any', profile: 'test', sections: [DiscoveryConfig], log: silentLog, over }).section(DiscoveryConfig);

const row = (id: string, status = 'passing', check = `service:${id}`): HealthRow => ({
  Node: { Address: '10.0.0.1' },
  Service: { ID: id, Service: 'web', Address: '', Port: 80, Tags: null, Meta: null },
  Checks: [{ CheckID: check, Status: status }],
});
const idsOf = (rows: HealthRow[]) => usable(rows, 50).map(({ id }) => id);

describe('the instances to use', () => {
  it('are those that pass', () => {
    expect(idsOf([row('a'), row('b', 'critical')])).toEqual(['a']);
    expect(idsOf([row('a'), row('b'), row('c', 'warning')])).toEqual(['a', 'b']);
    expect(idsOf([])).toEqual([]);
  });

  it('are all when more than half do not pass', () => {
    expect(idsOf([row('a', 'critical')])).toEqual(['a']);
    expect(idsOf([row('a'), row('b', 'critical'), row('c', 'critical')])).toEqual(['a', 'b', 'c']);
  });

  it('are never those in maintenance', () => {
    const closed = row('b', 'critical', '_service_maintenance:b');
    expect(idsOf([row('a', 'critical'), closed])).toEqual(['a']);
    expect(idsOf([row('a', 'critical', '_node_maintenance')])).toEqual([]);
  });

  it('have the address of their node when they give none', () => {
    expect(usable([row('a')], 50)[0]).toEqual({
      id: 'a',
      service: 'web',
      address: '10.0.0.1',
      port: 80,
      tags: [],
      meta: {},
      passing: true,
    });
  });
});

it('pauses twice as long after each failure, up to a limit, never exactly', () => {
  const numbers = config({ 'discovery.backoffMs': 100, 'discovery.backoffLimitMs': 1000, 'discovery.jitterPercent': 30 });
  const spread = (failures: number) => Array.from({ length: 200 }, () => pauseMs(numbers, failures));
  for (const [failures, wholeMs] of [
    [1, 100],
    [3, 400],
    [9, 1000],
    [5000, 1000],
  ] as const) {
    const pauses = spread(failures);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(wholeMs * 0.7);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(wholeMs * 1.3);
    expect(new Set(pauses).size).toBeGreaterThan(100);
  }
});

/** A registry that says what a test tells it to say. */
class ToldRegistry {
  readonly asked: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = [];
  readonly server: Server;
  url = '';

  constructor(private readonly say: (url: string, times: number, res: ServerResponse) => void) {
    this.server = createServer((req, res) => {
      let body = '';
      req.on('data', (part: Buffer) => (body += part.toString()));
      req.on('end', () => {
        const { method = '', url = '', headers } = req;
        this.asked.push({ method, url, headers, body });
        this.say(url, this.asked.filter((one) => one.url === url || one.url.startsWith(url.split('?')[0]!)).length, res);
      });
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }

  connections(): Promise<number> {
    return new Promise((resolve) => this.server.getConnections((_error, count) => resolve(count)));
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

const answer = (res: ServerResponse, rows: unknown, index = 7) =>
  res.writeHead(200, { 'Content-Type': 'application/json', 'X-Consul-Index': String(index) }).end(JSON.stringify(rows));

const SELF = {
  id: 'web-host-0',
  name: 'web',
  address: '127.0.0.1',
  port: 80,
  tags: ['t'],
  meta: { a: 'b' },
  check: { path: '/health/ready' },
};

describe('a registry that', () => {
  let registry: ToldRegistry;
  let discovery: Discovery;
  const meet = async (say: ConstructorParameters<typeof ToldRegistry>[0], over: Flat = {}, token?: string) => {
    registry = await new ToldRegistry(say).listen();
    discovery = new Discovery({
      url: registry.url,
      token,
      log: silentLog,
      config: config({ 'discovery.backoffMs': 10, ...over }),
    });
  };
  afterEach(async () => {
    await discovery.close();
    await registry.close();
  });

  it.each([
    ['refuses the question', (res: ServerResponse) => res.writeHead(400).end('no')],
    ['refuses the caller', (res: ServerResponse) => res.writeHead(403).end('no')],
    ['fails', (res: ServerResponse) => res.writeHead(500).end('no')],
    ['babbles', (res: ServerResponse) => res.writeHead(200, { 'Content-Type': 'application/json' }).end('{"half')],
    ['says no index', (res: ServerResponse) => res.writeHead(200, { 'Content-Type': 'application/json' }).end('[]')],
    ['hangs up', (res: ServerResponse) => res.destroy()],
  ])('%s is asked again until it answers', async (_what, misbehave) => {
    await meet((_url, times, res) => {
      if (times <= 3) misbehave(res);
      else if (times === 4) answer(res, [row('a')]);
    });
    while (discovery.instances('web').length === 0) await sleep(5);
    expect(discovery.connected).toBe(true);
    expect(registry.asked.length).toBeGreaterThanOrEqual(4);
  });

  it('is slow to register is told to forget only once it has', async () => {
    const done: string[] = [];
    await meet((url, _times, res) => {
      const what = /service\/(register|deregister)/.exec(url)?.[1];
      if (!what) return void answer(res, []);
      setTimeout(() => (done.push(what), res.end()), what === 'register' ? 100 : 0);
    });
    void discovery.register(SELF);
    while (!registry.asked.some(({ url }) => url.includes('service/register'))) await sleep(2);
    await discovery.deregister();
    expect(done).toEqual(['deregister', 'register', 'deregister']);
  });

  it('is none empties nothing', async () => {
    await meet((_url, times, res) => {
      if (times === 1) answer(res, [row('a')]);
      else if (times <= 3) res.writeHead(200, { 'Content-Type': 'application/json' }).end('[]');
    });
    discovery.instances('web');
    while (registry.asked.length < 4) await sleep(5);
    expect(discovery.instances('web')).toHaveLength(1);
  });

  it('never answers is given up after the wait', async () => {
    await meet((_url, times, res) => void (times > 1 && answer(res, [row('a')])), { 'discovery.waitSeconds': 1 });
    const startedMs = performance.now();
    await discovery.ready('web');
    expect(performance.now() - startedMs).toBeGreaterThan(1000);
    expect(discovery.instances('web')).toHaveLength(1);
  });

  it('has nothing new to say is asked once at a time, with the index that it gave', async () => {
    await meet((_url, times, res) => void (times === 1 && answer(res, [row('a')], 41)));
    await Promise.all([discovery.ready('web'), discovery.ready('web')]);
    await sleep(50);
    expect(registry.asked.map(({ url }) => url)).toEqual([
      '/v1/health/service/web?index=0&wait=10s',
      '/v1/health/service/web?index=41&wait=10s',
    ]);
    expect(discovery.instances('web')).toBe(discovery.instances('web'));
  });

  it('fails is then asked for what is, not for what is new: it may be another one', async () => {
    await meet((_url, times, res) => {
      if (times === 2) res.destroy();
      else if (times <= 3) answer(res, [row('a')], 41);
    });
    discovery.instances('web');
    while (registry.asked.length < 4) await sleep(5);
    expect(registry.asked.map(({ url }) => /index=(\d+)/.exec(url)?.[1])).toEqual(['0', '41', '0', '41']);
  });

  it('comes back knowing less is believed after a while only', async () => {
    const rows = [[row('a'), row('b')], [row('b')], [row('b')]];
    const say = (_url: string, times: number, res: ServerResponse) => {
      if (times === 2) res.destroy();
      else if (times <= 3) answer(res, rows[times - 1], 40 + times);
    };
    await meet(say, { 'discovery.returnMs': 300 });
    const ids = () => discovery.instances('web').map(({ id }) => id);
    discovery.instances('web');
    while (registry.asked.length < 4) await sleep(5);
    expect(ids()).toEqual(['a', 'b']);
    await sleep(400);
    expect(ids()).toEqual(['b']);
  });

  it('wants a token is given it, with every question', async () => {
    await meet((_url, _times, res) => void answer(res, []), {}, 'secret');
    await discovery.ready('web');
    await discovery.deregister();
    expect(registry.asked[0]?.headers['x-consul-token']).toBe('secret');
  });

  it('is told how to look after a process, after it has forgotten its earlier life', async () => {
    await meet((url, _times, res) => void (url.startsWith('/v1/agent') ? res.end() : undefined));
    await discovery.register(SELF);
    const [forget, register] = registry.asked;
    expect(forget?.url).toBe('/v1/agent/service/deregister/web-host-0');
    expect(JSON.parse(register!.body)).toEqual({
      ...{ ID: 'web-host-0', Name: 'web', Address: '127.0.0.1', Port: 80, Tags: ['t'], Meta: { a: 'b' } },
      Check: {
        ...{ Name: 'web is ready', HTTP: 'http://127.0.0.1:80/health/ready', Interval: '1000ms', Timeout: '1000ms' },
        ...{ Status: 'passing', DeregisterCriticalServiceAfter: '60s' },
      },
    });
  });

  it('refuses a registration is asked again, until the process leaves', async () => {
    await meet((_url, _times, res) => void res.writeHead(403).end('Permission denied'));
    const registering = discovery.register(SELF);
    while (registry.asked.filter(({ url }) => url.endsWith('/register')).length < 3) await sleep(5);
    await discovery.deregister();
    await registering;
  });

  it('does not know a process any more is told again', async () => {
    await meet((url, times, res) => {
      if (url.startsWith('/v1/agent')) res.end();
      else if (times <= 2) answer(res, times === 1 ? [row('web-host-0')] : [], times);
    });
    await discovery.register(SELF);
    while (registry.asked.filter(({ url }) => url.endsWith('/register')).length < 2) await sleep(5);
  });

  it('tells of a change reaches every listener, whatever another of them does', async () => {
    await meet((_url, times, res) => void (times === 1 && answer(res, [row('a')])));
    const heard: string[] = [];
    discovery.onChange(() => {
      throw new Error('mine');
    });
    discovery.onChange((service) => heard.push(service));
    const stop = discovery.onChange(() => heard.push('never'));
    stop();
    await discovery.ready('web');
    expect(heard).toEqual(['web']);
    expect(discovery.connected).toBe(true);
  });

  it('is left keeps no connection and is asked no more, and who waited goes on', async () => {
    await meet(() => undefined);
    const waiting = discovery.ready('web');
    discovery.catalog();
    while (registry.asked.length < 2) await sleep(5);
    await discovery.close();
    await waiting;
    await discovery.ready('other');
    await sleep(100);
    expect(await registry.connections()).toBe(0);
    expect(registry.asked).toHaveLength(2);
    expect(discovery.instances('web')).toEqual([]);
  });
});
