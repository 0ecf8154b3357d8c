import type { RequestListener } from 'node:http';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { context, remainingMs } from '#context';
import type { Log } from '#log';
import type { Metrics } from '#metrics';
import { Problem } from '#problem';
import type { HttpServer } from './server.js';
import { parseJson } from './json.js';
import type { ServiceConfig } from '../sections.js';

/** Media types whose bodies are JSON. */
const JSON_TYPES = ['application/json', 'application/merge-patch+json'];

/** A request whose route says `@RouteConfig({ rawBody: true })`: it has its body also as it came, to check a signature over it. */
export interface RawRequest extends FastifyRequest {
  rawBody?: Buffer;
}

function keepBytes(request: RawRequest, bytes: Buffer): void {
  const { rawBody: isWanted } = request.routeOptions.config as { rawBody?: boolean };
  if (isWanted) request.rawBody = bytes;
}

/** Nest's HTTP adapter over a server that is listening already; `onReady` gets what answers requests from then on. */
export function fastifyOver(http: HttpServer, config: ServiceConfig, onReady: (rest: RequestListener) => void): FastifyAdapter {
  const adapter = new FastifyAdapter({
    serverFactory: (handler: RequestListener) => {
      onReady(handler);
      return http.server;
    },
    bodyLimit: config.bodyBytes,
    requestIdHeader: false,
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: false },
  });
  const fastify = adapter.getInstance<FastifyInstance>();
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser(JSON_TYPES, { parseAs: 'buffer' }, (request, body, done) => {
    try {
      const bytes = body as Buffer;
      keepBytes(request, bytes);
      done(null, parseJson(bytes.toString(), { depth: config.jsonDepth, members: config.jsonMembers }));
    } catch (error) {
      done(error as Error);
    }
  });
  return adapter;
}

/** Measure every request by its route, and refuse work whose deadline has passed. */
export function observe(fastify: FastifyInstance, metrics: Metrics, log: Log): void {
  const duration = metrics.histogram(
    'http_server_request_duration_seconds',
    'Time from the head of a request to the end of its answer.',
    ['http_request_method', 'http_route', 'http_response_status_code'],
  );
  fastify.addHook('onRequest', (_request, _reply, done) => {
    const late =
      remainingMs() === 0 ? new Problem('deadline-exceeded', 504, 'the deadline had passed when the request arrived') : undefined;
    done(late);
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none';
    const status = String(reply.statusCode);
    duration.observe(
      { http_request_method: request.method, http_route: route, http_response_status_code: status },
      reply.elapsedTime / 1000,
    );
    log[reply.statusCode >= 500 ? 'warn' : 'debug']('request answered', {
      'http.request.method': request.method,
      'url.path': request.url.split('?', 1)[0],
      'http.response.status_code': reply.statusCode,
      'event.duration': Math.round(reply.elapsedTime * 1e6),
      'trace.id': context()?.traceId,
    });
    done();
  });
}
