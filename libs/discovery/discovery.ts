import { isDeepStrictEqual } from 'node:util';
import Consul from 'consul';
import type { Log } from '#log';
import type { DiscoveryConfig } from './config.js';
import { type HealthRow, type Instance, usable } from './instance.js';
import { Memory } from './memory.js';
import { Registration, type Self } from './registration.js';
import { Watch } from './watch.js';

export { DiscoveryConfig } from './config.js';
export type { Instance } from './instance.js';
export type { Self } from './registration.js';

/** Where the registry is and how to talk to it. */
export interface DiscoveryOptions {
  /** Address of the registry's HTTP API, `http://127.0.0.1:8500`. */
  url: string;
  /** Access token of a registry that wants one. */
  token?: string;
  log: Log;
  config: DiscoveryConfig;
}

/** What is known of one service. */
interface Watched {
  watch?: Watch;
  rows: Memory<HealthRow>;
  instances: Instance[];
  /** Resolves with the first answer. */
  first: PromiseWithResolvers<void>;
}

/**
 * The registry as a process needs it: say that we are here, know who else is. What was learnt is kept while the registry is away,
 * and brought up to date as soon as it is back.
 */
export class Discovery {
  private readonly consul: Consul;
  private readonly registration: Registration;
  private readonly services = new Map<string, Watched>();
  private readonly listeners = new Set<(service: string) => void>();
  private readonly tags = new Memory<string[]>();
  private catalogWatch?: Watch;
  private reached?: boolean;
  private isBack = false;
  private settling?: NodeJS.Timeout;
  private leaving = false;
  private closed = false;

  constructor(private readonly options: DiscoveryOptions) {
    const { url, token, config, log } = options;
    const { hostname, port, protocol } = new URL(/^https?:\/\//.test(url) ? url : `http://${url}`);
    const secure = protocol === 'https:';
    const host = hostname.replace(/^\[|\]$/g, '');
    this.consul = new Consul({ host, port: Number(port || (secure ? 443 : 80)), secure, defaults: token ? { token } : {} });
    this.registration = new Registration(this.consul, config, log);
  }

  /** Whether the registry answered when it was last asked. */
  get connected(): boolean {
    return this.reached === true;
  }

  /** Resolves when the registry has this process; from then on it is registered again whenever the registry loses it. */
  async register(self: Self): Promise<void> {
    this.leaving = false;
    await this.registration.register(self);
    if (!this.closed) this.watched(self.name);
  }

  /** Leave the registry, so that nobody finds us any more. @throws Error when it cannot be reached */
  deregister(): Promise<void> {
    this.leaving = true;
    return this.registration.deregister();
  }

  /**
   * The instances of a service to use now: those that pass, or all that are not in maintenance when too many do not. Followed from
   * the first time it is asked for; empty until the registry's first answer. The same array as long as nothing changes.
   */
  instances(service: string): readonly Instance[] {
    return this.watched(service).instances;
  }

  /** Resolves when the registry has said who offers `service`, be it nobody; also when this closes. */
  ready(service: string): Promise<void> {
    return this.watched(service).first.promise;
  }

  /** Every service and its tags; followed from the first time it is asked for. */
  catalog(): ReadonlyMap<string, readonly string[]> {
    if (!this.closed) {
      this.catalogWatch ??= this.watch(
        (question) => this.consul.catalog.service.list(question),
        (answer) =>
          this.showCatalog(() => this.tags.learn(new Map(Object.entries(answer as Record<string, string[]>)), this.isBack)),
      );
    }
    return this.tags.all;
  }

  /** Be told the name of a service whose instances or tags have changed. @returns a function that ends it */
  onChange(listener: (service: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** End every watch and connection. It does not deregister. */
  close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.settling);
    this.registration.stop();
    this.catalogWatch?.close();
    for (const { watch, first } of this.services.values()) {
      watch?.close();
      first.resolve();
    }
    this.listeners.clear();
    this.consul.destroy();
    return Promise.resolve();
  }

  private watched(service: string): Watched {
    const known = this.services.get(service);
    if (known) return known;
    const watched: Watched = { rows: new Memory(), instances: [], first: Promise.withResolvers<void>() };
    this.services.set(service, watched);
    if (this.closed) {
      watched.first.resolve();
      return watched;
    }
    const ask = (question: object) => this.consul.health.service({ ...question, service });
    watched.watch = this.watch(ask, (answer) => this.learn(watched, service, answer as HealthRow[]));
    return watched;
  }

  private watch(ask: (question: object) => Promise<unknown>, learn: (answer: unknown) => void): Watch {
    const { config } = this.options;
    const answered = (answer: unknown) => {
      this.reach(true);
      learn(answer);
    };
    return new Watch({ consul: this.consul, config, ask, answered, failed: (error) => this.reach(false, error) });
  }

  private learn(watched: Watched, service: string, rows: HealthRow[]) {
    watched.rows.learn(new Map(rows.map((row) => [row.Service.ID, row])), this.isBack);
    watched.first.resolve();
    this.registration.see(service, rows);
    this.show(watched, service);
  }

  private show(watched: Watched, service: string) {
    const instances = usable([...watched.rows.all.values()], this.options.config.panicPercent);
    if (isDeepStrictEqual(instances, watched.instances)) return;
    watched.instances = instances;
    this.tell(service);
  }

  private showCatalog(change: () => void) {
    const before = this.tags.all;
    change();
    for (const service of new Set([...before.keys(), ...this.tags.all.keys()])) {
      if (!isDeepStrictEqual(before.get(service), this.tags.all.get(service))) this.tell(service);
    }
  }

  /** The registry has come back, and all had the time to tell it again who they are. */
  private settle() {
    this.isBack = false;
    if (this.tags.isHolding) this.showCatalog(() => this.tags.letGo());
    for (const [service, watched] of this.services) {
      if (!watched.rows.isHolding) continue;
      watched.rows.letGo();
      this.show(watched, service);
    }
  }

  private tell(service: string) {
    for (const listener of this.listeners) {
      try {
        listener(service);
      } catch (error) {
        this.options.log.error('listener of discovery failed', { service, error });
      }
    }
  }

  private reach(reached: boolean, error?: Error) {
    if (reached === this.reached) return;
    const { log, url, config } = this.options;
    // Who leaves may well see the registry leave too: nothing to report.
    const report = this.leaving ? 'debug' : 'warn';
    if (!reached) log[report]('registry away: using what is known', { url, error });
    if (reached && this.reached === false) {
      log.info('registry is back', { url });
      this.isBack = true;
      clearTimeout(this.settling);
      this.settling = setTimeout(() => this.settle(), config.returnMs);
    }
    this.reached = reached;
  }
}
