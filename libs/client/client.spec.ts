import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
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
/** Takes connections and requests, and never answers: a stopped process. */
const hang: RequestListener = () => undefined;

describe('a call', () => {
  it('sends JSON with its query and reads JSON', async () => {
    await start('one', (req, res) => {
      const chunks: Buffer[] = [];
      req
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .on('end', () => {
          res.writeHead(201, { 'content-type': 'application/json', location: '/1' });
          res.end(
            JSON.stringify({
              method: req.method,
              url: req.url,
              type: req.headers['content-type'],
              body: Buffer.concat(chunks).toString(),
            }),
          );
        });
    });
    const { status, headers, body } = await client.call('film', {
      method: 'POST',
      path: '/api/movies',
      query: { a: 'x y', b: undefined, c: 1 },
      body: { title: 'Lola' },
    });
    expect([status, headers.location]).toEqual([201, '/1']);
    expect(body).toEqual({ method: 'POST', url: '/api/movies?a=x+y&c=1', type: 'application/json', body: '{"title":"Lola"}' });
  });

  it('throws the remote problem as the same problem', async () => {
    await start('one', (_, res) => {
      res.writeHead(409, { 'content-type': 'application/problem+json', 'retry-after': '2' });
      res.end(
        JSON.stringify({ type: '/problems/seat-taken', title: 'Taken', status: 409, detail: 'A1 is taken', taken: ['A1'] }),
      );
    });
    const problem = await problemOf(post());
    expect(problem).toMatchObject({
      type: 'seat-taken',
      status: 409,
      detail: 'A1 is taken',
      extra: { taken: ['A1'] },
      headers: { 'Retry-After': '2' },
    });
    expect(breakers.of('film').counts().errors).toBe(0);
  });

  it('carries trace, priority and what is left of the deadline', async () => {
    await start('one', (req, res) =>
      res.end(JSON.stringify([req.headers.traceparent, req.headers['x-priority'], req.headers['x-deadline-ms']])),
    );
    const now = newContext({ priority: 'critical', deadlineAt: Date.now() + 500 });
    const [trace, priority, deadline] = JSON.parse((await runWith(now, get)).body) as string[];
    expect(trace).toContain(now.traceId);
    expect(priority).toBe('critical');
    expect(Number(deadline)).toBeGreaterThan(300);
    expect(Number(deadline)).toBeLessThanOrEqual(500);
  });

  it('is not begun after its deadline', async () => {
    let asked = 0;
    await start('one', (_, res) => res.end(String(asked++)));
    expect(await problemOf(runWith(newContext({ deadlineAt: Date.now() - 1 }), get))).toMatchObject({
      type: 'timeout',
      status: 504,
    });
    expect(asked).toBe(0);
  });

  it('ends with its deadline when the body does not', async () => {
    await start('one', (_, res) => void res.write('begun'));
    const begun = performance.now();
    expect(await problemOf(runWith(newContext({ deadlineAt: Date.now() + 150 }), get))).toMatchObject({
      type: 'timeout',
      status: 504,
    });
    expect(performance.now() - begun).toBeLessThan(600);
  });

  it('is 503 with Retry-After when nobody is there, or nobody takes the connection', async () => {
    expect(await problemOf(get())).toMatchObject({ type: 'no-instance', status: 503, headers: { 'Retry-After': '1' } });
    await kill(await start('one'));
    expect(await problemOf(post())).toMatchObject({ type: 'no-instance', status: 503, headers: { 'Retry-After': '1' } });
  });
});

describe('balancing', () => {
  const three = async () => void (await Promise.all(['a', 'b', 'c'].map((id) => start(id))));

  it('takes turns', async () => {
    await three();
    config.balancer = 'round-robin';
    expect(await tally(30)).toEqual({ a: 10, b: 10, c: 10 });
  });

  it('is random', async () => {
    await three();
    config.balancer = 'random';
    const answers = await tally(300);
    for (const id of ['a', 'b', 'c']) expect(answers[id]).toBeGreaterThan(60); // 100 ± 8.2: five deviations
  });

  it('gives less to the slower by their response times', async () => {
    await start('fast', (_, res) => void setTimeout(() => res.end('fast'), 2));
    await start('slow', (_, res) => void setTimeout(() => res.end('slow'), 30));
    config.balancer = 'weighted-response-time';
    const { fast, slow } = await tally(100);
    expect(fast).toBeGreaterThan(slow! * 3);
    expect(slow).toBeGreaterThan(0);
  });

  it('gives the next request to the less loaded of two', async () => {
    breakerConfig.timeoutMs = 200;
    await start('busy', hang);
    const held = [get(), get()];
    await sleep(20);
    await start('free');
    expect(await tally(20)).toEqual({ free: 20 });
    leave('free');
    await start('third');
    await Promise.all(held); // their second try
  });

  it('follows discovery: a new instance at once, one that left no more', async () => {
    await start('a');
    await tally(5);
    await start('b');
    config.balancer = 'round-robin';
    expect(await tally(10)).toEqual({ a: 5, b: 5 });
    leave('a');
    expect(await tally(10)).toEqual({ b: 10 });
  });

  it('closes the connections to one that left, once its requests are answered', async () => {
    const gone = await start('a', (_, res) => void setTimeout(() => res.end('a'), 100));
    const asked = get();
    await sleep(30);
    leave('a');
    expect((await asked).body).toBe('a');
    await sleep(30);
    const open = await new Promise<number>((resolve) => gone.getConnections((_, count) => resolve(count)));
    expect(open).toBe(0);
  });
});

it('ends the event streams that it passes on when it is told to', async () => {
  await start('a', (_, res) => void res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n'));
  const door = createServer((req, res) => void client.forward('film', req, res, { path: '/', limitBytes: 0 }));
  await new Promise<void>((done) => door.listen(0, '127.0.0.1', done));
  closers.push(() => kill(door));
  const answer = await fetch(`http://127.0.0.1:${(door.address() as AddressInfo).port}/`);
  client.endStreams();
  expect(await answer.text()).toBe('data: 1\n\n');
});
