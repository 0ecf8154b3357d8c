import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Problem, problemTitles } from '#problem';
import { send } from '../answer.js';
import type { Documents } from './documents.js';
import type { GatewayConfig } from '../settings.js';

const ASSETS: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

const PAGE_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

const HTML = 'text/html; charset=utf-8';
const page = (title: string, head: string, body: string) =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
  `<title>${title}</title>${head}</head><body>${body}</body></html>`;

const DOCS = page(
  'CineManzana API',
  '<link rel="icon" href="/docs/favicon-32x32.png"><link rel="stylesheet" href="/docs/swagger-ui.css">',
  '<div id="swagger-ui"></div><script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>',
);
// In a file of its own, so that the page needs no inline script.
const START = "SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null });\n";

/** What the gateway answers itself: the documentation, and what each problem type means. */
export class Pages {
  constructor(
    private readonly documents: Documents,
    private readonly config: GatewayConfig,
  ) {}

  /** @returns false when there is no such page @throws Problem `method-not-allowed` (405), `not-found` (404) */
  async answer(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean> {
    const [, top, name, more] = path.split('/');
    const isPage = path === '/' || path === '/openapi.json' || (['docs', 'problems'].includes(top ?? '') && more === undefined);
    if (!isPage) return false;
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      throw new Problem('method-not-allowed', 405, 'this page can only be read', {}, { Allow: 'GET, HEAD' });
    }
    if (path === '/') res.writeHead(302, { location: '/docs' }).end();
    else if (path === '/openapi.json') await this.document(req, res);
    else if (top === 'problems') this.problem(req, res, name ?? '');
    else await this.docs(req, res, name ?? '');
    return true;
  }

  private async document(req: IncomingMessage, res: ServerResponse) {
    const { text, etag } = await this.documents.get();
    const headers = { etag, 'cache-control': 'no-cache' };
    if (req.headers['if-none-match'] === etag) res.writeHead(304, headers).end();
    else send(req, res, { type: 'application/json', body: text, headers });
  }

  private async docs(req: IncomingMessage, res: ServerResponse, name: string) {
    if (name === '') return send(req, res, { type: HTML, body: DOCS, headers: PAGE_HEADERS });
    const type = name === 'start.js' ? ASSETS['swagger-ui-bundle.js'] : ASSETS[name];
    if (!type) throw new Problem('not-found', 404, 'there is nothing at this address');
    const body = name === 'start.js' ? START : await readFile(join(assetsDir(), name));
    const headers = { ...PAGE_HEADERS, 'cache-control': `public, max-age=${this.config.assetSeconds}` };
    send(req, res, { type, body, headers });
  }

  private problem(req: IncomingMessage, res: ServerResponse, slug: string) {
    const title = Object.hasOwn(problemTitles, slug) ? problemTitles[slug] : undefined;
    if (title === undefined) throw new Problem('not-found', 404, 'there is no problem type of this name');
    if (req.headers.accept?.includes('text/html')) {
      const body = page(escaped(title), '', `<h1>${escaped(title)}</h1><p>Problem type <code>${slug}</code> of CineManzana.</p>`);
      return send(req, res, { type: HTML, body, headers: PAGE_HEADERS });
    }
    send(req, res, { type: 'application/json', body: JSON.stringify({ type: `/problems/${slug}`, title }) });
  }
}

/** Swagger UI's files come with @nestjs/swagger. */
function assetsDir(): string {
  const swagger = createRequire(import.meta.url).resolve('@nestjs/swagger');
  return dirname(createRequire(swagger).resolve('swagger-ui-dist/package.json'));
}

const escaped = (text: string) => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
