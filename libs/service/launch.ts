import type { INestApplication } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TokenIssuer } from '#auth';
import type { Registry } from '#client';
import { environment, type Environment, type Settings } from '#config';
import { runWithout } from '#context';
import { createLog, type Log } from '#log';
import { type Application, standUp } from './application.js';
import type { ProcessState, ServiceDefinition } from './definition.js';
import { HttpServer, nothingHere } from './http/server.js';
import { Life } from './life.js';
import { ACCESS_TAG } from './routes.js';
import { freeSlot, instanceId, openParts, type Parts } from './parts.js';
import { ServiceConfig } from './sections.js';

/** What a launch may have otherwise than the environment says. */
export interface LaunchOptions {
  /** Told every change of state. */
  report?: (state: ProcessState) => void;
  /** What the process was given; read again while it waits. */
  env?: () => Environment;
  log?: Log;
  /** Given instead of loaded: for tests. */
  settings?: Settings;
  /** The port to listen on instead of the definition's. */
  port?: number;
  /** Which of several instances on this host. */
  slot?: number;
  /** Started by hand: a living process of its name keeps its slot, and this one takes the next. A launcher gives slots itself. */
  alone?: boolean;
  /** Stay out of discovery: for tests of one process. */
  unregistered?: boolean;
  /** True for the first service of a Node process: its metrics then include the process's own. */
  ofNode?: boolean;
  /** Whose tokens are accepted, other than the mesh's own `oauth`: for tests. */
  issuer?: TokenIssuer;
  /** Where other services are found, other than in discovery: for tests. */
  registry?: Registry;
}

/** How a process is closed. */
export interface CloseOptions {
  /** Nobody else is there to take over: skip the wait for callers to notice. */
  hasty?: boolean;
}

/** A launched process. */
export interface Running {
  readonly name: string;
  /** Where it listens, from the first moment on. */
  readonly url: string;
  /** Resolves once it is ready and registered. Rejects when it cannot start: wrong configuration, or closed before. */
  readonly ready: Promise<void>;
  /** The Nest application. @throws Error before `ready` */
  readonly app: INestApplication;
  /** Leave discovery, finish what is under way, close everything. Safe to call twice. */
  close(options?: CloseOptions): Promise<void>;
}

/** Between two looks at what a starting process needs, and at what a running one has, ms. */
const STARTING_LOOK_MS = 50;
const RUNNING_LOOK_MS = 1000;
// Before there is any configuration to take it from.
const CLOSE_UNSTARTED_MS = 1000;

class Launch implements Running {
  readonly name: string;
  readonly ready: Promise<void>;
  url = '';
  private readonly life: Life;
  private readonly http: HttpServer;
  private readonly door?: HttpServer;
  private readonly stopping = new AbortController();
  private readonly closers: (() => Promise<unknown> | void)[] = [];
  private readonly log: Log;
  private parts?: Parts;
  private application?: Application;
  private registered = false;
  private closed?: Promise<void>;
  private booted: Promise<void> = Promise.resolve();
  private readonly settle = Promise.withResolvers<void>();

  constructor(
    private readonly definition: ServiceDefinition,
    private readonly options: LaunchOptions,
  ) {
    const env = this.env();
    this.name = definition.name;
    this.ready = this.settle.promise;
    this.ready.catch(() => undefined); // who launches may look at it later
    this.log = options.log ?? createLog({ service: definition.name, version: env.version, environment: env.profile });
    this.life = new Life(definition.name, options.slot ?? env.slot, options.report);
    this.http = new HttpServer(() => this.life.waitingFor);
    if (definition.door) this.door = new HttpServer(() => this.life.waitingFor, true);
  }

  get app(): INestApplication {
    if (!this.application) throw new Error(`${this.name} has not started yet`);
    return this.application.nest;
  }

  private env = (): Environment => (this.options.env ?? environment)();

  async start(): Promise<this> {
    const { bind } = this.env();
    const { port, door } = this.definition;
    // Only the first instance on a host has the well-known port; further ones take any.
    const wanted = this.options.port ?? (this.life.slot === 0 ? (door?.port ?? port) : undefined) ?? 0;
    const inner = await this.http.listen(door ? 0 : wanted, bind);
    try {
      const outer = await this.door?.listen(wanted, bind);
      this.url = `http://${this.address()}:${outer ?? inner}`;
    } catch (error) {
      await this.http.close(0);
      throw error;
    }
    this.life.url = this.url;
    this.booted = runWithout(() => this.boot(inner)).then(
      () => this.settle.resolve(),
      (error: unknown) => {
        if (!this.stopping.signal.aborted) this.log.error('process cannot start', { error });
        this.settle.reject(error);
      },
    );
    return this;
  }

  private address(): string {
    const { address, bind } = this.env();
    return address ?? bind;
  }

  private async boot(port: number) {
    const { definition, life, log, options } = this;
    const { signal } = this.stopping;
    const opened = (close: () => Promise<unknown> | void) => void this.closers.push(close);
    const { settings, issuer, registry, ofNode = false } = options;
    this.parts = await openParts({ definition, life, log, env: this.env, settings, issuer, registry, ofNode, signal, opened });
    signal.throwIfAborted();
    const { parts } = this;
    this.application = await standUp({ definition, parts, slot: life.slot }, this.http);
    await this.openDoor();
    await this.becomeReady(port);
  }

  private async openDoor() {
    if (!this.door || !this.definition.door) return;
    const listener = await this.definition.door.listener(this.app, this.door.server);
    this.door.limits(this.parts!.settings.section(ServiceConfig));
    this.door.serve(nothingHere, listener);
  }

  private async becomeReady(port: number) {
    const { signal } = this.stopping;
    for (;;) {
      const missing = await this.application!.needs.missing();
      if (missing.length === 0) break;
      this.life.missing(missing);
      await sleep(STARTING_LOOK_MS, undefined, { signal });
    }
    this.life.missing([]);
    if (!this.options.unregistered) await this.register(port);
    signal.throwIfAborted();
    this.life.become('ready');
    this.log.info('process ready', { url: this.url });
    void this.watch();
  }

  private async register(port: number) {
    const { name, routes = [], tags = [] } = this.definition;
    const env = this.env();
    this.life.wait('discovery', `discovery at ${env.consulUrl}`);
    const stopped = new Promise<never>((_, reject) =>
      this.stopping.signal.addEventListener('abort', () => reject(new Error('stopped'))),
    );
    const { discovery } = this.parts!;
    if (this.options.alone) {
      await Promise.race([discovery.ready(name), stopped]);
      this.life.slot = freeSlot(name, this.life.slot, discovery.instances(name));
    }
    const { slot } = this.life;
    const self = {
      id: instanceId(name, slot),
      name,
      address: this.address(),
      port,
      tags: [...routes.map((route) => `mesh-route=${route}`), ACCESS_TAG, ...tags],
      meta: { version: env.version, slot: String(slot), pid: String(process.pid) },
      check: { path: '/health/ready' },
    };
    this.registered = true;
    await Promise.race([discovery.register(self), stopped]);
    this.life.met('discovery');
  }

  /** A running process that lacks something stays registered, since its own 503 says more than silence; it only says so. */
  private async watch() {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await sleep(RUNNING_LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      const missing = await this.application!.needs.missing();
      if (signal.aborted) return;
      this.life.missing(missing);
      const state = missing.length === 0 ? 'ready' : 'degraded';
      if (state === this.life.state) continue;
      this.log[state === 'ready' ? 'info' : 'warn'](`process ${state}`, { missing });
      this.life.become(state);
    }
  }

  close(options: CloseOptions = {}): Promise<void> {
    return (this.closed ??= this.end(options));
  }

  private async end({ hasty = false }: CloseOptions) {
    this.life.become('stopping');
    this.stopping.abort();
    const config = this.application && this.parts ? this.parts.settings.section(ServiceConfig) : undefined;
    if (this.registered)
      await this.parts!.discovery.deregister().catch((error: unknown) => this.log.warn('deregistration failed', { error }));
    this.http.drain();
    this.door?.drain();
    if (config && this.registered && !hasty) await sleep(config.drainMs);
    if (this.application) this.definition.stopping?.(this.application.nest);
    const closeMs = config?.closeMs ?? CLOSE_UNSTARTED_MS;
    // What the door has accepted may still be forwarded and measured, so the inner server goes last.
    const cut = ((await this.door?.close(closeMs)) ?? 0) + (await this.http.close(closeMs));
    if (cut > 0) this.log.warn('requests cut by the stop', { cut });
    await this.booted;
    await this.application?.close().catch((error: unknown) => this.log.error('application closed badly', { error }));
    for (const close of this.closers.reverse()) await close();
    this.log.info('process stopped');
    await this.log.flush();
    this.life.become('stopped');
  }
}

/**
 * Launch a process: it listens at once, waits for what it needs in any order, and registers when it is ready.
 *
 * @throws Error with code EADDRINUSE when its port is taken
 */
export const launch = (definition: ServiceDefinition, options: LaunchOptions = {}): Promise<Running> =>
  new Launch(definition, options).start();
