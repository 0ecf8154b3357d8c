import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Breakers } from '#breaker';
import { context, type Context, contextHeaders, newContext, runWithout } from '#context';
import type { Log } from '#log';
import type { Counter, Metrics } from '#metrics';
import { fromProblemBody, Problem } from '#problem';
import { type Exchange, TryFailure } from './exchange.js';
import { type Granted, Identity } from './identity/identity.js';
import { Fleet, type Registry } from './fleet.js';
import { endToEnd, hasBody, isIdempotent, type Outgoing, readWhole, tooLarge, Upload } from './request.js';
import { passOn } from './response.js';
import { ClientConfig } from './settings.js';
import { Tries } from './tries.js';

export { ClientConfig } from './settings.js';
export type { Registry } from './fleet.js';
export type { BalancerName } from './balance.js';
export { endToEnd, hasBody } from './request.js';

/** A request to another service. */
export interface Call {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Without its query. */
  path: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as a form, in place of a body. */
  form?: Readonly<Record<string, string>>;
  /** Do not say who we are: for what is open to everyone, and for what our identity itself stands on. */
  isAnonymous?: boolean;
  /** To the head of the answer, ms, for each try; the breaker's setting without. */
  timeoutMs?: number;
}

/** An answer below 400. */
export interface Reply<T> {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Parsed when it is JSON, else its text. */
  body: T;
}

/** How a request from outside goes on. */
export interface ForwardOptions {
  /** With its query. */
  path: string;
  /** Names and values in turn, instead of the request's own end-to-end ones. */
  headers?: string[];
  /** Largest body, bytes. */
  limitBytes: number;
  /** For all tries, from the end of the request's body to the head of the answer, ms; the request's own deadline may be sooner. */
  deadlineMs?: number;
  /** To the head of the answer, ms, for each try; the breaker's setting without. */
  timeoutMs?: number;
  /** Called before its body is read, when its sender waits to be asked for it. */
  wanted?: () => void;
}

interface ClientParts {
  discovery: Registry;
  breakers: Breakers;
  log: Log;
  metrics: Metrics;
  config: ClientConfig;
  /** Who this process is to the services it calls, and its secret as it is now; without one it calls as nobody. */
  self?: { id: string; secret: () => string | undefined };
}

/** Where a client gets its token. */
const ISSUER = { service: 'oauth', path: '/oauth/token' } as const;

/** Calls other services by their names: picks an instance, keeps the deadline, retries, goes through the breaker, carries the context. */
export class Client {
  private readonly fleets = new Map<string, Fleet>();
  private readonly streams = new Set<ServerResponse>();
  private readonly stopWatching: () => void;
  private readonly identity?: Identity;
  private readonly retries: Counter<'service' | 'reason'>;
  private readonly ejections: Counter<'service'>;

  constructor(private readonly parts: ClientParts) {
    this.retries = parts.metrics.counter('client_retries_total', 'Tries after the first', ['service', 'reason']);
    this.ejections = parts.metrics.counter('client_ejections_total', 'Instances that got no requests for a while', ['service']);
    if (parts.self) this.identity = new Identity({ ...parts.self, grant: (basic) => this.grant(basic) });
    // Connections to an instance that is gone are let go even when nobody calls.
    this.stopWatching = parts.discovery.onChange((service) => this.fleets.get(service)?.sync());
  }

  /**
   * Call a service and read its answer. Unless told otherwise the call says which process makes it, by an access token of its own.
   *
   * @throws the remote's own Problem when it answers 400 or more
   * @throws Problem `no-instance` (503), `timeout` (504), `upstream-lost` (502), `breaker-open` (503), `bulkhead-full` (503),
   *   `issuer-unavailable` (503) when there is no token to be had
   */
  async call<T = unknown>(service: string, call: Call): Promise<Reply<T>> {
    const isOurs = !call.isAnonymous && call.headers?.authorization === undefined;
    const token = isOurs ? await runWithout(() => this.identity?.bearer()) : undefined;
    try {
      return await this.exchange(service, call, token);
    } catch (error) {
      // Refused before anything was done: the issuer may have other keys by now.
      if (token === undefined || !(error instanceof Problem) || error.status !== 401) throw error;
      this.identity!.forget(token);
      return this.exchange(service, call, await runWithout(() => this.identity!.bearer()));
    }
  }

  private async exchange<T>(service: string, call: Call, token?: string): Promise<Reply<T>> {
    const { config } = this.parts;
    const now = context() ?? newContext();
    const deadlineAt = now.deadlineAt ?? Date.now() + Math.max(config.deadlineMs, call.timeoutMs ?? 0);
    const { body, type } = bodyOf(call);
    const own = { accept: 'application/json', ...type, ...(token ? { authorization: `Bearer ${token}` } : {}), ...call.headers };
    const outgoing: Outgoing = {
      method: call.method,
      path: call.path + queryOf(call.query),
      headers: headersOf({ ...now, deadlineAt }, own),
      body,
      timeoutMs: call.timeoutMs,
      deadlineAt,
      isIdempotent: isIdempotent(call.method),
    };
    const { status, headers, text } = await this.tries(service, outgoing).run(async (exchange) => {
      const whole = await wholeOf(exchange, deadlineAt, config.bodyBytes);
      return { status: exchange.status, headers: exchange.headers, text: whole.toString() };
    });
    if (status >= 400) throw remoteProblem(status, headers, text);
    return { status, headers, body: parsed(headers, text) as T };
  }

  private async grant(authorization: string): Promise<Granted> {
    const form = { grant_type: 'client_credentials' };
    const call = { method: 'POST', path: ISSUER.path, form, headers: { authorization }, isAnonymous: true } as const;
    return (await this.call<Granted>(ISSUER.service, call)).body;
  }

  /**
   * Pass a request on to a service and its answer back, neither held longer than it must be. Bodies beyond `wholeBodyBytes`, and those
   * of unknown length, go through as they come, and so cannot be sent again.
   *
   * @returns when the answer is passed on or broke off
   * @throws Problem as `call`, or `body-too-large` (413), while nothing is answered yet
   */
  async forward(service: string, req: IncomingMessage, res: ServerResponse, options: ForwardOptions): Promise<void> {
    try {
      const exchange = await this.answerTo(service, req, res, options);
      await passOn(exchange, res, this.parts.config.bodyIdleMs, this.streams);
    } catch (error) {
      // Who asked is gone, and what failed because of it is nobody's concern.
      if (!res.destroyed) throw error;
    }
  }

  /** End the event streams that are passed on: they would go on for ever, and their readers come back by themselves. */
  endStreams(): void {
    for (const res of this.streams) res.end();
  }

  /** Close all connections. Calls under way fail. */
  async close(): Promise<void> {
    this.stopWatching();
    await Promise.all([...this.fleets.values()].map((fleet) => fleet.close()));
    this.fleets.clear();
  }

  private async answerTo(service: string, req: IncomingMessage, res: ServerResponse, options: ForwardOptions): Promise<Exchange> {
    const { config } = this.parts;
    const body = await this.bodyOf(req, options);
    const now = context() ?? newContext();
    const deadlineAt = Math.min(now.deadlineAt ?? Infinity, Date.now() + (options.deadlineMs ?? config.deadlineMs));
    // Of a body that comes as it comes, nobody can say how long it takes.
    const isStreamed = typeof body === 'function';
    const headers = options.headers ?? endToEnd(req);
    const own = contextHeaders(isStreamed ? { ...now, deadlineAt: undefined } : { ...now, deadlineAt });
    for (const name in own) headers.push(name, own[name]!);
    const tries = this.tries(service, {
      method: req.method ?? 'GET',
      path: options.path,
      headers,
      body,
      timeoutMs: options.timeoutMs,
      deadlineAt: isStreamed ? Date.now() + config.uploadMs : deadlineAt,
      isIdempotent: isIdempotent(req.method ?? 'GET'),
    });
    const leave = () => tries.cancel();
    res.once('close', leave);
    if (res.destroyed) tries.cancel();
    try {
      return await tries.run((exchange) => exchange);
    } finally {
      res.off('close', leave);
    }
  }

  private async bodyOf(req: IncomingMessage, { limitBytes, wanted }: ForwardOptions): Promise<Outgoing['body']> {
    if (!hasBody(req)) return null;
    const announced = req.headers['content-length'];
    if (Number(announced ?? 0) > limitBytes) throw tooLarge(limitBytes);
    wanted?.();
    if (announced !== undefined && Number(announced) <= this.parts.config.wholeBodyBytes) return readWhole(req);
    return () => new Upload(req, limitBytes);
  }

  private tries(service: string, outgoing: Outgoing): Tries {
    const { breakers, config } = this.parts;
    const breaker = breakers.of(service);
    const retried = (reason: string) => this.retries.inc({ service, reason });
    return new Tries(outgoing, { fleet: this.fleet(service), breaker, config, retried });
  }

  private fleet(service: string): Fleet {
    const known = this.fleets.get(service);
    if (known) return known;
    const { discovery: registry, breakers, config, log } = this.parts;
    const ejected = (name: string) => this.ejections.inc({ service: name });
    const made = new Fleet(service, { registry, config, log, breaker: breakers.of(service), ejected });
    this.fleets.set(service, made);
    return made;
  }
}

/** Read a body to its end. @throws TryFailure when it breaks off, Problem when it is late or too large */
async function wholeOf(exchange: Exchange, deadlineAt: number, limitBytes: number): Promise<Buffer> {
  if (exchange.isComplete) return exchange.takeEarly();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const stop = (problem: Problem) => {
    reject(problem);
    exchange.giveUp(problem.detail);
  };
  const late = () => stop(new Problem('timeout', 504, 'the answer did not come to its end in time'));
  const timer = setTimeout(late, Math.max(0, deadlineAt - Date.now()));
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  exchange.pipe({
    data: (chunk) => {
      sizeBytes += chunk.length;
      if (sizeBytes > limitBytes)
        stop(new Problem('upstream-lost', 502, `an answer of more than ${limitBytes} bytes is not read`));
      else chunks.push(chunk);
      return true;
    },
    end: () => resolve(Buffer.concat(chunks)),
    lost: reject,
  });
  return promise.finally(() => clearTimeout(timer));
}

function queryOf(query: Call['query']): string {
  if (!query) return '';
  const pairs = Object.entries(query).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, String(value)] satisfies [string, string]],
  );
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
}

function bodyOf({ body, form }: Call): { body: string | null; type: Record<string, string> } {
  if (form) return { body: new URLSearchParams(form).toString(), type: { 'content-type': 'application/x-www-form-urlencoded' } };
  if (body === undefined) return { body: null, type: {} };
  return { body: JSON.stringify(body), type: { 'content-type': 'application/json' } };
}

const headersOf = (now: Context, own: Readonly<Record<string, string>> = {}): string[] =>
  Object.entries({ ...own, ...contextHeaders(now) }).flat();

const isJson = (headers: Reply<unknown>['headers']) => /[/+]json\b/.test(String(headers['content-type'] ?? ''));

function parsed(headers: Reply<unknown>['headers'], text: string): unknown {
  if (!isJson(headers) || text === '') return text;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new TryFailure('lost', error);
  }
}

/** The remote's own problem, with what its headers add to it. */
function remoteProblem(status: number, headers: Reply<unknown>['headers'], text: string): Problem {
  const { type, detail, extra } = fromProblemBody(status, isJson(headers) ? parsed(headers, text) : undefined);
  const wait = headers['retry-after'];
  return new Problem(type, status, detail, extra, typeof wait === 'string' ? { 'Retry-After': wait } : {});
}
