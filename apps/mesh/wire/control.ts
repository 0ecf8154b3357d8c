import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Standing } from '../supervise/group.js';
import { askJson } from './http.js';

/** What the launcher does for the command line. */
export interface Controlled {
  standings(): Standing[];
  scale(name: string, count: number): Promise<void>;
  /** Stops a process here, since it runs elsewhere until `takeBack`. */
  give(name: string): Promise<void>;
  takeBack(name: string): void;
  /** Runs the processes that nest-cli.json lists by now and did not when the mesh was started. @returns their names */
  adopt(): Promise<string[]>;
}

/** Where the launcher listens for the command line, and the secret that proves it may. */
export interface ControlAddress {
  url: string;
  token: string;
}

/** What the launcher knows of its processes. */
export interface Known {
  pid: number;
  processes: Standing[];
}

/** A body larger than this is not one of ours, bytes. */
const BODY_BYTES = 4096;

/** The launcher's own door, on loopback, for whoever can read the runtime file. */
export class ControlServer {
  private constructor(
    private readonly server: Server,
    readonly address: ControlAddress,
  ) {}

  static async open(controlled: Controlled): Promise<ControlServer> {
    const token = randomBytes(24).toString('base64url');
    const server = createServer((req, res) => {
      answer(controlled, token, req, res).catch((error: unknown) => {
        if (res.headersSent) res.end();
        else reply(res, 409, { detail: error instanceof Error ? error.message : String(error) });
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ControlServer(server, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token });
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

async function answer(controlled: Controlled, token: string, req: IncomingMessage, res: ServerResponse) {
  if (!isHolder(req, token))
    return reply(res, 401, { detail: 'this is the launcher of a mesh; its runtime file holds the token' });
  const body = (await read(req)) as { name?: string; count?: number };
  const name = String(body.name ?? '');
  switch (`${req.method} ${req.url}`) {
    case 'GET /processes':
      return reply(res, 200, { pid: process.pid, processes: controlled.standings() } satisfies Known);
    case 'POST /scale':
      await controlled.scale(name, Number(body.count));
      return reply(res, 200, {});
    case 'POST /adopt':
      return reply(res, 200, { processes: await controlled.adopt() });
    case 'POST /take':
      return take(controlled, name, res);
    default:
      return reply(res, 404, { detail: `${req.method} ${req.url} is nothing here` });
  }
}

/** The one who takes a process over holds this answer open; however it ends, the process comes back. */
async function take(controlled: Controlled, name: string, res: ServerResponse) {
  await controlled.give(name);
  res.once('close', () => controlled.takeBack(name));
  if (res.destroyed) return controlled.takeBack(name);
  res.writeHead(200, { 'content-type': 'application/x-ndjson' });
  res.write('{"taken":true}\n');
}

/**
 * Takes a process over from the running mesh.
 *
 * @returns `end` hands it back; `lost` resolves when the mesh has gone meanwhile
 * @throws Error when there is no such process, or somebody has it
 */
export async function takeOver({ url, token }: ControlAddress, name: string): Promise<{ end: () => void; lost: Promise<void> }> {
  const sent = request(`${url}/take`, { method: 'POST', agent: false, headers: { authorization: `Bearer ${token}` } });
  sent.end(JSON.stringify({ name }));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  if (response.statusCode !== 200) {
    const { detail } = (await read(response)) as { detail?: string };
    throw new Error(detail ?? `the launcher answered ${response.statusCode}`);
  }
  const lost = new Promise<void>((done) => {
    response.once('close', done);
    response.on('error', () => undefined);
    response.resume();
  });
  return { end: () => sent.destroy(), lost };
}

/** What the running launcher knows. */
export const askLauncher = ({ url, token }: ControlAddress): Promise<Known> => askJson<Known>(`${url}/processes`, { token });

function isHolder(req: IncomingMessage, token: string): boolean {
  const given = Buffer.from(req.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function read(req: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of req) {
    text += String(chunk);
    if (text.length > BODY_BYTES) throw new Error('the request is too large');
  }
  return text ? JSON.parse(text) : {};
}

function reply(res: ServerResponse, status: number, body: object): void {
  const type = status >= 400 ? 'application/problem+json' : 'application/json';
  res.writeHead(status, { 'content-type': type, connection: 'close' }).end(JSON.stringify(body));
}
