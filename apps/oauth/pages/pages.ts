import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import { isUnavailableProblem } from '../provider/failure.js';
import { confirm, forgot, register, reset } from './account.js';
import { interaction } from './interaction.js';
import { showError, showNothing, showUnavailable } from './library.js';
import type { PageParts } from './parts.js';
import { STYLE, STYLE_PATH } from './style.js';
import { HEADERS, Visit } from './visit.js';

type Show = (visit: Visit, parts: PageParts) => Promise<void>;

const PAGES: ReadonlyMap<string, Show> = new Map([
  ['/register', register],
  ['/confirm', confirm],
  ['/forgot', forgot],
  ['/reset', reset],
]);
const INTERACTION = /^\/interaction\/([\w-]{10,64})(?:\/(register|cancel))?$/;
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST']);

/** Koa's middleware that answers our own pages and leaves the rest to the library. */
export function pages(provider: Provider, parts: PageParts & { assetSeconds: () => number }) {
  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    if (ctx.path === STYLE_PATH) return sendStyle(ctx, parts.assetSeconds());
    const page = PAGES.get(ctx.path);
    const [, uid, verb = ''] = INTERACTION.exec(ctx.path) ?? [];
    if ((!page && !uid) || !METHODS.has(ctx.method)) {
      ctx.set(HEADERS);
      return next();
    }
    const visit = new Visit(provider, ctx);
    try {
      if (uid) {
        if (!(await interaction(visit, parts, uid, verb))) showNothing(visit);
      } else {
        if (ctx.method === 'POST') await visit.read(parts.formBytes());
        await page!(visit, parts);
      }
    } catch (error) {
      answerFailure(visit, error);
    }
  };
}

function answerFailure(visit: Visit, error: unknown): void {
  if (error instanceof errors.SessionNotFound) {
    showError(visit, { error: error.error, error_description: 'the sign-in session was not found' }, 400);
  } else if (isUnavailableProblem(error)) {
    visit.ctx.set('Retry-After', error.headers['Retry-After'] ?? '1');
    showUnavailable(visit, 503);
  } else throw error;
}

function sendStyle(ctx: KoaContextWithOIDC, keepSeconds: number): void {
  ctx.type = 'css';
  ctx.set('Cache-Control', `public, max-age=${keepSeconds}, immutable`);
  ctx.set('X-Content-Type-Options', 'nosniff');
  ctx.body = STYLE;
}
