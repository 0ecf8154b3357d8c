import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { type ErrorOut, type KoaContextWithOIDC, Provider } from 'oidc-provider';
import { environment } from '#config';
import { Log } from '#log';
import { type Counter, Metrics } from '#metrics';
import { Keys } from '../keys/keys.js';
import { OAuthConfig } from '../oauth-section.js';
import { showError, showSignedOut, showSignOut, showUnavailable, visitOf, withoutScript } from '../pages/library.js';
import { pages } from '../pages/pages.js';
import { Records } from '../store/records.js';
import { Revocations } from '../store/revocations.js';
import { Throttle } from '../store/throttle.js';
import { Accounts } from './accounts.js';
import { Clients } from './clients.js';
import { configuration } from './configuration.js';
import { isUnavailableProblem } from './failure.js';
import { Measure } from './measure.js';
import { mount } from './mount.js';
import { StructuredTokens } from './structured.js';
import { AccessTokens } from './tokens.js';

/** A secret of the production profile; elsewhere a process may start without, and says so. @throws Error when it is missing */
function cookieKey(log: Log): string {
  const { profile, secret } = environment();
  for (const name of ['OAUTH_COOKIE_SECRET', 'OAUTH_KEY_SECRET']) {
    if (secret(name) !== undefined) continue;
    if (profile === 'production') throw new Error(`${name} is missing: the production profile starts with no default secret`);
    log.warn('a secret is missing; this will not do in production', { missing: name });
  }
  return secret('OAUTH_COOKIE_SECRET') ?? 'no secret was given';
}

/**
 * The authorization server. oidc-provider knows its keys from the start and for good, so with each change of keys a new one takes
 * over; requests under way end on the one they began with.
 */
@Injectable()
export class Authority implements OnModuleInit {
  readonly issuer = `${environment().publicUrl}/oauth`;
  private readonly clients: Clients;
  private readonly tokens: AccessTokens;
  private readonly structured: StructuredTokens;
  private readonly measure: Measure;
  private readonly signIns: Counter<'outcome'>;
  private readonly cookieKey: string;
  private current?: { provider: Provider; answer: (req: IncomingMessage, res: ServerResponse) => void };

  constructor(
    @Inject(Keys) private readonly keys: Keys,
    @Inject(Records) private readonly records: Records,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(Accounts) private readonly accounts: Accounts,
    @Inject(Throttle) private readonly throttle: Throttle,
    @Inject(OAuthConfig) private readonly config: OAuthConfig,
    @Inject(Log) private readonly log: Log,
    @Inject(Metrics) metrics: Metrics,
  ) {
    this.clients = new Clients(config, environment().publicUrl);
    this.tokens = new AccessTokens(this.issuer, keys, revocations);
    this.structured = new StructuredTokens(records, revocations);
    this.measure = new Measure(metrics, log);
    this.signIns = metrics.counter('sign_ins_total', 'Attempts to sign in, by how they ended.', ['outcome']);
    this.cookieKey = cookieKey(log);
  }

  onModuleInit() {
    this.keys.onChange(() => this.renew());
    this.renew();
  }

  /** The provider with the keys of now. */
  get provider(): Provider {
    return this.current!.provider;
  }

  /** Answer a request below /oauth. @returns false when it is for somebody else */
  readonly listener = (req: IncomingMessage, res: ServerResponse): boolean => {
    if (!mount(req, new URL(this.issuer))) return false;
    this.current!.answer(req, res);
    return true;
  };

  private renew() {
    const keys = this.keys.all();
    if (keys.length === 0) return;
    const { config, records, clients, accounts, tokens } = this;
    const own = {
      interaction: (uid: string) => `/oauth/interaction/${uid}`,
      renderError: (ctx: KoaContextWithOIDC, out: ErrorOut, error: Error) => this.renderError(ctx, out, error),
      signOut: showSignOut,
      signedOut: showSignedOut,
    };
    const parts = { config, records, clients, accounts, tokens, keys, cookieKey: this.cookieKey, pages: own };
    const provider = new Provider(this.issuer, configuration(parts));
    provider.proxy = true;
    provider.silent = true;
    this.listenTo(provider);
    provider.use((ctx, next) => this.around(ctx as KoaContextWithOIDC, next));
    const formBytes = () => config.formBytes;
    const counted = (outcome: string) => this.signIns.inc({ outcome });
    const page = pages(provider, {
      accounts,
      throttle: this.throttle,
      formBytes,
      counted,
      assetSeconds: () => config.assetSeconds,
    });
    provider.use((ctx, next) => page(ctx as KoaContextWithOIDC, next));
    const answer = provider.callback();
    this.current = { provider, answer: (req, res) => void answer(req, res) };
  }

  /** What the library tells beside its answers. */
  private listenTo(provider: Provider) {
    provider.on('session.destroyed', ({ uid }) => this.owe(this.revocations.add([`sid:${uid}`])));
    provider.on('grant.revoked', (_ctx, grantId) => this.owe(this.records.endGrant(grantId)));
    provider.on('introspection.error', (ctx, error) => this.structured.note(ctx, error));
    provider.on('revocation.error', (ctx, error) => this.structured.note(ctx, error));
    provider.on('server_error', (ctx, error) => this.fail(ctx, error));
    // Koa's own, for what is thrown outside of the library's routes.
    (provider as EventEmitter).on('error', (error: unknown) => this.log.error('request failed by a bug', { error }));
  }

  /** Around every request: it is answered once all that it caused is written down. */
  private async around(ctx: KoaContextWithOIDC, next: () => Promise<void>) {
    const owed: Promise<void>[] = [];
    Object.assign(ctx.state, { owed });
    this.measure.begin(ctx);
    await next();
    await Promise.all(owed);
    await this.structured.answer(ctx);
    withoutScript(ctx);
    // The library names all modes it knows, whatever clients may use.
    if (ctx.oidc?.route === 'discovery') Object.assign(ctx.body as object, { response_modes_supported: ['query'] });
  }

  private owe(work: Promise<void>) {
    const owed = (Provider.ctx?.state as { owed?: Promise<void>[] } | undefined)?.owed;
    if (owed) owed.push(work);
    else work.catch((error: unknown) => this.log.error('revocation not told', { error }));
  }

  /** What is away now is no bug of ours, and clients should know that they may try again. */
  private fail(ctx: KoaContextWithOIDC, error: Error) {
    if (!isUnavailableProblem(error)) return this.log.error('request failed by a bug', { error });
    ctx.status = 503;
    ctx.set('Retry-After', error.headers['Retry-After'] ?? '1');
    if (ctx.body && typeof ctx.body === 'object') {
      ctx.body = { error: 'temporarily_unavailable', error_description: 'something that is needed does not answer; try again' };
    }
  }

  private renderError(ctx: KoaContextWithOIDC, out: ErrorOut, error: Error) {
    const visit = visitOf(ctx);
    if (isUnavailableProblem(error)) showUnavailable(visit, 503);
    else showError(visit, { ...out }, ctx.status);
  }
}
