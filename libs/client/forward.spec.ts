import { createServer, type IncomingMessage, request, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { BreakerConfig, Breakers } from '#breaker';
import { fileSettings } from '#config';
import type { Instance } from '#discovery';
import { silentLog } from '#log';
import { Metrics } from '#metrics';
import { toProblem } from '#problem';
import { Client, ClientConfig } from './client.js';

const MB = 2 ** 20;
let instances: Instance[];
let servers: Server[];
let client: Client, breakers: Breakers, config: ClientConfig, breakerConfig: BreakerConfig;
let front: Server, limitBytes: number;

const listen = async (handler: RequestListener) => {
  const server = createServer(handler).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return server;
};
const portOf = (server: Server) => (server.address() as AddressInfo).port;
const start = async (handler: RequestListener) => {
  const server = await listen(handler);
  const port = portOf(server);
  instances = [...instances, { id: `${port}`, service: 'film', address: '127.0.0.1', port, tags: [], meta: {}, passing: true }];
  return server;
};
const kill = async (server: Server) => {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
};

beforeEach(async () => {
  [instances, servers, limitBytes] = [[], [], 10 * MB];
  const metrics = new Metrics('test');
  const settings = fileSettings({ process: 'test', profile: 'test', sections: [ClientConfig, BreakerConfig], log: silentLog });
  config = settings.section(ClientConfig);
  breakerConfig = settings.section(BreakerConfig);
  breakers = new Breakers({ config: breakerConfig, log: silentLog, metrics });
  const discovery = { instances: () => instances, ready: () => Promise.resolve(), onChange: () => () => undefined };
  client = new Client({ discovery, breakers, log: silentLog, metrics, config });
  front = await listen((req, res) => {
    client.forward('film', req, res, { path: String(req.headers['x-path'] ?? req.url), limitBytes }).catch((error: unknown) => {
      const { status, type } = toProblem(error);
      res.writeHead(status, { connection: 'close' }).end(type);
    });
  });
});
afterEach(async () => {
  await client.close();
  breakers.close();
  await Promise.all(servers.filter(({ listening }) => listening).map(kill));
});

type Ask = { method?: string; headers?: Record<string, string>; body?: string | Buffer | Readable };
/** Ask through the front; resolves with the head of the answer. */
async function ask({ method = 'GET', headers, body }: Ask = {}): Promise<IncomingMessage> {
  const asked = request({ port: portOf(front), host: '127.0.0.1', path: '/api/movies?x=1', method, headers, agent: false });
  const answered = once(asked, 'response');
  if (body instanceof Readable) void pipeline(body, asked).catch(() => undefined);
  else asked.end(body);
  return ((await answered) as [IncomingMessage])[0];
}
const dial = () => {
  const socket = connect(portOf(front), '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  return socket;
};
const textOf = async (answer: IncomingMessage) => (await answer.setEncoding('utf8').toArray()).join('');
const echo: RequestListener = (req, res) => {
  res.writeHead(200, { 'content-type': 'application/octet-stream' });
  req.pipe(res);
};
function* megabytes(count: number, taken: (atBytes: number) => void = () => undefined) {
  for (let i = 0; i < count * 16; i++) {
    taken((i * MB) / 16);
    yield Buffer.alloc(MB / 16, i);
  }
}

describe('forwarding', () => {
  it.each([0, 2000, 3 * MB])('brings %i bytes there and back', async (sizeBytes) => {
    const body = 'x'.repeat(sizeBytes);
    await start(echo);
    expect(await textOf(await ask({ method: 'POST', body }))).toBe(body);
    expect(await textOf(await ask({ method: 'POST', body: Readable.from([Buffer.from(body)]) }))).toBe(body);
  });

  it('keeps method, path, query, status and headers, also those that come twice', async () => {
    await start((req, res) => {
      res
        .writeHead(418, ['set-cookie', 'a=1', 'set-cookie', 'b=2', 'x-seen', `${req.method} ${req.url} ${req.headers['x-own']}`])
        .end();
    });
    const answer = await ask({ method: 'DELETE', headers: { 'x-own': 'kept' } });
    expect([answer.statusCode, answer.headers['set-cookie'], answer.headers['x-seen']]).toEqual([
      418,
      ['a=1', 'b=2'],
      'DELETE /api/movies?x=1 kept',
    ]);
  });

  it('passes nothing on that concerns one connection only', async () => {
    let seen: string[] = [];
    await start((req, res) => {
      seen = Object.keys(req.headers);
      res
        .writeHead(200, { connection: 'x-inner, close', 'x-inner': '1', 'proxy-authenticate': 'Basic', 'x-kept': '1' })
        .end('ok');
    });
    const headers = {
      connection: 'keep-alive, x-secret',
      'x-secret': '1',
      te: 'trailers',
      'proxy-authorization': 'x',
      'x-kept': '1',
    };
    const answer = await ask({ headers });
    expect(seen).toContain('x-kept');
    for (const name of ['x-secret', 'te', 'proxy-authorization']) expect(seen).not.toContain(name);
    expect(answer.headers).toMatchObject({ 'x-kept': '1', 'content-length': '2' });
    for (const name of ['x-inner', 'proxy-authenticate']) expect(answer.headers).not.toHaveProperty(name);
  });

  it('answers HEAD, 204 and 304 without a body', async () => {
    await start((req, res) => {
      if (req.method === 'HEAD') res.writeHead(200, { 'content-length': '1234' }).end();
      else res.writeHead(req.method === 'GET' ? 304 : 204, { etag: '"7"' }).end();
    });
    const head = await ask({ method: 'HEAD' });
    expect([head.statusCode, head.headers['content-length'], await textOf(head)]).toEqual([200, '1234', '']);
    expect((await ask()).statusCode).toBe(304);
    expect((await ask({ method: 'DELETE' })).statusCode).toBe(204);
  });

  it('sends a small answer in one piece with its head', async () => {
    await start((_, res) => res.end('{"title":"Pájaros"}'));
    const socket = dial();
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toMatch(/content-length: 20\r\n[^]*\r\n\r\n\{"title":"Pájaros"\}$/);
    socket.destroy();
  });

  it('passes each event on at once, and stays open however long it is silent', async () => {
    let events: ServerResponse | undefined;
    await start((_, res) => {
      events = res.writeHead(200, { 'content-type': 'text/event-stream' });
      events.flushHeaders();
    });
    config.bodyIdleMs = 60;
    const answer = await ask();
    for (let n = 0; n < 5; n++) {
      const next = once(answer, 'data'); // the next event is sent only when this one has come
      events!.write(`data: ${n}\n\n`);
      expect(String(await next)).toBe(`data: ${n}\n\n`);
    }
    await sleep(120);
    events!.end('data: end\n\n');
    expect(await textOf(answer)).toBe('data: end\n\n');
  });

  it('carries 100 MB down and up, holding little of it at any time', async () => {
    limitBytes = 200 * MB;
    let [taken, mostHeld] = [0, 0];
    const sent = () => Readable.from(megabytes(100, (atBytes) => (mostHeld = Math.max(mostHeld, atBytes - taken))));
    const take = (chunk: Buffer) => void (taken += chunk.length);
    await start((req, res) => {
      if (req.method === 'GET') void pipeline(sent(), res).catch(() => undefined);
      else req.on('data', take).on('end', () => res.end('done'));
    });
    for await (const chunk of await ask()) take(chunk as Buffer);
    expect(taken).toBe(100 * MB);
    taken = 0;
    expect(await textOf(await ask({ method: 'POST', body: sent() }))).toBe('done');
    expect(taken).toBe(100 * MB);
    // Held by us and by the buffers of four sockets.
    expect(mostHeld).toBeLessThan(30 * MB);
  });

  it('takes no more from a service than its reader takes', async () => {
    let sent = 0;
    await start(
      (_, res) => void pipeline(Readable.from(megabytes(100, (atBytes) => (sent = atBytes))), res).catch(() => undefined),
    );
    const answer = await ask();
    answer.pause();
    await sleep(150);
    expect(sent).toBeLessThan(20 * MB); // what the sockets' own buffers hold
    answer.destroy();
  });
});

describe('a body', () => {
  it('beyond the limit is refused: by its announced length unread, else as soon as it is passed', async () => {
    let received = 0;
    await start((req, res) => req.on('data', (chunk: Buffer) => (received += chunk.length)).on('end', () => res.end()));
    limitBytes = MB;
    const announced = await ask({
      method: 'POST',
      headers: { 'content-length': String(50 * MB) },
      body: Readable.from(megabytes(1)),
    });
    expect([announced.statusCode, received]).toEqual([413, 0]);
    const chunked = await ask({ method: 'POST', body: Readable.from(megabytes(50)) });
    expect(chunked.statusCode).toBe(413);
    expect(received).toBeLessThanOrEqual(MB);
    expect(breakers.of('film').counts().errors).toBe(0);
  });

  it('that comes slowly is not cut by the time-out of a try, which runs from its end', async () => {
    let isAnswering = true;
    await start((req, res) => req.resume().on('end', () => void (isAnswering && res.end('done'))));
    breakerConfig.timeoutMs = 60;
    const slowly = async function* () {
      for (let i = 0; i < 5; i++) yield await sleep(30, 'x');
    };
    expect((await ask({ method: 'POST', body: Readable.from(slowly()) })).statusCode).toBe(200);
    isAnswering = false;
    expect((await ask({ method: 'POST', body: Readable.from(slowly()) })).statusCode).toBe(504);
    expect(breakers.of('film').counts().timeout).toBe(1);
  });

  it('of a large request goes to the next instance when the first refuses the connection', async () => {
    await kill(await start(echo));
    await start(echo);
    for (let i = 0; i < 4; i++) expect((await textOf(await ask({ method: 'POST', body: 'z'.repeat(MB) }))).length).toBe(MB);
  });

  it('of a small idempotent request is sent again whole', async () => {
    await start((req) => req.socket.destroy());
    await start(echo);
    for (let i = 0; i < 4; i++) expect(await textOf(await ask({ method: 'PUT', body: 'again' }))).toBe('again');
  });

  it.each([1000, 200_000])('of %i bytes that breaks off is no failure of the service', async (announcedBytes) => {
    let aborted = 0;
    await start((req) => req.on('error', () => aborted++));
    const socket = connect(portOf(front), '127.0.0.1');
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${announcedBytes}\r\n\r\nbegun`);
    await sleep(60);
    socket.destroy();
    for (let i = 0; i < 100 && aborted === 0; i++) await sleep(2);
    expect(aborted).toBe(announcedBytes === 1000 ? 0 : 1);
    expect(breakers.of('film').counts().errors).toBe(0);
  });

  it('need not be read to its end to be answered', async () => {
    await start((_, res) => res.writeHead(401).end('who are you?'));
    const answer = await ask({ method: 'POST', body: Readable.from(megabytes(5)) });
    expect([answer.statusCode, await textOf(answer)]).toEqual([401, 'who are you?']);
  });
});

describe('a break', () => {
  const endless: RequestListener = (_, res) => void res.writeHead(200, { 'content-type': 'text/plain' }).write('begun');

  it('of the reader ends the request at the service, before its answer and within it', async () => {
    for (const handler of [() => undefined, endless] as RequestListener[]) {
      const ended = Promise.withResolvers<boolean>();
      instances = [];
      await start((req, res) => {
        res.once('close', () => ended.resolve(res.writableFinished));
        handler(req, res);
      });
      const socket = dial();
      await sleep(50);
      socket.destroy();
      expect(await ended.promise).toBe(false);
    }
    expect(breakers.of('film').counts().errors).toBe(0);
  });

  it('of the service within its answer is a break for the reader, never an end', async () => {
    const dying = await start(endless);
    const answer = await ask();
    setTimeout(() => void kill(dying), 30);
    await expect(textOf(answer)).rejects.toThrow('aborted');
  });

  it('is made when the body of an answer stands still', async () => {
    await start(endless);
    config.bodyIdleMs = 80;
    await expect(textOf(await ask())).rejects.toThrow('aborted');
  });
});

it('a request that cannot be passed on is refused, and no instance is blamed', async () => {
  await start(echo);
  const answer = await ask({ headers: { 'x-path': '/a b' } });
  expect([answer.statusCode, await textOf(answer)]).toEqual([400, 'bad-request']);
  expect(breakers.of('film').counts()).toMatchObject({ badRequest: 1, errors: 0 });
});
