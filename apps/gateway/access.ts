import findMyWay from 'find-my-way';
import type { IncomingMessage } from 'node:http';
import { type Access, insufficient, isAllowed, type Verifier, withoutToken } from '#auth';
import type { Client } from '#client';
import { context, newContext, runWith } from '#context';
import type { Discovery } from '#discovery';
import { ACCESS_TAG, OWN_AUTH_TAG, type RouteAccess } from '#service';
import type { GatewayConfig } from './settings.js';

/** What a service says of one of its routes. */
type Rule = Pick<RouteAccess, 'access' | 'timeoutMs'>;
type Rules = (method: string, path: string) => Rule | undefined;

interface Kept {
  rules: Rules;
  /** The instances they came from; other ones may have other rules. */
  from: readonly unknown[];
}

interface AccessParts {
  client: Pick<Client, 'call'>;
  discovery: Pick<Discovery, 'catalog' | 'instances'>;
  verifier: Verifier;
  config: GatewayConfig;
}

const nobodyKnows: Rules = () => undefined;

function rulesOf(routes: readonly RouteAccess[]): Rules {
  const router = findMyWay({ ignoreTrailingSlash: true });
  for (const { method, path, ...rule } of routes) {
    const methods = method === 'ALL' ? ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] : [method];
    for (const one of methods as findMyWay.HTTPMethod[]) {
      if (!router.hasRoute(one, path)) router.on(one, path, () => undefined, rule);
    }
  }
  return (method, path) =>
    router.find((method === 'HEAD' ? 'GET' : method) as findMyWay.HTTPMethod, path)?.store as Rule | undefined;
}

const SCHEME = /^Bearer +([\w.~+/-]+=*) *$/i;

/**
 * Refuses at the door what a service would refuse for want of a token or of a role, so that it does not reach it. A process says by
 * a tag that it tells who may call what, and is asked again when its instances are others; what says nothing is open. A token that
 * is sent must be good wherever it is sent, but where a service verifies by itself.
 */
export class AccessControl {
  private readonly kept = new Map<string, Kept>();
  private readonly asking = new Map<string, Promise<Rules>>();

  constructor(private readonly parts: AccessParts) {}

  /**
   * @returns how long the route may take to the head of its answer, ms, when the service says it
   * @throws Problem `unauthenticated` (401), `forbidden` (403), `issuer-unavailable` (503)
   */
  async check(service: string, req: IncomingMessage, path: string): Promise<number | undefined> {
    if (this.parts.discovery.catalog().get(service)?.includes(OWN_AUTH_TAG)) return undefined;
    const { access = 'public', timeoutMs } = (await this.rulesOf(service))(req.method ?? 'GET', path) ?? {};
    await this.admit(access, req.headers.authorization);
    return timeoutMs;
  }

  private async admit(access: Access, authorization: string | undefined): Promise<void> {
    if (authorization === undefined) {
      if (access !== 'public') throw withoutToken();
      return;
    }
    const token = SCHEME.exec(authorization)?.[1];
    if (token === undefined) {
      if (access !== 'public') throw withoutToken();
      return; // another scheme, of no concern to what is open
    }
    const caller = await this.parts.verifier.verify(token);
    const now = context();
    if (now) now.caller = caller;
    if (access !== 'public' && !isAllowed(access, caller)) throw insufficient(access);
  }

  private rulesOf(service: string): Rules | Promise<Rules> {
    const { discovery } = this.parts;
    if (!discovery.catalog().get(service)?.includes(ACCESS_TAG)) return nobodyKnows;
    const from = discovery.instances(service);
    const known = this.kept.get(service);
    // Discovery hands out the same list until something changes.
    if (known?.from === from) return known.rules;
    const asking = this.asking.get(service) ?? this.ask(service, from);
    this.asking.set(service, asking);
    if (!known) return asking;
    // What was known goes on to count meanwhile, and when nobody answers.
    asking.catch(() => undefined);
    return known.rules;
  }

  private async ask(service: string, from: readonly unknown[]): Promise<Rules> {
    const { client, config } = this.parts;
    const call = { method: 'GET', path: '/access', timeoutMs: config.documentMs, isAnonymous: true } as const;
    try {
      // What is asked is everybody's, so it has no one's deadline.
      const { body } = await runWith(newContext(), () => client.call<RouteAccess[]>(service, call));
      const rules = rulesOf(body);
      this.kept.set(service, { from, rules });
      return rules;
    } finally {
      this.asking.delete(service);
    }
  }
}
