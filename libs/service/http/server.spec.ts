import { Agent, get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { context } from '#context';
import { HttpServer } from './server.js';

const read = async (answer: IncomingMessage) => {
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return { status: answer.statusCode, headers: answer.headers, text };
};
const ask = (port: number, path = '/', agent?: Agent, headers = {}) =>
  new Promise<IncomingMessage>((resolve, reject) =>
    get({ port, path, agent, headers, host: '127.0.0.1' }, resolve).on('error', reject),
  ).then(read);

describe('the server of a process', () => {
  let http: HttpServer, port: number;
  beforeEach(async () => {
    http = new HttpServer(() => ['the database at db:5432']);
    port = await http.listen(0);
  });
  afterEach(() => http.close(0));

  it('lives at once, and says what it waits for', async () => {
    expect((await ask(port, '/health/live')).status).toBe(200);
    const { status, headers, text } = await ask(port, '/health/ready');
    expect([status, headers['retry-after'], headers['content-type']]).toEqual([503, '1', 'application/problem+json']);
    expect(JSON.parse(text)).toMatchObject({ type: '/problems/not-ready', waitingFor: ['the database at db:5432'] });
    expect((await ask(port, '/movies')).status).toBe(503);
  });

  it('tells the outside no more than that it starts', async () => {
    const door = new HttpServer(() => ['the database at db:5432'], true);
    const outside = await door.listen(0);
    expect((await ask(outside, '/health/live')).status).toBe(503);
    expect((await ask(outside)).text).not.toContain('db:5432');
    await door.close(0);
  });

  it('gives each request the context it came with', async () => {
    http.serve((_req, res) => res.end(context()?.traceId));
    const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
    expect((await ask(port, '/', undefined, { traceparent })).text).toBe('ab'.repeat(16));
  });

  it('lets what stands ahead of Nest take a request, or leave it', async () => {
    http.serve(
      (_req, res) => res.end('nest'),
      (req, res) => req.url === '/mine' && Boolean(res.end('mine')),
    );
    expect([(await ask(port, '/mine')).text, (await ask(port, '/other')).text]).toEqual(['mine', 'nest']);
  });

  it('finishes what is under way, and asks callers on kept connections to go elsewhere', async () => {
    http.serve((_req, res) => void sleep(150).then(() => res.end('done')));
    const agent = new Agent({ keepAlive: true });
    const slow = ask(port, '/', agent);
    await sleep(50);
    http.drain();
    const last = await ask(port, '/', agent);
    expect(last.headers.connection).toBe('close');
    expect((await slow).text).toBe('done');
    const closing = ask(port, '/', agent);
    await sleep(50);
    expect(await http.close(1000)).toBe(0);
    expect((await closing).text).toBe('done');
    await expect(ask(port)).rejects.toThrow(/ECONNREFUSED/);
    agent.destroy();
  });

  it('answers a request that was on its way on a connection that looked idle', async () => {
    http.serve((_req, res) => res.end('done'));
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    await sleep(20);
    const closing = http.close(1000);
    await sleep(20);
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close/i);
    expect(await closing).toBe(0);
  });

  it('cuts what does not finish in time, and counts it', async () => {
    http.serve(() => undefined);
    const hanging = ask(port).catch((error: Error) => error.message);
    await sleep(50);
    expect(await http.close(100)).toBe(1);
    expect(await hanging).toMatch(/hang up|ECONNRESET/);
  });

  it('says that its port is taken', async () => {
    await expect(new HttpServer(() => []).listen(port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
