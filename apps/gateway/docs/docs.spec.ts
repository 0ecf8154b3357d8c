import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import request from 'supertest';
import type TestAgent from 'supertest/lib/agent.js';
import { fileSettings } from '#config';
import type { Instance } from '#discovery';
import { silentLog } from '#log';
import { Problem, toProblem } from '#problem';
import { GatewayConfig } from '../settings.js';
import { Documents } from './documents.js';
import { type ApiDocument, mergeDocuments } from './openapi.js';
import { Pages } from './pages.js';

const document = (paths: Record<string, object>, schemas: Record<string, object> = {}): ApiDocument => ({
  openapi: '3.0.0',
  info: { title: 'one', version: '1' },
  paths: paths as ApiDocument['paths'],
  components: { schemas, securitySchemes: { token: { type: 'http' } } } as ApiDocument['components'],
});
const operation = (operationId: string, schema: string) => ({
  operationId,
  responses: { 200: { content: { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } } } },
});
const merge = (parts: Record<string, ApiDocument>) =>
  mergeDocuments(
    Object.entries(parts).map(([service, doc]) => ({ service, prefixes: ['/api/movies', '/api/films'], document: doc })),
    { title: 't', version: '1' },
  ) as Required<ApiDocument>;

describe('the merged document', () => {
  it('has both sides of a path, and nothing that is not public', () => {
    const { openapi, paths, components } = merge({
      'movie-query': document(
        { '/api/movies': { get: operation('list', 'Movie') }, '/metrics': { get: {} } },
        { Movie: { type: 'object' } },
      ),
      'movie-command': document(
        { '/api/movies': { post: operation('create', 'Movie') }, '/api/moviesx': { get: {} } },
        { Movie: { type: 'object' } },
      ),
    });
    expect(openapi).toBe('3.1.0');
    expect(Object.keys(paths)).toEqual(['/api/movies']);
    expect(Object.keys(paths['/api/movies']!).sort()).toEqual(['get', 'post']);
    expect(Object.keys(components.schemas!)).toEqual(['Movie']);
  });

  it('says of every route what the gateway may answer in its place', () => {
    const { paths } = merge({
      'movie-query': document({ '/api/movies': { get: operation('list', 'Movie') } }, { Movie: {}, Problem: { type: 'object' } }),
    });
    const { responses } = paths['/api/movies']!.get as { responses: Record<string, object> };
    expect(Object.keys(responses)).toEqual(['200', '400', '401', '502', '503', '504']);
    expect(responses).toMatchObject({
      401: { headers: { 'WWW-Authenticate': { required: true } } },
      503: { headers: { 'Retry-After': {} }, content: { 'application/problem+json': {} } },
    });
  });

  it('names apart what has one name and two meanings, and its references with it', () => {
    const { paths, components } = merge({
      'film-query': document({ '/api/films': { get: operation('list', 'Page') } }, { Page: { type: 'object' } }),
      'movie-query': document(
        { '/api/movies': { get: operation('list', 'Page') } },
        { Page: { type: 'array', items: { $ref: '#/components/schemas/Item' } }, Item: { type: 'string', nullable: true } },
      ),
    });
    expect(components.schemas).toEqual({
      Page: { type: 'object' },
      MovieQueryPage: { type: 'array', items: { $ref: '#/components/schemas/Item' } },
      Item: { type: ['string', 'null'] },
    });
    expect(JSON.stringify(paths['/api/movies'])).toContain('"$ref":"#/components/schemas/MovieQueryPage"');
    expect(JSON.stringify(paths['/api/films'])).toContain('"$ref":"#/components/schemas/Page"');
    expect(JSON.stringify(paths)).toContain('"operationId":"MovieQuery_list"');
  });
});

describe('the pages', () => {
  let door: Server, http: TestAgent, calls: string[], broken: boolean;
  let catalog: Map<string, string[]>, instances: Map<string, Instance[]>;

  const offer = (service: string, port: number) => {
    catalog = new Map(catalog).set(service, ['mesh-route=/api/movies']);
    instances.set(service, [{ id: service, service, address: '127.0.0.1', port, tags: [], meta: {}, passing: true }]);
  };
  beforeEach(async () => {
    [calls, broken, catalog, instances] = [[], false, new Map(), new Map()];
    const config = fileSettings({ process: 'gateway', profile: 'test', sections: [GatewayConfig], log: silentLog }).section(
      GatewayConfig,
    );
    const discovery = {
      catalog: () => catalog,
      instances: (name: string) => instances.get(name) ?? [],
      ready: () => Promise.resolve(),
    };
    const call = <T>(service: string) => {
      calls.push(service);
      if (broken) return Promise.reject(new Problem('timeout', 504, 'late'));
      const body = document({ '/api/movies': { [service === 'movie-query' ? 'get' : 'post']: {} } }) as T;
      return Promise.resolve({ status: 200, headers: {}, body });
    };
    const pages = new Pages(new Documents({ client: { call }, discovery, log: silentLog, config, version: '7' }), config);
    door = createServer((req, res) => {
      pages.answer(req, res, req.url!).then(
        (isThere) => isThere || res.writeHead(404).end(),
        (error: unknown) => res.writeHead(toProblem(error).status).end(),
      );
    }).listen(0, '127.0.0.1');
    await once(door, 'listening');
    http = request.agent(`http://127.0.0.1:${(door.address() as AddressInfo).port}`);
  });
  afterEach(async () => {
    const closed = once(door, 'close');
    door.close();
    door.closeAllConnections();
    await closed;
  });

  it('lead from / to a page that loads nothing from elsewhere and runs nothing inline', async () => {
    await http.get('/').expect(302).expect('location', '/docs');
    const { text, headers } = await http.get('/docs').expect(200).expect('content-type', /html/);
    const policy = headers['content-security-policy']!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(text).not.toMatch(/<script(?![^>]* src="\/)|<style|style=|\son\w+=|https?:/);
    const links = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link!);
    expect(links.length).toBe(4);
    for (const link of links) await http.get(link).expect(200);
    await http.get('/docs/package.json').expect(404);
    await http.post('/docs').expect(405);
  });

  it('merge the documents of all services, asking each once until its instances change', async () => {
    offer('movie-query', 1);
    offer('movie-command', 2);
    const [one] = await Promise.all([http.get('/openapi.json').expect(200), http.get('/openapi.json').expect(200)]);
    const { info, paths } = one.body as { info: object; paths: Record<string, object> };
    expect(info).toMatchObject({ title: 'CineManzana', version: '7' });
    expect(Object.keys(paths['/api/movies']!).sort()).toEqual(['get', 'post']);
    await http.get('/openapi.json').set('if-none-match', one.headers.etag!).expect(304);
    expect(calls.sort()).toEqual(['movie-command', 'movie-query']);
    offer('movie-query', 3);
    await http.get('/openapi.json').expect(200);
    expect(calls.length).toBe(3);
  });

  it('keep what they knew of a service that does not answer', async () => {
    offer('movie-query', 1);
    const known = await http.get('/openapi.json');
    broken = true;
    offer('movie-query', 2);
    expect((await http.get('/openapi.json').expect(200)).text).toBe(known.text);
  });

  it('say what a problem type means, to people and to programs', async () => {
    const { body } = await http.get('/problems/breaker-open').expect(200);
    expect(body).toEqual({ type: '/problems/breaker-open', title: expect.stringContaining('failing') as string });
    expect((await http.get('/problems/breaker-open').set('accept', 'text/html')).text).toContain('<code>breaker-open</code>');
    for (const none of ['nothing', 'constructor', '__proto__']) await http.get(`/problems/${none}`).expect(404);
  });
});
