import findMyWay from 'find-my-way';
import type { IncomingMessage } from 'node:http';
import { type Access, insufficient, isAllowed, type Verifier, withoutToken } from '#auth';
import type { Client } from '#client';
import { context, newContext, runWith } from '#context';
import type { Discovery } from '#discovery';
import { Problem } from '#problem';
import { ACCESS_TAG, OWN_AUTH_TAG, type RouteAccess } from '#service';
import type { Route } from './routes.js';
import type { GatewayConfig } from './settings.js';

/** What a service says of one of its routes. */
type Rule = Pick<RouteAccess, 'access' | 'timeoutMs' | 'isRefused'>;
/** A path with its parameters, and what can be done there. */
interface Place {
  /** As it is in any service that has it: parameters are called by their numbers. */
  path: string;
  methods: Map<string, Rule>;
}
type Rules = (path: string) => Place | undefined;

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
  const places = new Map<string, Place>();
  for (const { method, path: named, ...rule } of routes) {
    let parameters = 0;
    const path = named.replace(/:\w+/g, () => `:p${parameters++}`);
    const place: Place = places.get(path) ?? { path, methods: new Map() };
    places.set(path, place);
    for (const one of method === 'ALL' ? ALL : [method]) if (!place.methods.has(one)) place.methods.set(one, rule);
  }
  const router = findMyWay({ ignoreTrailingSlash: true });
  for (const place of places.values()) router.on('GET', place.path, () => undefined, place);
  return (path) => router.find('GET', path)?.store as Place | undefined;
}

const ALL = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

const parametersOf = ({ path }: Place) => path.split(':').length;

/** 405 to a method that nobody offers at `places`, which are one path on several sides. */
function notOffered(method: string, places: readonly Place[]): Problem {
  const offered = places.flatMap(({ methods }) => [...methods].filter(([, { isRefused }]) => !isRefused).map(([name]) => name));
  const allow = ALL.filter((name) => offered.includes(name))
    .join(', ')
    .replace('GET', 'GET, HEAD');
  return new Problem('method-not-allowed', 405, `${method} is not offered here; there is ${allow}`, {}, { Allow: allow });
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
   * @throws Problem `unauthenticated` (401), `forbidden` (403), `method-not-allowed` (405), `issuer-unavailable` (503)
   */
  async check(route: Pick<Route, 'service' | 'sides'>, req: IncomingMessage, path: string): Promise<number | undefined> {
    if (this.parts.discovery.catalog().get(route.service)?.includes(OWN_AUTH_TAG)) return undefined;
    const { access = 'public', timeoutMs } = (await this.ruleOf(route, req.method ?? 'GET', path)) ?? {};
    await this.admit(access, req.headers.authorization);
    return timeoutMs;
  }

  /** @returns undefined when nobody knows the path @throws Problem `method-not-allowed` (405) when it has other methods alone */
  private async ruleOf({ service, sides }: Pick<Route, 'service' | 'sides'>, method: string, path: string) {
    const others = sides.filter((side) => side !== service);
    if (!this.kept.has(service)) for (const side of others) void this.known(side);
    const said = await this.rulesOf(service);
    const own = said(path);
    const rule = own?.methods.get(method === 'HEAD' ? 'GET' : method);
    // Who has a rule does not wait for the other side, which may be down.
    const rules = await Promise.all(others.map((side) => Promise.resolve(rule ? this.kept.get(side)?.rules : this.known(side))));
    const places = [own, ...rules.map((of) => of?.(path))].filter((place) => place !== undefined);
    // `/import` on one side is not the `/:id` of the other.
    const fewest = Math.min(...places.map(parametersOf));
    const nearest = places.filter((place) => parametersOf(place) === fewest);
    if (rule && nearest.includes(own!)) return rule;
    // A side that is not there cannot say what it offers: that it is not there is what the caller is told.
    if (nearest.length > 0 && said !== nobodyKnows) throw notOffered(method, nearest);
    return undefined;
  }

  /** What a side says that is not asked for anything. */
  private async known(service: string): Promise<Rules> {
    try {
      return await this.rulesOf(service);
    } catch {
      return nobodyKnows;
    }
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
