import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileSettings } from '#config';
import { Discovery, DiscoveryConfig } from '#discovery';
import { silentLog } from '#log';

/** What a registry said. */
export interface Said {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** The body as JSON. @throws SyntaxError when it is none */
  json: <T>() => T;
  index: number;
  tookMs: number;
}

/** Speaks the registry's HTTP API without any client's help. */
export function speaker(url: () => string) {
  return (method: string, path: string, body?: unknown): Promise<Said> =>
    new Promise((resolve, reject) => {
      const startedMs = performance.now();
      const request = httpRequest(url() + path, { method, agent: false }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => (text += part));
        answer.on('error', reject).on('end', () => {
          const { statusCode: status = 0, headers } = answer;
          const json = <T>() => JSON.parse(text) as T;
          resolve({ status, headers, text, json, index: Number(headers['x-consul-index']), tookMs: performance.now() - startedMs });
        });
      });
      request.on('error', reject);
      request.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
    });
}

export type Speak = ReturnType<typeof speaker>;

/** A process to be checked: it is well, or hangs, or dies, as told. */
export class Patient {
  status = 200;
  hangs = false;
  private server?: Server;
  port = 0;

  async live(port = 0): Promise<this> {
    this.server = createServer((_req, res) => {
      if (!this.hangs) res.writeHead(this.status).end('said');
    });
    await new Promise<void>((resolve) => this.server!.listen(port, '127.0.0.1', resolve));
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  /** As kill -9 looks from outside: nobody listens, and connections are reset. */
  async die(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => (this.server ? this.server.close(resolve) : resolve(undefined)));
  }
}

interface Row {
  Node: { Node: string; Address: string };
  Service: { ID: string; Service: string; Tags: string[]; Port: number; Address: string; Meta: Record<string, string> | null };
  Checks: { CheckID: string; Status: string; Output: string }[];
}

interface Key {
  Key: string;
  Value: string | null;
  Flags: number;
  Session?: string;
  ModifyIndex: number;
}

const USABLE_WITHIN_MS = 1000;
const GONE_WITHIN_MS = 3000;
/** News to who waits for it; the registry has it at hand, the rest is this machine's load. */
const NEWS_WITHIN_MS = 700;

/** All that a stock client may rely on. @param url  of the registry; each test leaves it as it was */
export function registryContract(url: () => string): void {
  const ask = speaker(url);
  const run = `t${process.pid.toString(36)}`;
  describe('services', () => services(ask, `${run}-web`));
  describe('checks', () => checks(ask, `${run}-checked`));
  describe('waiting for news', () => waiting(ask, `${run}-watched`));
  describe('keys', () => keys(ask, `${run}/keys`));
  describe('sessions', () => sessions(ask, `${run}/locks`));
  describe('nodes without an agent', () => foreign(ask, `${run}-foreign`));
  describe('refusals', () => refusals(ask));
  describe('a process of ours', () => processes(url, ask, `${run}-process`));
}

function services(ask: Speak, name: string) {
  const id = `${name}-1`;
  const body = { ID: id, Name: name, Address: '127.0.0.1', Port: 8123, Tags: ['blue', 'mesh-route=/api/x'], Meta: { zone: 'z1' } };
  const found = async (query = '') => (await ask('GET', `/v1/health/service/${name}${query}`)).json<Row[]>();

  beforeAll(() => ask('PUT', '/v1/agent/service/register', body));
  afterAll(() => ask('PUT', `/v1/agent/service/deregister/${id}`));

  it('shows a registered service in the agent, the catalog and the health', async () => {
    const mine = (await ask('GET', '/v1/agent/services')).json<Record<string, object>>();
    expect(mine[id]).toMatchObject({ ID: id, Service: name, Tags: body.Tags, Meta: body.Meta, Port: 8123, Address: '127.0.0.1' });
    const tags = (await ask('GET', '/v1/catalog/services')).json<Record<string, string[]>>()[name];
    expect(tags?.sort()).toEqual(['blue', 'mesh-route=/api/x']);
    const [row] = await found();
    expect(row).toMatchObject({ Service: { ID: id, Service: name, Port: 8123, Meta: { zone: 'z1' } } });
    expect(row?.Checks[0]).toMatchObject({ CheckID: 'serfHealth', Status: 'passing' });
    const [listed] = (await ask('GET', `/v1/catalog/service/${name}`)).json<Record<string, unknown>[]>();
    expect(listed).toMatchObject({ ServiceID: id, ServiceName: name, ServicePort: 8123, ServiceMeta: { zone: 'z1' } });
  });

  it('finds by tag, by a filter on equality, and by whether it passes', async () => {
    expect(await found('?tag=blue')).toHaveLength(1);
    expect(await found('?tag=blue&tag=red')).toHaveLength(0);
    expect(await found(`?filter=${encodeURIComponent('Service.Meta.zone == "z1"')}`)).toHaveLength(1);
    expect(await found(`?filter=${encodeURIComponent('Service.Meta.zone == "z2"')}`)).toHaveLength(0);
    expect(await found(`?filter=${encodeURIComponent('not Service.Meta.zone == "z2" and Service.Port == 8123')}`)).toHaveLength(1);
    expect(await found('?passing')).toHaveLength(1);
  });

  it('is not passing while in maintenance, and says why', async () => {
    expect((await ask('PUT', `/v1/agent/service/maintenance/${id}?enable=true&reason=paint`)).status).toBe(200);
    expect(await found('?passing')).toHaveLength(0);
    const [row] = await found();
    expect(row?.Checks).toContainEqual(expect.objectContaining({ Name: 'Service Maintenance Mode', Status: 'critical', Notes: 'paint' }));
    await ask('PUT', `/v1/agent/service/maintenance/${id}?enable=false`);
    expect(await found('?passing')).toHaveLength(1);
  });

  it('replaces a service that registers again under the same id', async () => {
    await ask('PUT', '/v1/agent/service/register', { ...body, Port: 8124, Tags: ['green'] });
    const rows = await found();
    expect(rows.map(({ Service }) => [Service.Port, Service.Tags])).toEqual([[8124, ['green']]]);
    await ask('PUT', '/v1/agent/service/register', body);
  });

  it('forgets a service that deregisters', async () => {
    const other = `${name}-other`;
    await ask('PUT', '/v1/agent/service/register', { Name: other, Check: { TTL: '1m' } });
    expect((await ask('GET', `/v1/agent/service/${other}`)).status).toBe(200);
    expect((await ask('PUT', `/v1/agent/service/deregister/${other}`)).status).toBe(200);
    expect((await ask('GET', `/v1/agent/service/${other}`)).status).toBe(404);
    expect((await ask('GET', `/v1/health/service/${other}`)).json()).toEqual([]);
    expect((await ask('GET', '/v1/agent/checks')).json()).not.toHaveProperty([`service:${other}`]);
  });
}

/** The status of a check, as soon as it is `wanted`. */
async function statusOf(ask: Speak, service: string, check: string, wanted: string, withinMs: number): Promise<string | undefined> {
  const untilMs = performance.now() + withinMs;
  let index = 0;
  for (;;) {
    const said = await ask('GET', `/v1/health/service/${service}?index=${index}&wait=1s`);
    const status = said.json<Row[]>()[0]?.Checks.find(({ CheckID }) => CheckID === check)?.Status;
    if (status === wanted || performance.now() > untilMs) return status;
    index = said.index;
  }
}

function checks(ask: Speak, name: string) {
  const patient = new Patient();
  const register = (check: object) => ask('PUT', '/v1/agent/service/register', { Name: name, Port: patient.port, Check: check });
  const status = (wanted: string, withinMs = GONE_WITHIN_MS) => statusOf(ask, name, `service:${name}`, wanted, withinMs);

  beforeAll(() => patient.live());
  afterEach(() => ask('PUT', `/v1/agent/service/deregister/${name}`));
  afterAll(() => patient.die());

  it('asks over HTTP: 200 passes, 429 warns, 503 and silence are critical', async () => {
    await register({ HTTP: `http://127.0.0.1:${patient.port}/`, Interval: '200ms', Timeout: '300ms' });
    expect(await status('passing')).toBe('passing');
    patient.status = 429;
    expect(await status('warning')).toBe('warning');
    patient.status = 503;
    expect(await status('critical')).toBe('critical');
    patient.status = 200;
    expect(await status('passing')).toBe('passing');
    patient.hangs = true;
    expect(await status('critical')).toBe('critical');
    patient.hangs = false;
  });

  it('keeps the answer of the last look', async () => {
    await register({ HTTP: `http://127.0.0.1:${patient.port}/`, Interval: '100ms' });
    await status('passing');
    const shown = (await ask('GET', '/v1/agent/checks')).json<Record<string, { Output: string; Type: string }>>()[`service:${name}`];
    expect(shown?.Output).toContain('200 OK Output: said');
    expect(shown?.Type).toBe('http');
  });

  it('connects over TCP', async () => {
    await register({ TCP: `127.0.0.1:${patient.port}`, Interval: '200ms', Timeout: '300ms' });
    expect(await status('passing')).toBe('passing');
    const { port } = patient;
    await patient.die();
    expect(await status('critical')).toBe('critical');
    await patient.live(port);
  });

  it('takes the word of a service for as long as its TTL', async () => {
    await register({ TTL: '600ms' });
    const beat = (verb: string) => ask('PUT', `/v1/agent/check/${verb}/service:${name}?note=hello`);
    expect(await status('critical')).toBe('critical');
    await beat('pass');
    expect(await status('passing')).toBe('passing');
    await beat('warn');
    expect(await status('warning')).toBe('warning');
    await beat('fail');
    expect(await status('critical')).toBe('critical');
    await ask('PUT', `/v1/agent/check/update/service:${name}`, { Status: 'passing', Output: 'all well' });
    expect(await status('passing')).toBe('passing');
    expect(await status('critical')).toBe('critical');
    const [check] = (await ask('GET', `/v1/health/checks/${name}`)).json<{ Output: string }[]>();
    expect(check?.Output).toBe('TTL expired (last output before timeout follows): all well');
  });

  it('begins with the status that the registration gives', async () => {
    await register({ TTL: '1m', Status: 'passing' });
    expect(await status('passing')).toBe('passing');
  });

  it('counts a check of its own that is registered later', async () => {
    await register({ TTL: '1m', Status: 'passing' });
    const id = `${name}-second`;
    await ask('PUT', '/v1/agent/check/register', { ID: id, Name: 'second', TTL: '1m', ServiceID: name });
    expect(await statusOf(ask, name, id, 'critical', GONE_WITHIN_MS)).toBe('critical');
    expect((await ask('GET', `/v1/health/service/${name}?passing`)).json()).toEqual([]);
    const critical = (await ask('GET', '/v1/health/state/critical')).json<{ CheckID: string }[]>();
    expect(critical.map(({ CheckID }) => CheckID)).toContain(id);
    await ask('PUT', `/v1/agent/check/deregister/${id}`);
    expect((await ask('GET', `/v1/health/service/${name}?passing`)).json()).toHaveLength(1);
  });
}

function waiting(ask: Speak, name: string) {
  const other = `${name}-other`;
  const register = (Name: string, tag = 'a') => ask('PUT', '/v1/agent/service/register', { Name, Tags: [tag] });
  const path = `/v1/health/service/${name}`;

  beforeAll(async () => {
    await register(name);
    await register(other);
  });
  afterAll(async () => {
    await ask('PUT', `/v1/agent/service/deregister/${name}`);
    await ask('PUT', `/v1/agent/service/deregister/${other}`);
  });

  it('answers as soon as what is watched changes', async () => {
    const { index } = await ask('GET', path);
    const news = ask('GET', `${path}?index=${index}&wait=10s`);
    await sleep(100);
    const changedMs = performance.now();
    await register(name, 'b');
    const said = await news;
    expect(performance.now() - changedMs).toBeLessThan(NEWS_WITHIN_MS);
    expect(said.index).toBeGreaterThan(index);
    expect(said.json<Row[]>()[0]?.Service.Tags).toEqual(['b']);
  });

  it('does not answer for what is not watched, and comes back empty-handed when the wait is over', async () => {
    const { index } = await ask('GET', path);
    const news = ask('GET', `${path}?index=${index}&wait=800ms`);
    await sleep(100);
    await register(other, `c${Date.now()}`);
    const said = await news;
    expect(said.tookMs).toBeGreaterThanOrEqual(800);
    expect(said.tookMs).toBeLessThan(800 * 1.0625 + NEWS_WITHIN_MS);
    expect(said.index).toBe(index);
  });

  it('does not answer for a registration that changes nothing', async () => {
    await register(name, 'same');
    const { index } = await ask('GET', path);
    const news = ask('GET', `${path}?index=${index}&wait=500ms`);
    await sleep(50);
    await register(name, 'same');
    expect((await news).tookMs).toBeGreaterThanOrEqual(500);
  });

  it('tells of a service that comes and goes, in the catalog too', async () => {
    const born = `${name}-born`;
    const before = await ask('GET', '/v1/catalog/services');
    const listed = ask('GET', `/v1/catalog/services?index=${before.index}&wait=10s`);
    const { index } = await ask('GET', `/v1/health/service/${born}`);
    const news = ask('GET', `/v1/health/service/${born}?index=${index}&wait=10s`);
    await sleep(100);
    await register(born);
    expect((await news).json<Row[]>()).toHaveLength(1);
    expect((await listed).json()).toHaveProperty(born);
    const { index: alive } = await ask('GET', `/v1/health/service/${born}`);
    const death = ask('GET', `/v1/health/service/${born}?index=${alive}&wait=10s`);
    await sleep(100);
    await ask('PUT', `/v1/agent/service/deregister/${born}`);
    expect((await death).json<Row[]>()).toEqual([]);
    expect((await death).tookMs).toBeLessThan(10_000);
  });
}

function keys(ask: Speak, root: string) {
  const at = (key: string) => `/v1/kv/${root}/${key}`;
  const put = async (key: string, value: string) => (await ask('PUT', at(key), value)).json();
  const get = async (key: string) => (await ask('GET', at(key))).json<Key[]>()[0];

  afterEach(() => ask('DELETE', `/v1/kv/${root}?recurse`));

  it('keeps a value, its flags and its index', async () => {
    expect(await put('a?flags=42', 'hello')).toBe(true);
    const row = await get('a');
    expect(row).toMatchObject({ Key: `${root}/a`, Value: Buffer.from('hello').toString('base64'), Flags: 42 });
    expect((await ask('GET', `${at('a')}?raw`)).text).toBe('hello');
    await put('empty', '');
    expect((await get('empty'))?.Value).toBeNull();
    expect((await ask('GET', at('nothing'))).status).toBe(404);
  });

  it('lists keys and folders', async () => {
    await Promise.all(['x/1', 'x/2', 'y'].map((key) => put(key, 'v')));
    const all = (await ask('GET', `/v1/kv/${root}?recurse`)).json<Key[]>();
    expect(all.map(({ Key }) => Key)).toEqual([`${root}/x/1`, `${root}/x/2`, `${root}/y`]);
    expect((await ask('GET', `${at('')}?keys&separator=/`)).json()).toEqual([`${root}/x/`, `${root}/y`]);
  });

  it('writes and deletes only what has not changed, if so asked', async () => {
    expect(await put('c?cas=0', 'first')).toBe(true);
    expect(await put('c?cas=0', 'second')).toBe(false);
    const { ModifyIndex } = (await get('c'))!;
    expect(await put(`c?cas=${ModifyIndex}`, 'third')).toBe(true);
    expect((await ask('DELETE', `${at('c')}?cas=${ModifyIndex}`)).json()).toBe(false);
    expect((await ask('DELETE', `${at('c')}?cas=${(await get('c'))!.ModifyIndex}`)).json()).toBe(true);
    expect((await ask('GET', at('c'))).status).toBe(404);
  });

  it('tells who waits for a folder of a change and of a deletion in it', async () => {
    await put('w/1', 'v');
    for (const change of [() => ask('PUT', at('w/2'), 'v'), () => ask('DELETE', at('w/1'))]) {
      const { index } = await ask('GET', `${at('w')}?recurse`);
      const news = ask('GET', `${at('w')}?recurse&index=${index}&wait=10s`);
      await sleep(50);
      await put('elsewhere', String(index));
      const changedMs = performance.now();
      await change();
      expect((await news).index).toBeGreaterThan(index);
      expect(performance.now() - changedMs).toBeLessThan(NEWS_WITHIN_MS);
    }
    expect((await ask('GET', `${at('w')}?keys`)).json()).toEqual([`${root}/w/2`]);
  });
}

function sessions(ask: Speak, root: string) {
  const key = `/v1/kv/${root}`;
  const open = async (body: object) => (await ask('PUT', '/v1/session/create', body)).json<{ ID: string }>().ID;
  const put = async (query: string) => (await ask('PUT', `${key}?${query}`, 'v')).json();
  const holder = async () => (await ask('GET', key)).json<Key[]>()[0]?.Session;

  afterEach(() => ask('DELETE', key));

  it('gives a lock to one session at a time', async () => {
    const [one, two] = [await open({ LockDelay: '0s' }), await open({ LockDelay: '0s' })];
    expect(await put(`acquire=${one}`)).toBe(true);
    expect(await put(`acquire=${two}`)).toBe(false);
    expect(await holder()).toBe(one);
    expect(await put(`release=${two}`)).toBe(false);
    expect(await put(`release=${one}`)).toBe(true);
    expect(await holder()).toBeUndefined();
    expect(await put(`acquire=${two}`)).toBe(true);
    for (const id of [one, two]) await ask('PUT', `/v1/session/destroy/${id}`);
    expect(await holder()).toBeUndefined();
  });

  it('holds a lock back for the delay after its session ended', async () => {
    const [one, two] = [await open({ LockDelay: '500ms' }), await open({ LockDelay: '0s' })];
    await put(`acquire=${one}`);
    await ask('PUT', `/v1/session/destroy/${one}`);
    expect(await put(`acquire=${two}`)).toBe(false);
    await sleep(600);
    expect(await put(`acquire=${two}`)).toBe(true);
    await ask('PUT', `/v1/session/destroy/${two}`);
  });

  it('deletes the key with its session when that was asked for', async () => {
    const id = await open({ Behavior: 'delete', LockDelay: '0s' });
    await put(`acquire=${id}`);
    await ask('PUT', `/v1/session/destroy/${id}`);
    expect((await ask('GET', key)).status).toBe(404);
  });

  it('shows and renews a session, until it has ended', async () => {
    const id = await open({ Name: 'mine', TTL: '30s' });
    const [row] = (await ask('GET', `/v1/session/info/${id}`)).json<object[]>();
    expect(row).toMatchObject({ ID: id, Name: 'mine', TTL: '30s', Behavior: 'release', LockDelay: 15_000_000_000 });
    expect((await ask('GET', '/v1/session/list')).json<{ ID: string }[]>().map(({ ID }) => ID)).toContain(id);
    expect((await ask('PUT', `/v1/session/renew/${id}`)).json<object[]>()).toHaveLength(1);
    await ask('PUT', `/v1/session/destroy/${id}`);
    expect((await ask('PUT', `/v1/session/renew/${id}`)).status).toBe(404);
    expect((await ask('PUT', `${key}?acquire=${id}`, 'v')).status).toBe(500);
  });
}

function foreign(ask: Speak, node: string) {
  it('keeps a service that was put into the catalog, with the health that was given', async () => {
    const Check = { Node: node, CheckID: 'alive', Name: 'alive', Status: 'passing', ServiceID: 'db' };
    const Service = { ID: 'db', Service: `${node}-db`, Port: 5432, Tags: ['t'] };
    expect((await ask('PUT', '/v1/catalog/register', { Node: node, Address: '10.0.0.9', Service, Check })).json()).toBe(true);
    const [row] = (await ask('GET', `/v1/health/service/${node}-db?passing`)).json<Row[]>();
    expect(row).toMatchObject({ Node: { Node: node, Address: '10.0.0.9' }, Service: { ID: 'db', Port: 5432, Address: '' } });
    expect((await ask('GET', `/v1/catalog/node/${node}`)).json()).toMatchObject({ Services: { db: { Port: 5432 } } });
    expect((await ask('GET', '/v1/catalog/nodes')).json<{ Node: string }[]>().map(({ Node }) => Node)).toContain(node);
    await ask('PUT', '/v1/catalog/deregister', { Node: node });
    expect((await ask('GET', `/v1/health/service/${node}-db`)).json()).toEqual([]);
    expect((await ask('GET', `/v1/catalog/node/${node}`)).json()).toBeNull();
  });

  it('says who it is and who leads', async () => {
    const self = (await ask('GET', '/v1/agent/self')).json<{ Config: { NodeName: string; Datacenter: string }; Member: { Name: string } }>();
    expect(self.Member.Name).toBe(self.Config.NodeName);
    expect((await ask('GET', '/v1/catalog/datacenters')).json()).toEqual([self.Config.Datacenter]);
    const leader = (await ask('GET', '/v1/status/leader')).json<string>();
    expect(leader).toMatch(/^127\.0\.0\.1:\d+$/);
    expect((await ask('GET', '/v1/status/peers')).json()).toEqual([leader]);
    expect((await ask('GET', '/v1/health/service/consul?passing')).json()).toHaveLength(1);
  });
}

const REFUSED: [string, string, unknown, number, RegExp][] = [
  ['PUT', '/v1/agent/service/register', '{broken', 400, /^Request decode failed: .+/],
  ['PUT', '/v1/agent/service/register', '', 400, /^Request decode failed: EOF$/],
  ['PUT', '/v1/agent/service/register', {}, 400, /^Missing service name$/],
  ['PUT', '/v1/agent/service/register', { Name: 'x', Bogus: 1 }, 400, /unknown field "Bogus"/],
  ['PUT', '/v1/agent/service/register', { Name: 'x', Port: 'abc' }, 400, /cannot unmarshal string into Go struct field \.Port/],
  ['PUT', '/v1/agent/service/register', { Name: 'x', Meta: { 'a b': 'c' } }, 400, /'a b'.*Key contains invalid characters/],
  ['PUT', '/v1/agent/service/register', { Name: 'x', Check: { HTTP: 'http://127.0.0.1:1' } }, 400, /Interval must be > 0/],
  ['PUT', '/v1/agent/service/register', { Name: 'x', Check: { TTL: 'soon' } }, 400, /invalid duration "soon"/],
  ['PUT', '/v1/agent/check/register', { TTL: '1s' }, 400, /^Missing check name$/],
  ['PUT', '/v1/agent/check/register', { Name: 'x', TTL: '1s', ServiceID: 'nobody' }, 500, /"nobody" does not exist/],
  ['PUT', '/v1/agent/check/pass/nobody', undefined, 500, /"nobody" does not have associated TTL/],
  ['GET', '/v1/agent/service/nobody', undefined, 404, /^unknown service ID: nobody$/],
  ['PUT', '/v1/agent/service/maintenance/nobody?enable=true', undefined, 404, /"nobody"/],
  ['GET', '/v1/agent/service/register', undefined, 405, /^method GET not allowed$/],
  ['DELETE', '/v1/agent/services', undefined, 405, /^method DELETE not allowed$/],
  ['GET', '/v1/nothing', undefined, 404, /^$/],
  ['GET', '/v1/health/service/', undefined, 400, /^Missing service name$/],
  ['GET', '/v1/health/service/x?index=soon', undefined, 400, /^Invalid index$/],
  ['GET', '/v1/health/service/x?index=1&wait=soon', undefined, 400, /^Invalid wait time$/],
  ['GET', '/v1/health/service/x?stale&consistent', undefined, 400, /conflicting semantics/],
  ['GET', '/v1/health/service/x?dc=nowhere', undefined, 500, /^No path to datacenter$/],
  ['GET', '/v1/health/service/x?filter=Bogus.x%20==%20y', undefined, 500, /Selector "Bogus" is not valid/],
  ['PUT', '/v1/kv/', 'x', 400, /^Missing key name$/],
  ['PUT', '/v1/kv/a?cas=1&acquire=2', 'x', 400, /^Conflicting flags/],
  ['PUT', '/v1/kv/a?acquire=00000000-0000-0000-0000-000000000000', 'x', 500, /^invalid session/],
  ['PUT', '/v1/kv/a', 'x'.repeat(600_000), 413, /too large, max size: 524288 bytes/],
  ['PUT', '/v1/session/create', { TTL: '1s' }, 500, /^Invalid Session TTL/],
  ['PUT', '/v1/catalog/register', {}, 500, /^Must provide node$/],
];

function refusals(ask: Speak) {
  it.each(REFUSED)('%s %s %j is %d', async (method, path, body, status, text) => {
    const said = await ask(method, path, body);
    expect([said.status, said.text.trim()]).toEqual([status, expect.stringMatching(text)]);
  });

  it('says which methods there are', async () => {
    expect((await ask('POST', '/v1/kv/a', 'x')).headers.allow).toBe('OPTIONS,GET,PUT,DELETE');
  });
}

/** The room's configuration as the files have it. */
export const discoveryConfig = (): DiscoveryConfig =>
  fileSettings({ process: 'discovery', profile: 'test', sections: [DiscoveryConfig], log: silentLog }).section(DiscoveryConfig);

function processes(url: () => string, ask: Speak, name: string) {
  const opened: Discovery[] = [];
  const patients: Patient[] = [];
  const discovery = () => {
    const one = new Discovery({ url: url(), log: silentLog, config: discoveryConfig() });
    opened.push(one);
    return one;
  };
  const patient = async () => {
    const one = await new Patient().live();
    patients.push(one);
    return one;
  };
  const self = (port: number, slot = 0) => {
    const plain = { id: `${name}-${slot}`, name, address: '127.0.0.1', tags: ['mesh-route=/api/y'], meta: { slot: String(slot) } };
    return { ...plain, port, check: { path: '/health/ready' } };
  };
  const until = async (from: Discovery, test: () => boolean) => {
    const startedMs = performance.now();
    await new Promise<void>((resolve) => {
      const look = () => test() && (stop(), resolve());
      const stop = from.onChange(look);
      look();
    });
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
    await sleep(1200);
    hanging.hangs = true;
    await dying.die();
    expect(await until(seer, () => !ports().includes(dying.port))).toBeLessThan(GONE_WITHIN_MS);
    expect(await until(seer, () => !ports().includes(hanging.port))).toBeLessThan(GONE_WITHIN_MS);
    expect(ports().sort()).toEqual(well.map(({ port }) => port).sort());
  });

  it('is replaced by its restart, which does not inherit its illness', async () => {
    const seer = discovery();
    const first = await patient();
    const before = discovery();
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
    await Promise.all([ill, alsoIll, well].map(({ port }, slot) => discovery().register(self(port, slot))));
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
