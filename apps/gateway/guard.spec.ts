import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Door, kill, listen, openDoor, portOf } from './contract.js';

let upstream: Server, door: Door, asked: string[], bodyBytes: number;

beforeEach(async () => {
  [asked, bodyBytes] = [[], 0];
  upstream = await listen(
    createServer((req: IncomingMessage, res) => {
      asked.push(`${req.method} ${req.url}`);
      req.on('data', (chunk: Buffer) => (bodyBytes += chunk.length)).on('end', () => res.end('answered'));
    }),
  );
  const instance = { id: 'one', address: '127.0.0.1', port: portOf(upstream), tags: [], meta: {}, passing: true };
  const instances = ['movie-query', 'movie-command'].map((service) => ({ ...instance, service }));
  const catalog = new Map(instances.map(({ service }) => [service, ['mesh-route=/api/movies']]));
  const discovery = {
    catalog: () => catalog,
    instances: () => instances.slice(0, 1),
    ready: () => Promise.resolve(),
    onChange: () => () => undefined,
  };
  door = await openDoor(discovery, 'http://localhost', { connectionsCheckingInterval: 50 });
});
afterEach(async () => {
  await door.close();
  await kill(upstream);
});

/** Everything the door says on a connection until it closes it, or has said `end`. */
async function say(text: string, end = /$^/): Promise<string> {
  const socket = connect(door.port, '127.0.0.1');
  const said = hear(socket);
  const ended = new Promise((done) => socket.on('data', () => end.test(said()) && done(undefined)));
  socket.on('error', () => undefined).write(text, 'latin1');
  await Promise.race([new Promise((done) => socket.once('close', done)), ended, sleep(2000)]);
  socket.destroy();
  return said();
}
const hear = (socket: Socket) => {
  let all = '';
  socket.on('data', (chunk: Buffer) => (all += chunk.toString('latin1')));
  return () => all;
};
const lines = (...parts: string[]) => `${parts.join('\r\n')}\r\n\r\n`;
const get = (target: string, ...headers: string[]) => lines(`GET ${target} HTTP/1.1`, 'Host: x', ...headers);
const post = (...headers: string[]) => lines('POST /api/movies HTTP/1.1', 'Host: x', ...headers);
const statusOf = (said: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(said)?.[1]);
const answersIn = (said: string) => said.match(/HTTP\/1\.1 \d{3} /g)?.length ?? 0;

const AMBIGUOUS: [string, string][] = [
  ['two Host headers', lines('GET /api/movies HTTP/1.1', 'Host: a', 'Host: b')],
  ['two Host headers in other letters', lines('GET /api/movies HTTP/1.1', 'host: a', 'HOST: a')],
  ['two Authorization headers', get('/api/movies', 'Authorization: Bearer a', 'authorization: Bearer b')],
  ['no Host header', lines('GET /api/movies HTTP/1.1')],
  ['a Host header that is none', lines('GET /api/movies HTTP/1.1', 'Host: a/b@c')],
  ['a target in absolute form', get('http://evil/api/movies')],
  ['a target without a slash', get('api/movies')],
  ['a target that is an authority', get('//evil/api/movies')],
  ['an asterisk', lines('OPTIONS * HTTP/1.1', 'Host: x')],
  ['a fragment', get('/api/movies#x')],
  ['letters that must be escaped', get('/api/mo\u00e9vies')],
  ['..', get('/api/movies/../metrics')],
  ['an escaped ..', get('/api/movies/%2e%2E/metrics')],
  ['an escaped slash after ..', get('/api/movies/..%2fmetrics')],
  ['an escaped slash', get('/api%2Fmovies')],
  ['a backslash', get('/api/movies/..\\metrics')],
  ['an escaped backslash', get('/api/movies/..%5cmetrics')],
  ['two slashes', get('/api//movies')],
  ['a dot as a segment', get('/api/./movies')],
  ['an escaped zero', get('/api/movies/%00')],
  ['an escaped line end', get('/api/movies/%0d%0aSet-Cookie:x')],
  ['a broken escape', get('/api/movies/%zz')],
  ['broken UTF-8', get('/api/movies/%c0%ae')],
  ['a GET with a body', `${get('/api/movies', 'Content-Length: 5')}hello`],
  ['a GET with a chunked body', `${get('/api/movies', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
  ['two lengths', `${post('Content-Length: 5', 'Content-Length: 6')}hello`],
  ['a length and chunks', `${post('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
  ['chunks and a length', `${post('Transfer-Encoding: chunked', 'Content-Length: 5')}0\r\n\r\n`],
  ['a negative length', post('Content-Length: -1')],
  ['a length with a sign', `${post('Content-Length: +5')}hello`],
  ['a length in hexadecimal', `${post('Content-Length: 0x5')}hello`],
  ['a coding that is not chunked', `${post('Transfer-Encoding: gzip')}hello`],
  ['codings before chunked', `${post('Transfer-Encoding: gzip, chunked')}0\r\n\r\n`],
  ['codings after chunked', `${post('Transfer-Encoding: chunked, identity')}0\r\n\r\n`],
  ['chunked twice', `${post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
  ['a coding behind a tab', `${post('Transfer-Encoding: \u000bchunked')}0\r\n\r\n`],
  ['a space before the colon', `${post('Transfer-Encoding : chunked')}0\r\n\r\n`],
  ['a folded header', post('X-A: b', ' Transfer-Encoding: chunked')],
  ['a lone line feed', 'GET /api/movies HTTP/1.1\nHost: x\n\n'],
  ['a chunk of a broken size', `${post('Transfer-Encoding: chunked')}xyz\r\nhello\r\n0\r\n\r\n`],
  ['no HTTP at all', '\u0016\u0003\u0001\u0002'],
];

describe('what two servers could understand differently', () => {
  it.each(AMBIGUOUS)('is refused: %s', async (_, text) => {
    const said = await say(`${text}${get('/api/movies/smuggled')}`);
    expect(statusOf(said)).toBe(400);
    expect(said).toMatch(/content-type: application\/problem\+json/i);
    expect(said).toMatch(/connection: close/i);
    expect(answersIn(said)).toBe(1);
    expect(asked.filter((one) => one.includes('smuggled') || one.startsWith('GET'))).toEqual([]);
  });

  it.each([
    ['spaces and accents that are escaped', get('/api/movies/a%20b%C3%A9')],
    ['dots within a segment', get('/api/movies/a..b/.c')],
    ['anything in the query', get('/api/movies?path=..%2f..%2f&url=http://x//y')],
    ['an offer of HTTP/2', get('/api/movies', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAA')],
    ['a body with DELETE', `${lines('DELETE /api/movies HTTP/1.1', 'Host: x:8080', 'Content-Length: 2')}{}`],
  ])('but not %s', async (_, text) => {
    expect(await say(text, /answered$/)).toMatch(/^HTTP\/1\.1 200 [^]*answered$/);
  });
});

describe('limits', () => {
  it('refuse a body of 50 MB by its announced length, unread, and so that a sender still busy sending can read why', async () => {
    door.config.lingerMs = 150;
    const socket = connect(door.port, '127.0.0.1');
    const said = hear(socket.on('error', () => undefined));
    socket.pause().write(post(`Content-Length: ${50 * 2 ** 20}`));
    const filler = setInterval(() => socket.writableNeedDrain || socket.write(Buffer.alloc(65_536)), 1);
    const closed = new Promise((done) => socket.once('close', done)).finally(() => clearInterval(filler));
    await sleep(60);
    socket.resume();
    await Promise.race([closed, sleep(1500)]);
    socket.destroy();
    expect(statusOf(said())).toBe(413);
    expect(said()).toContain('"limitBytes":10485760');
    expect([asked, bodyBytes]).toEqual([[], 0]);
    expect(socket.bytesWritten).toBeLessThan(20 * 2 ** 20);
  });

  it('refuse a chunked body once it is too large', async () => {
    Object.assign(door.config, { bodyBytes: 1024, lingerMs: 20 });
    const chunk = `400\r\n${'x'.repeat(0x400)}\r\n`;
    expect(statusOf(await say(`${post('Transfer-Encoding: chunked')}${chunk.repeat(3)}`))).toBe(413);
  });

  it('do not ask for a body that is refused, and ask for one that is not, once', async () => {
    Object.assign(door.config, { bodyBytes: 1024, lingerMs: 20 });
    const refused = await say(post('Content-Length: 2000', 'Expect: 100-continue'));
    expect([statusOf(refused), answersIn(refused)]).toEqual([413, 1]);
    const socket = connect(door.port, '127.0.0.1');
    const said = hear(socket);
    socket.write(post('Content-Length: 5', 'Expect: 100-continue'));
    await once(socket, 'data');
    expect(said()).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    socket.write('hello');
    await once(socket, 'data');
    expect(said()).toMatch(/HTTP\/1\.1 200 [^]*answered$/);
    expect(answersIn(said())).toBe(2);
    socket.destroy();
  });

  it('hold for header fields, their size, the address, and the time they take', async () => {
    const many = Array.from({ length: 150 }, (_, i) => `X-${i}: 1`);
    expect(statusOf(await say(get('/api/movies', ...many)))).toBe(431);
    expect(statusOf(await say(get('/api/movies', `X-Large: ${'x'.repeat(20_000)}`)))).toBe(431);
    expect(statusOf(await say(get(`/api/movies?${'x'.repeat(9000)}`)))).toBe(414);
    door.door.headersTimeout = 100;
    expect(statusOf(await say('GET /api/movies HTTP/1.1\r\nHost: x\r\nX-Slow'))).toBe(408);
    expect(asked).toEqual([]);
  });
});

describe('what is not offered', () => {
  it('is 501: WebSockets, CONNECT, other methods', async () => {
    const upgrade = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    expect(statusOf(await say(get('/api/movies', ...upgrade)))).toBe(501);
    expect(statusOf(await say(lines('CONNECT evil:443 HTTP/1.1', 'Host: evil')))).toBe(501);
    for (const method of ['TRACE', 'PROPFIND'])
      expect(statusOf(await say(lines(`${method} /api/movies HTTP/1.1`, 'Host: x')))).toBe(501);
    expect(asked).toEqual([]);
  });

  it('leaves the connection to the next request when only the thing asked for is not there', async () => {
    const said = await say(`${get('/nothing')}${get('/api/movies')}`, /answered$/);
    expect(said).toMatch(/^HTTP\/1\.1 404 [^]*HTTP\/1\.1 200 /);
  });
});
