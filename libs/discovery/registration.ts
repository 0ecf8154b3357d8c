import { setTimeout as sleep } from 'node:timers/promises';
import type Consul from 'consul';
import type { Log } from '#log';
import { type DiscoveryConfig, pauseMs } from './config.js';
import type { HealthRow } from './instance.js';
import { heard } from './watch.js';

/** What a process says of itself. */
export interface Self {
  /** The same after a restart, so that the restart replaces what was. It goes into URLs: letters, digits, `.`, `_`, `-`. */
  id: string;
  name: string;
  address: string;
  port: number;
  tags: string[];
  meta: Record<string, string>;
  /** Path that answers 200 while the process can work. */
  check: { path: string };
}

/** Whether the registry refused, rather than could not be reached. */
const isRefusal = (error: unknown) => (error as { isResponse?: boolean }).isResponse === true;

/** Keeps one process in the registry: registers it until that works, and again when the registry has lost it. */
export class Registration {
  private self?: Self;
  private registered = false;
  private stopped = new AbortController();
  /** Settles when nothing of what we tell the registry is on its way any more. */
  private telling: Promise<void> = Promise.resolve();

  constructor(
    private readonly consul: Consul,
    private readonly config: DiscoveryConfig,
    private readonly log: Log,
  ) {}

  /** Resolves when the registry has us, or when that is no longer wanted. */
  async register(self: Self): Promise<void> {
    this.stop();
    this.stopped = new AbortController();
    this.self = self;
    const { signal } = this.stopped;
    // What stays of an earlier life keeps its state, ill as it died, until its next check: it must go first. A process
    // registers when it is ready, so its new life begins well.
    await this.repeat(async () => {
      await this.forget(self.id);
      if (!signal.aborted) await this.put(self);
    }, signal);
    this.registered = !signal.aborted;
    if (this.registered) this.log.info('registered', { id: self.id, address: self.address, port: self.port });
  }

  /** Compare the registry's newest answer about `service` with what we told it, and tell it again when we are not in it. */
  see(service: string, rows: readonly HealthRow[]): void {
    const { self } = this;
    if (!this.registered || !self || service !== self.name || rows.some(({ Service }) => Service.ID === self.id)) return;
    this.log.warn('registry does not know us: registering again', { id: self.id });
    void this.repeat(() => this.put(self), this.stopped.signal);
  }

  /** Leave the registry. @throws Error when it cannot be reached: it will then find out by its checks */
  async deregister(): Promise<void> {
    const { self } = this;
    this.stop();
    if (!self) return;
    this.self = undefined;
    // A registration on its way would arrive after this, and stay.
    await this.telling;
    await this.forget(self.id);
  }

  /** Try no more. */
  stop(): void {
    this.registered = false;
    this.stopped.abort();
  }

  private async forget(id: string) {
    await heard(this.consul.agent.service.deregister(this.limited({ id }))).catch((error: unknown) => {
      // It does not know us: newer registries say so, older ones do not mind.
      if (!isRefusal(error)) throw error;
    });
  }

  private async put({ id, name, address, port, tags, meta, check }: Self) {
    const { checkIntervalMs, checkTimeoutMs, deregisterSeconds } = this.config;
    const host = address.includes(':') ? `[${address}]` : address;
    const registration = {
      ...{ id, name, address, port, tags, meta },
      check: {
        name: `${name} is ready`,
        http: `http://${host}:${port}${check.path}`,
        interval: `${checkIntervalMs}ms`,
        timeout: `${checkTimeoutMs}ms`,
        deregistercriticalserviceafter: `${deregisterSeconds}s`,
        status: 'passing',
      },
    };
    await heard(this.consul.agent.service.register(this.limited(registration)));
  }

  private repeat(act: () => Promise<void>, signal: AbortSignal): Promise<void> {
    this.telling = this.untilDone(act, signal);
    return this.telling;
  }

  private async untilDone(act: () => Promise<void>, signal: AbortSignal) {
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        return await act();
      } catch (error) {
        if (failures === 1 && !signal.aborted) this.log.warn('registration failed: trying on', { error });
      }
      await sleep(pauseMs(this.config, failures), undefined, { signal }).catch(() => undefined);
    }
  }

  private limited<T extends object>(options: T): T & { timeout: number } {
    return { ...options, timeout: this.config.requestMs };
  }
}
