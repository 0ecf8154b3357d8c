import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BreakerConfig, Breakers } from '#breaker';
import { fileSettings } from '#config';
import { newContext, runWith } from '#context';
import type { Instance } from '#discovery';
import { silentLog } from '#log';
import { Metrics } from '#metrics';
import { Problem } from '#problem';
import { type Call, Client, ClientConfig } from './client.js';

let instances: Instance[];
let tell: (service: string) => void;
let closers: (() => unknown)[];
let client: Client, breakers: Breakers, config: ClientConfig, breakerConfig: BreakerConfig, metrics: Metrics;

beforeEach(() => {
  instances = [];
  closers = [];
  metrics = new Metrics('test');
  const settings = fileSettings({ process: 'test', profile: 'test', sections: [ClientConfig, BreakerConfig], log: silentLog });
  config = settings.section(ClientConfig);
  breakerConfig = settings.section(BreakerConfig);
  breakers = new Breakers({ config: breakerConfig, log: silentLog, metrics });
  const discovery = {
    instances: () => instances,
    ready: () => Promise.resolve(),
    onChange: (listener: typeof tell) => ((tell = listener), () => undefined),
  };
  client = new Client({ discovery, breakers, log: silentLog, metrics, config });
});
afterEach(async () => {
  await client.close();
  breakers.close();
  await Promise.all(closers.map((close) => close()));
});

const register = (id: string, port: number) => {
  const found = { id, service: 'film', address: '127.0.0.1', port, tags: [], meta: {}, passing: true };
  instances = [...instances.filter((known) => known.id !== id), found];
  tell('film');
};
const leave = (id: string) => {
  instances = instances.filter((known) => known.id !== id);
  tell('film');
};
const kill = (server: Server) =>
  new Promise<void>((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
/** An instance that answers with `handler`, its own name without one. */
async function start(id: string, handler?: RequestListener, port = 0): Promise<Server> {
  const server = createServer(handler ?? ((_, res) => res.end(id)));
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  closers.push(() => (server.listening ? kill(server) : undefined));
  register(id, (server.address() as AddressInfo).port);
  return server;
}
const get = (more: Partial<Call> = {}) => client.call<string>('film', { method: 'GET', path: '/', ...more });
const post = (more: Partial<Call> = {}) => get({ method: 'POST', body: { title: 'Lola' }, ...more });
const problemOf = async (call: Promise<unknown>): Promise<Problem> => {
  const thrown: unknown = await call.then(
    () => 'an answer',
    (error: unknown) => error,
  );
  if (thrown instanceof Problem) return thrown;
  throw new Error(`no problem but ${String(thrown)}`, { cause: thrown });
};
/** How often each instance answered. */
async function tally(count: number, call = get) {
  const answers: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const { body } = await call();
    answers[body] = (answers[body] ?? 0) + 1;
  }
  return answers;
}
const retries = async () => Number(/client_retries_total\{.*\} (\d+)/.exec(await metrics.text())?.[1] ?? 0);
/** Takes connections and requests, and never answers: a stopped process. */
const hang: RequestListener = () => undefined;

describe('a failing instance', () => {
  it('that refuses connections costs no request of any method', async () => {
    const dead = await start('dead');
    await start('alive');
    await kill(dead);
    for (const call of [get, post]) expect(await tally(30, call)).toEqual({ alive: 30 });
  });

  it('that dies under reads costs none', async () => {
    const slow: (id: string) => RequestListener = (id) => (_, res) => void setTimeout(() => res.end(id), 60);
    const dying = await start('dying', slow('dying'));
    await start('alive', slow('alive'));
    const asked = Array.from({ length: 40 }, () => get());
    await sleep(30);
    await kill(dying);
    const answers = await Promise.all([...asked, ...Array.from({ length: 40 }, () => get())]);
    expect(answers.filter(({ body }) => body === 'alive').length).toBeGreaterThanOrEqual(60);
    expect(breakers.of('film').state).toBe('closed');
  });

  it('that dies under writes fails them without sending one twice', async () => {
    let received = 0;
    breakerConfig.timeoutMs = 200;
    const dying = await start('dying', () => void received++);
    await start('other', () => void received++);
    config.balancer = 'round-robin';
    const asked = [post(), post({ headers: { 'Idempotency-Key': 'k' } })];
    await sleep(50);
    await kill(dying);
    const problem = await Promise.race(asked.map(problemOf));
    expect(problem).toMatchObject({ type: 'upstream-lost', status: 502 });
    await Promise.allSettled(asked);
    expect(received).toBe(2);
  });

  it('that hangs is left alone after a few time-outs, which reads do not notice', async () => {
    let asked = 0;
    await start('hanging', () => void asked++);
    await start('alive');
    config.balancer = 'round-robin';
    breakerConfig.timeoutMs = 60;
    expect(await tally(40)).toEqual({ alive: 40 });
    expect(asked).toBe(config.ejectAfter);
    expect(await metrics.text()).toMatch(/client_ejections_total\{.*\} 1/);
  });

  it('gets requests again after a while', async () => {
    let isIll = true;
    await start('ill', (_, res) => (isIll ? res.destroy() : res.end('ill')));
    await start('alive');
    Object.assign(config, { balancer: 'round-robin', ejectAfter: 2, ejectMs: 100 });
    await tally(6);
    isIll = false;
    expect(await tally(10)).toEqual({ alive: 10 });
    await sleep(120);
    expect(await tally(10)).toEqual({ alive: 5, ill: 5 });
  });

  it('is asked all the same when all fail', async () => {
    for (const id of ['a', 'b']) await start(id, (_, res) => res.writeHead(500).end());
    Object.assign(config, { ejectAfter: 1, balancer: 'round-robin' });
    for (let i = 0; i < 6; i++) expect((await problemOf(get())).status).toBe(500);
    expect(await metrics.text()).toMatch(/client_ejections_total\{.*\} 1/);
  });
});

describe('retries', () => {
  const failing: RequestListener = (_, res) => void res.writeHead(503, { 'retry-after': '9' }).end();

  it('of an answer 503 are for idempotent requests, and leave the last answer when no other comes', async () => {
    await start('bad', failing);
    await start('good');
    Object.assign(config, { balancer: 'round-robin', ejectAfter: 1000 });
    for (const method of ['GET', 'PUT', 'DELETE'] as const) expect(await tally(4, () => get({ method }))).toEqual({ good: 4 });
    expect((await Promise.allSettled([post(), post()])).map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    leave('good');
    expect(await problemOf(get())).toMatchObject({ status: 503, headers: { 'Retry-After': '9' } });
  });

  it('of a time-out need another instance', async () => {
    let asked = 0;
    await start('only', () => void asked++);
    breakerConfig.timeoutMs = 60;
    expect(await problemOf(get())).toMatchObject({ type: 'timeout', status: 504 });
    expect(asked).toBe(1);
  });

  it('are at most a fifth of the requests and what any window may hold', async () => {
    for (const id of ['a', 'b']) await start(id, failing);
    Object.assign(config, { retryMinimum: 3, ejectAfter: 1000 });
    breakerConfig.minCalls = 1000;
    for (let i = 0; i < 100; i++) await problemOf(get());
    expect(await retries()).toBe(23);
  });

  it('end with the deadline', async () => {
    for (const id of ['a', 'b', 'c', 'd']) await start(id, hang);
    breakerConfig.timeoutMs = 100;
    const begun = performance.now();
    expect(await problemOf(runWith(newContext({ deadlineAt: Date.now() + 150 }), get))).toMatchObject({ status: 504 });
    expect(performance.now() - begun).toBeLessThan(400);
  });

  it('cover a connection closed while it was idle, on the same instance', async () => {
    let requests = 0;
    const tcp = createTcpServer((socket) =>
      socket
        .on('error', () => undefined)
        .on('data', () => {
          // Answers the first request of a connection, and hangs up on the second.
          if (requests++ % 2 === 0) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
          else socket.destroy();
        }),
    );
    await new Promise<void>((done) => tcp.listen(0, '127.0.0.1', done));
    closers.push(() => tcp.close());
    register('one', (tcp.address() as AddressInfo).port);
    expect(await tally(2)).toEqual({ ok: 2 });
    expect(requests).toBe(3);
  });
});

describe('the breaker of a service', () => {
  it('opens on time-outs and refuses at once; a new instance closes it', async () => {
    await start('hanging', hang);
    breakerConfig.timeoutMs = 50;
    await Promise.allSettled(Array.from({ length: 20 }, () => get()));
    const begun = performance.now();
    expect(await problemOf(get())).toMatchObject({ type: 'breaker-open', status: 503, headers: { 'Retry-After': '5' } });
    expect(performance.now() - begun).toBeLessThan(30);
    leave('hanging');
    await start('new');
    expect((await get()).body).toBe('new');
  });
});
