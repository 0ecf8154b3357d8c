import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type RequestListener,
  type Server,
} from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Instance } from '#discovery';
import { type Door, kill, listen, openDoor, portOf } from './contract.js';

/** Discovery as the gateway sees it, with instances that are servers of this test. */
class Registry {
  private tags = new Map<string, string[]>();
  private readonly all = new Map<string, Instance[]>();
  readonly catalog = () => this.tags;
  readonly instances = (service: string) => this.all.get(service) ?? NOBODY;
  readonly ready = () => Promise.resolve();
  readonly onChange = () => () => undefined;

  add(service: string, port: number, route: string) {
    const instance = { id: `${service}-${port}`, service, address: '127.0.0.1', port, tags: [], meta: {}, passing: true };
    this.all.set(service, [...this.instances(service), instance]);
    this.tags = new Map(this.tags).set(service, [`mesh-route=${route}`]);
  }

  remove(service: string, server: Server) {
    const left = this.instances(service).filter(({ port }) => port !== portOf(server));
    this.all.set(service, left);
    this.tags = new Map([...this.tags].filter(([name]) => name !== service || left.length > 0));
  }
}

const NOBODY: readonly Instance[] = [];
let registry: Registry, door: Door, servers: Server[], agent: Agent;

const start = async (service: string, handler?: RequestListener, route = '/api/movies') => {
  const server = await listen(createServer(handler ?? ((req, res) => res.end(`${service} ${req.method} ${req.url}`))));
  servers.push(server);
  registry.add(service, portOf(server), route);
  return server;
};
beforeEach(async () => {
  [servers, registry, agent] = [[], new Registry(), new Agent({ keepAlive: true, maxSockets: 16 })];
  door = await openDoor(registry, 'https://cinema.example');
});
afterEach(async () => {
  agent.destroy();
  await door.close();
  await Promise.all(servers.map(kill));
});

type Answer = { status: number; headers: IncomingHttpHeaders; text: string };
async function ask(method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
  const asked = request({ port: door.port, host: '127.0.0.1', method, path, headers, agent });
  const answered = once(asked, 'response');
  asked.end(body);
  const [answer] = (await answered) as [IncomingMessage];
  const text = (await answer.setEncoding('utf8').toArray()).join('');
  return { status: answer.statusCode!, headers: answer.headers, text };
}
const get = (path: string, headers?: Record<string, string>) => ask('GET', path, headers);
/** Ask again and again, by sixteen at once, until told to stop. */
function load(call: () => Promise<Answer>) {
  const seen: Record<string, number> = {};
  let [count, isOn] = [0, true];
  const worker = async () => {
    while (isOn) {
      const outcome = await call().then(
        ({ status }) => String(status),
        (error: Error) => error.message,
      );
      seen[outcome] = (seen[outcome] ?? 0) + 1;
      count++;
    }
  };
  const workers = Array.from({ length: 16 }, worker);
  const more = async (wanted: number) => {
    for (const from = count; count < from + wanted;) await sleep(5);
  };
  return { seen, more, stop: () => ((isOn = false), Promise.all(workers)) };
}

describe('routing', () => {
  it('sends GET and HEAD to the query side and the rest to the command side', async () => {
    await start('movie-query');
    await start('movie-command');
    expect((await get('/api/movies?limit=2')).text).toBe('movie-query GET /api/movies?limit=2');
    expect((await ask('HEAD', '/api/movies/1')).status).toBe(200);
    for (const method of ['POST', 'PATCH', 'PUT', 'DELETE']) {
      expect((await ask(method, '/api/movies/1')).text).toBe(`movie-command ${method} /api/movies/1`);
    }
  });

  it('sends every method to a service without sides, and the longest path first', async () => {
    await start('web', undefined, '/');
    await start('oauth', undefined, '/oauth');
    await start('seat-query', undefined, '/api/movies/seats');
    await start('movie-query');
    expect((await ask('POST', '/oauth/token')).text).toBe('oauth POST /oauth/token');
    expect((await get('/api/movies/seats/1')).text).toMatch(/^seat-query/);
    expect((await get('/api/movies/seatsful')).text).toMatch(/^movie-query/);
    expect((await get('/anything')).text).toMatch(/^web/);
    expect((await get('/')).text).toMatch(/^web/);
  });

  it('is 404 for what nobody declares, 503 before anything was heard', async () => {
    const early = await get('/api/movies');
    expect([early.status, early.headers['retry-after']]).toEqual([503, '1']);
    await start('movie-query');
    const { status, headers, text } = await get('/api/moviesx');
    expect([status, headers['content-type']]).toEqual([404, 'application/problem+json']);
    expect(JSON.parse(text)).toMatchObject({
      type: '/problems/not-found',
      status: 404,
      instance: expect.stringMatching(/^urn:trace:[0-9a-f]{32}$/) as string,
    });
  });

  it('is 503 with Retry-After while nobody is there, and 404 once that is no restart any more', async () => {
    const server = await start('movie-query');
    await get('/api/movies');
    registry.remove('movie-query', server);
    const { status, headers, text } = await get('/api/movies');
    expect([status, headers['retry-after'], (JSON.parse(text) as { type: string }).type]).toEqual([
      503,
      '1',
      '/problems/no-instance',
    ]);
    door.config.keepRouteMs = -1;
    expect((await get('/api/movies')).status).toBe(404);
  });

  it('keeps internal paths in, whatever a service declares', async () => {
    await start('web', undefined, '/');
    for (const path of ['/metrics', '/health/live', '/health/ready', '/hystrix.stream', '/v1/catalog/services', '/eureka/apps']) {
      expect([path, (await get(path)).status]).toEqual([path, 404]);
    }
    await start('movie-query', undefined, '/metrics');
    expect((await get('/metrics')).status).toBe(404);
  });
});

describe('forwarding', () => {
  const headersSeen: RequestListener = (req, res) => res.end(JSON.stringify(req.headers));

  it('strips what only the gateway may say, and says it', async () => {
    await start('movie-query', headersSeen);
    const claims = {
      forwarded: 'for=x',
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-proto': 'gopher',
      'x-forwarded-host': 'evil',
      'x-real-ip': '6.6.6.6',
    };
    const trust = {
      'x-user': 'root',
      'x-user-id': '1',
      'x-priority': 'critical',
      'x-deadline-ms': '1',
      'x-original-url': '/metrics',
    };
    const authorization = `Bearer ${await door.mint.token()}`;
    const { text } = await get('/api/movies', { ...claims, ...trust, authorization, host: 'cinema.example' });
    const seen = JSON.parse(text) as Record<string, string>;
    expect(seen).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'cinema.example',
      authorization,
      'x-priority': 'normal',
    });
    for (const name of ['forwarded', 'x-real-ip', 'x-user', 'x-user-id', 'x-original-url']) expect(seen).not.toHaveProperty(name);
    expect(Number(seen['x-deadline-ms'])).toBeGreaterThan(1000);
  });

  it('keeps a trace that came, and begins one that did not', async () => {
    await start('movie-query', headersSeen);
    const traceOf = async (headers?: Record<string, string>) =>
      (JSON.parse((await get('/api/movies', headers)).text) as { traceparent: string }).traceparent.split('-')[1];
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    expect(await traceOf({ traceparent: `00-${trace}-00f067aa0ba902b7-01` })).toBe(trace);
    expect(await traceOf()).toMatch(/^[0-9a-f]{32}$/);
  });

  it('measures by route', async () => {
    await start('movie-query');
    await get('/api/movies/1');
    await get('/nothing');
    const text = await door.metrics.text();
    expect(text).toMatch(/request_duration_seconds_count\{.*http_route="\/api\/movies",http_response_status_code="200".*\} 1/);
    expect(text).toMatch(/request_duration_seconds_count\{.*http_route="none",http_response_status_code="404".*\} 1/);
  });
});

describe('of two instances', () => {
  const slowly: RequestListener = (req, res) =>
    void req.resume().on('end', () => setTimeout(() => res.end('ok'), Math.random() * 10));

  it('one may be killed under reads, and none fails', async () => {
    const first = await start('movie-query', slowly);
    await start('movie-query', slowly);
    const { seen, more, stop } = load(() => get('/api/movies'));
    await more(100);
    await kill(first);
    await more(200);
    await stop();
    expect(Object.keys(seen)).toEqual(['200']);
  });

  it('one may be drained under writes, and none fails', async () => {
    const first = await start('movie-command', slowly);
    await start('movie-command', slowly);
    const { seen, more, stop } = load(() =>
      ask('POST', '/api/movies', { 'content-type': 'application/json' }, '{"title":"Lola"}'),
    );
    await more(100);
    registry.remove('movie-command', first);
    await more(50); // a registry tells within a second, a drained instance waits two
    const closed = once(first, 'close');
    first.close();
    await more(100);
    await closed;
    await stop();
    expect(Object.keys(seen)).toEqual(['200']);
  });

  it('the second gets requests as soon as it is known', async () => {
    await start('movie-query', (_, res) => res.end('first'));
    expect((await get('/api/movies')).text).toBe('first');
    await start('movie-query', (_, res) => res.end('second'));
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) seen.add((await get('/api/movies')).text);
    expect(seen).toEqual(new Set(['first', 'second']));
  });
});

describe('a failing service', () => {
  it('is 504 when it hangs, then 503 at once while its breaker is open', async () => {
    await start('movie-query', () => undefined);
    door.breakers.of('movie-query', { timeoutMs: 50 });
    const first = await Promise.all(Array.from({ length: 16 }, () => get('/api/movies')));
    expect(new Set(first.map(({ status }) => status))).toEqual(new Set([504]));
    await Promise.all(Array.from({ length: 16 }, () => get('/api/movies')));
    const begun = performance.now();
    const { status, headers, text } = await get('/api/movies');
    expect([status, headers['retry-after']]).toEqual([503, '5']);
    expect(text).toContain('"/problems/breaker-open"');
    expect(performance.now() - begun).toBeLessThan(door.config.routeMs / 10);
  });

  it('of another resource does not matter', async () => {
    await start('film-query', () => undefined, '/api/films');
    await start('movie-query');
    door.breakers.of('film-query', { timeoutMs: 50 });
    await Promise.all(Array.from({ length: 30 }, () => get('/api/films')));
    expect((await get('/api/movies')).status).toBe(200);
  });
});
