import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Client, endToEnd } from '#client';
import { context, contextFromHeaders, runWith } from '#context';
import type { Discovery } from '#discovery';
import type { Log } from '#log';
import type { Histogram, Metrics } from '#metrics';
import { Problem, toProblem } from '#problem';
import type { AccessControl } from './access.js';
import { refuse } from './answer.js';
import { guard, isHonest, refuseBody, type Target } from './guard.js';
import { type Pages } from './docs/pages.js';
import { type Route, Routes } from './routes.js';
import type { GatewayConfig } from './settings.js';

interface FrontParts {
  client: Pick<Client, 'forward'>;
  discovery: Pick<Discovery, 'catalog' | 'instances'>;
  pages: Pages;
  access: Pick<AccessControl, 'check'>;
  log: Log;
  metrics: Metrics;
  config: GatewayConfig;
  /** What the outside calls this door, `https://example.org`. */
  publicUrl: string;
}

/** Methods that no service is ever asked for: TRACE would give back what it is sent, keys and all. */
const UNHEARD: ReadonlySet<string> = new Set(['TRACE', 'QUERY']);

type Labels = 'http_request_method' | 'http_route' | 'http_response_status_code';

/** The public door: looks a request over, finds who answers it, and passes it on. It answers ahead of any framework. */
export class Front {
  private readonly routes: Routes;
  private readonly duration: Histogram<Labels>;
  private readonly scheme: string;

  constructor(private readonly parts: FrontParts) {
    this.routes = new Routes(parts.discovery, () => parts.config.keepRouteMs);
    this.scheme = new URL(parts.publicUrl).protocol.slice(0, -1);
    this.duration = parts.metrics.histogram(
      'http_server_request_duration_seconds',
      'Time from the head of a request to the end of its answer.',
      ['http_request_method', 'http_route', 'http_response_status_code'],
    );
  }

  /** Answer a request; every one is. */
  readonly listener = (req: IncomingMessage, res: ServerResponse): boolean => {
    const now = context();
    if (!now) return runWith(contextFromHeaders(req.headers), () => this.listener(req, res));
    // The outside has no say in these.
    now.priority = 'normal';
    now.deadlineAt = undefined;
    const startedMs = performance.now();
    let route = 'none';
    res.once('close', () => this.measure(req, res, route, startedMs));
    let target: Target;
    try {
      target = guard(req, this.parts.config);
    } catch (error) {
      this.refuse(req, res, error, false);
      return true;
    }
    const found = this.routes.find(req.method!, target.path);
    route = found?.prefix ?? 'none';
    const answered = found ? this.admit(req, res, found, target) : this.answer(req, res, target);
    answered.catch((error: unknown) => this.refuse(req, res, error, true));
    return true;
  };

  private async admit(req: IncomingMessage, res: ServerResponse, route: Route, target: Target): Promise<void> {
    const timeoutMs = await this.parts.access.check(route, req, target.path);
    refuseBody(req);
    if (UNHEARD.has(req.method!)) throw new Problem('not-implemented', 501, `the method ${req.method} is not offered`);
    await this.forward(req, res, route, target, timeoutMs);
  }

  private forward(
    req: IncomingMessage,
    res: ServerResponse,
    { service }: Route,
    { url }: Target,
    timeoutMs?: number,
  ): Promise<void> {
    const { client, config } = this.parts;
    const headers = endToEnd(req, isHonest);
    headers.push('x-forwarded-for', req.socket.remoteAddress ?? 'unknown', 'x-forwarded-proto', this.scheme);
    if (req.headers.host !== undefined) headers.push('x-forwarded-host', req.headers.host);
    const wanted = req.headers.expect?.toLowerCase() === '100-continue' ? () => res.writeContinue() : undefined;
    return client.forward(service, req, res, {
      path: url,
      headers,
      limitBytes: config.bodyBytes,
      deadlineMs: config.routeMs,
      timeoutMs,
      wanted,
    });
  }

  private async answer(req: IncomingMessage, res: ServerResponse, { path }: Target): Promise<void> {
    refuseBody(req);
    if (await this.parts.pages.answer(req, res, path)) return;
    if (this.routes.isEmpty) {
      const detail = 'the gateway has not heard of any service yet';
      throw new Problem('no-instance', 503, detail, {}, { 'Retry-After': '1' });
    }
    throw new Problem('not-found', 404, 'there is nothing at this address');
  }

  private refuse(req: IncomingMessage, res: ServerResponse, error: unknown, isTrusted: boolean) {
    const problem = toProblem(error);
    if (problem.status === 500) this.parts.log.error('request failed by a bug', { error });
    refuse(req, res, problem, this.parts.config.lingerMs, isTrusted);
  }

  private measure(req: IncomingMessage, res: ServerResponse, route: string, startedMs: number) {
    // A reader that left before its answer has none; nginx has a number for it.
    const status = res.headersSent ? res.statusCode : 499;
    const labels = { http_request_method: req.method ?? '', http_route: route, http_response_status_code: String(status) };
    this.duration.observe(labels, (performance.now() - startedMs) / 1000);
  }
}
