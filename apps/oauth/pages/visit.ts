import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import { Problem } from '#problem';
import type { Language } from '../provider/accounts.js';
import { layout, type Page } from './layout.js';
import { type Words, wordsOf } from './words.js';

/** Where everything of ours lies. */
export const BASE = '/oauth';

const LANGUAGE_COOKIE = '_language';
const FORM_COOKIE = '_form';
const FORM_BYTES = 18;
/** Without being asked to, Koa reads a cookie whatever its signature. */
const SIGNED = { signed: true } as const;
const LANGUAGE_MS = 365 * 86_400_000;

/** Looks like a page, and allows nothing that a page of ours does not do. */
const POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

/** Headers of every page: nothing of it is kept, framed, or told to the next site. */
export const HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': `${POLICY}; form-action 'none'`,
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Cross-Origin-Opener-Policy': 'same-origin',
};

const known = (tag: string | undefined): Language | undefined => {
  const [language] = tag?.toLowerCase().split('-', 1) ?? [];
  return language === 'es' || language === 'en' ? language : undefined;
};

/** The first of some language tags that we speak, `es-CL en` say. */
const spoken = (tags: unknown): Language | undefined =>
  typeof tags === 'string' ? tags.split(' ').map(known).find(Boolean) : undefined;

/** One request for a page: what language its reader wants, what it sent, and how it is answered. */
export class Visit {
  readonly language: Language;
  readonly words: Words;
  private readonly chosen?: Language;
  private sent?: URLSearchParams;
  private token?: string;

  /** @param wanted  languages that the client named, the best first */
  constructor(
    readonly provider: Provider,
    readonly ctx: KoaContextWithOIDC,
    wanted?: unknown,
  ) {
    this.chosen = spoken(ctx.query.ui_locales);
    const remembered = known(ctx.cookies.get(LANGUAGE_COOKIE, { signed: false }));
    const accepted = known(ctx.acceptsLanguages(['es', 'en']) || undefined);
    this.language = this.chosen ?? spoken(wanted) ?? remembered ?? accepted ?? 'es';
    this.words = wordsOf(this.language);
  }

  /** The same visit in the language that its client asked for, if it did. */
  speaking(wanted: unknown): Visit {
    const other = new Visit(this.provider, this.ctx, wanted);
    other.sent = this.sent;
    return other;
  }

  /** The address the gateway saw. */
  get address(): string {
    return this.ctx.ip;
  }

  /** An address of ours that goes on in the language that was chosen. */
  link(path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
    const pairs = Object.entries({ ...query, ui_locales: this.chosen }).filter(([, value]) => value !== undefined);
    const text = new URLSearchParams(pairs as [string, string][]).toString();
    return `${BASE}${path}${text ? `?${text}` : ''}`;
  }

  /** A value that our own cookie repeats, so that no other site can send this form. */
  formToken(): string {
    const { cookies } = this.ctx;
    this.token ??= cookies.get(FORM_COOKIE, SIGNED);
    if (this.token) return this.token;
    this.token = randomBytes(FORM_BYTES).toString('base64url');
    cookies.set(FORM_COOKIE, this.token, { path: BASE, httpOnly: true, sameSite: 'lax', signed: true, overwrite: true });
    return this.token;
  }

  /** Read the form that was sent. @throws Problem `body-too-large` (413), `unsupported-media-type` (415), `bad-request` (400) */
  async read(limitBytes: number): Promise<void> {
    if (!this.ctx.is('application/x-www-form-urlencoded')) throw new Problem('unsupported-media-type', 415, 'send a form');
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.ctx.req as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > limitBytes) throw new Problem('body-too-large', 413, `a form may have at most ${limitBytes} bytes`);
      chunks.push(chunk);
    }
    this.sent = new URLSearchParams(Buffer.concat(chunks).toString());
  }

  /** A field as it was sent, without control characters, which have no place in any of ours; '' when it was not sent. */
  field(name: string): string {
    return this.secret(name).replace(/\p{Cc}/gu, '');
  }

  /** A password, exactly as it was typed. */
  secret(name: string): string {
    return this.sent?.get(name) ?? '';
  }

  /** Whether the form that was sent is one that we gave to this browser. */
  get isOurs(): boolean {
    const site = this.ctx.get('sec-fetch-site');
    if (site !== '' && site !== 'same-origin' && site !== 'none') return false;
    const [wanted, sent] = [this.ctx.cookies.get(FORM_COOKIE, SIGNED), this.field('form')].map((text) => Buffer.from(text ?? ''));
    return wanted!.length > 0 && wanted!.length === sent!.length && timingSafeEqual(wanted!, sent!);
  }

  /** @param formTargets  further addresses that a form of this page may lead to, by redirects */
  show(page: Page, { status = 200, formTargets = [] }: { status?: number; formTargets?: readonly string[] } = {}): void {
    const { ctx } = this;
    if (this.chosen && this.chosen !== ctx.cookies.get(LANGUAGE_COOKIE, { signed: false })) {
      const options = {
        path: BASE,
        httpOnly: true,
        sameSite: 'lax',
        signed: false,
        overwrite: true,
        maxAge: LANGUAGE_MS,
      } as const;
      ctx.cookies.set(LANGUAGE_COOKIE, this.chosen, options);
    }
    ctx.status = status;
    ctx.type = 'html';
    ctx.set(HEADERS);
    ctx.set('Content-Security-Policy', `${POLICY}; form-action ${["'self'", ...formTargets.flatMap(sourceOf)].join(' ')}`);
    ctx.set('Content-Language', this.language);
    ctx.body = layout(page, { language: this.language, words: this.words, switchTo: this.otherLanguage() });
  }

  redirect(to: string): void {
    this.ctx.status = 303;
    this.ctx.redirect(to);
  }

  /** This page in the other language. What was typed is gone with it, so a page that answers a form leads back to the form. */
  private otherLanguage(): string {
    const query = new URLSearchParams(this.ctx.querystring);
    query.set('ui_locales', this.language === 'es' ? 'en' : 'es');
    return `${BASE}${this.ctx.path}?${query.toString()}`;
  }
}

/** What a Content-Security-Policy calls the place of an address. Browsers hold a form's redirects to it, too. */
function sourceOf(address: string): string[] {
  const url = URL.parse(address);
  if (!url) return [];
  return [url.protocol === 'http:' || url.protocol === 'https:' ? url.origin : url.protocol];
}
