import type { IncomingMessage, ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { IsInt, Matches, Max, Min } from 'class-validator';
import { Section } from '#config';
import type { Log } from '#log';
import { Catalog } from './catalog.js';
import { type CheckLimits, Checks } from './checks.js';
import { type Answer, Ask, type Reading, Refusal, type Route } from './input.js';
import { Kv, type KvLimits } from './kv.js';
import { routes } from './routes.js';
import { Store } from './store.js';

/** How the development agent behaves. */
@Section('agent')
export class AgentConfig implements CheckLimits, KvLimits {
  /** Name of the only datacenter. */
  @Matches(/^[a-z0-9-]+$/) datacenter: string;
  @IsInt() @Min(100) checkTimeoutMs: number;
  @IsInt() @Min(64) @Max(1_048_576) outputBytes: number;
  @IsInt() @Min(0) outputMs: number;
  @IsInt() @Min(10) reapMs: number;
  @IsInt() @Min(0) deregisterMinMs: number;
  @IsInt() @Min(1) graveKeys: number;
  @IsInt() @Min(10) sessionMinMs: number;
  @IsInt() @Min(10) sessionMaxMs: number;
  @IsInt() @Min(0) lockDelayMs: number;
  /** A blocking read that names no time waits this long, ms. */
  @IsInt() @Min(10) waitMs: number;
  /** And none waits longer than this, ms. */
  @IsInt() @Min(10) waitMaxMs: number;
  /** A registration's size at most, bytes. */
  @IsInt() @Min(1024) bodyBytes: number;
  /** A value's size at most, bytes. */
  @IsInt() @Min(1024) kvBytes: number;
}

export interface AgentOptions {
  config: AgentConfig;
  log: Log;
  /** Where its state is kept over restarts; none: nowhere. */
  file?: string;
  /** Default: this machine's name. */
  node?: string;
  /** Where it is reached by others. */
  address?: string;
}

/** The Consul whose API this is: clients look at it to know what they may ask. */
const API_VERSION = '1.8.7';
const LOOPBACK = '127.0.0.1';

/**
 * A registry with Consul's HTTP API in one process, for development and tests: what a stock client does with one Consul server it
 * does with this. It has no cluster, no access control, no gossip; for these CONSUL_HTTP_ADDR names a real one.
 *
 * @source Consul 1.8, HTTP API
 */
export class Agent {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly checks: Checks;
  readonly kv: Kv;
  private readonly config: AgentConfig;
  private readonly log: Log;
  private readonly exact = new Map<string, Route>();
  private readonly prefixes: Route[];
  private port?: number;
  private stopping = false;

  constructor({ config, log, file, node = hostname(), address = LOOPBACK }: AgentOptions) {
    this.config = config;
    this.log = log;
    this.store = new Store(file, log);
    this.catalog = new Catalog(this.store, { node, address, datacenter: config.datacenter, version: API_VERSION });
    this.checks = new Checks(this.catalog, config, log);
    this.kv = new Kv(this.catalog, config);
    const { catalog, checks, kv } = this;
    const table = routes({ catalog, checks, kv, outputBytes: config.outputBytes });
    for (const route of table) if (!route.path.endsWith('/')) this.exact.set(route.path, route);
    this.prefixes = table.filter(({ path }) => path.endsWith('/')).sort((a, b) => b.path.length - a.path.length);
  }

  /** Answer a request for the API. @returns false when it is none: the request is untouched */
  handle(req: IncomingMessage, res: ServerResponse): boolean {
    if (!req.url?.startsWith('/v1/')) return false;
    this.learnPort(req);
    const gone = new AbortController();
    res.once('close', () => gone.abort());
    this.answer(req, gone.signal)
      .catch((error: unknown) => this.refusal(error))
      .then((answer) => send(req, res, answer))
      .catch((error: unknown) => this.log.warn('answer not sent', { path: req.url, error }));
    return true;
  }

  /** Send those who wait for news away, since none will come: they ask again later, or elsewhere. All else is still answered. */
  stop(): void {
    this.stopping = true;
    this.store.release();
  }

  /** End all checks and timers, and keep the state. */
  async close(): Promise<void> {
    this.stop();
    this.checks.close();
    this.kv.close();
    await this.store.saved();
  }

  /** Nest's word for the end of the process. */
  onModuleDestroy(): Promise<void> {
    return this.close();
  }

  // Only the listening socket knows the port when the system picked it.
  private learnPort({ socket }: IncomingMessage) {
    if (this.port !== undefined || socket.localPort === undefined) return;
    this.port = socket.localPort;
    this.catalog.serveAt(this.port);
  }

  private async answer(req: IncomingMessage, gone: AbortSignal): Promise<Answer> {
    const { path, query } = target(req.url!);
    const found = this.routeOf(path);
    if (!found) return { status: 404 };
    const { route, rest } = found;
    const allow = ['OPTIONS', ...Object.keys(route.on)].join(',');
    if (req.method === 'OPTIONS') return { headers: { Allow: allow } };
    const act = route.on[req.method as keyof Route['on']];
    if (!act) throw new Refusal(405, `method ${req.method} not allowed`, { Allow: allow });
    this.checkDatacenter(path, query);
    const limit = route.path === '/v1/kv/' ? this.config.kvBytes : this.config.bodyBytes;
    const ask = new Ask(req.method!, rest, query, req.method === 'PUT' ? await bodyOf(req, limit) : Buffer.alloc(0));
    const said = act(ask);
    if (said && 'own' in said) return this.read(ask, said, gone);
    // What was said to be done is still done after a kill -9.
    if (req.method !== 'GET') await this.store.saved();
    return said ?? {};
  }

  private routeOf(path: string): { route: Route; rest: string } | undefined {
    const exact = this.exact.get(path);
    if (exact) return { route: exact, rest: '' };
    const route = this.prefixes.find((one) => path.startsWith(one.path));
    return route && { route, rest: path.slice(route.path.length) };
  }

  private checkDatacenter(path: string, query: URLSearchParams) {
    const wanted = query.get('dc');
    if (wanted && wanted !== this.config.datacenter && !path.startsWith('/v1/agent/'))
      throw new Refusal(500, 'No path to datacenter');
    if (query.has('stale') && query.has('consistent')) {
      throw new Refusal(400, 'Cannot specify ?stale with ?consistent, conflicting semantics.');
    }
  }

  /** Answer a read, at once or when what it reads has changed since the client's index. */
  private async read(ask: Ask, { own, beside = () => 0, show }: Reading, gone: AbortSignal): Promise<Answer> {
    const waiting = ask.waiting(this.config);
    // An index from the future is of a state that was lost: the client must hear so now, not when its wait is over.
    if (waiting && waiting.index <= this.store.index) {
      await this.store.until(() => own() > waiting.index, waiting.waitMs, gone);
    }
    if (waiting && this.stopping) throw new Refusal(500, 'agent is stopping', { Connection: 'close' });
    const answer = show();
    // Never less than what wakes the client, or it would be woken at once for ever.
    const index = Math.max(1, own(), beside());
    const consistency = ask.query.has('stale') ? 'stale' : ask.query.has('consistent') ? 'consistent' : 'leader';
    const effective = { 'X-Consul-Effective-Consistency': consistency, 'X-Consul-Index': String(index) };
    return {
      ...answer,
      headers: { ...effective, 'X-Consul-KnownLeader': 'true', 'X-Consul-LastContact': '0', ...answer.headers },
    };
  }

  private refusal(error: unknown): Answer {
    if (error instanceof Refusal) return { status: error.status, text: error.message, headers: error.headers };
    this.log.error('request failed', { error });
    return { status: 500, text: 'internal error' };
  }
}

function target(url: string): { path: string; query: URLSearchParams } {
  const [path = '', query = ''] = url.split(/\?(.*)/s);
  try {
    return { path: decodeURIComponent(path), query: new URLSearchParams(query) };
  } catch {
    throw new Refusal(400, '400 Bad Request');
  }
}

/** How far past its limit a body is still read, so that the sender is there to hear the refusal. */
const PATIENCE = 16;

async function bodyOf(req: IncomingMessage, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += part.length;
    if (size <= limit) parts.push(part);
    if (size > limit * PATIENCE) break;
  }
  if (size <= limit) return Buffer.concat(parts);
  const said = req.headers['content-length'] ?? size;
  throw new Refusal(413, `Request body(${said} bytes) too large, max size: ${limit} bytes.`, { Connection: 'close' });
}

function send(req: IncomingMessage, res: ServerResponse, { status = 200, json, text, raw, headers }: Answer) {
  if (res.destroyed) return;
  res.setHeader('Vary', 'Accept-Encoding');
  for (const [name, value] of Object.entries(headers ?? {})) res.setHeader(name, value);
  if (text !== undefined) res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  if (json !== undefined) res.setHeader('Content-Type', 'application/json');
  const pretty = /[?&]pretty(&|=|$)/.test(req.url ?? '');
  const body = json === undefined ? (raw ?? text ?? '') : JSON.stringify(json, null, pretty ? 4 : undefined);
  res.writeHead(status).end(body);
}
