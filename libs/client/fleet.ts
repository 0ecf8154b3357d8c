import type { Breaker } from '#breaker';
import type { Discovery, Instance } from '#discovery';
import type { Log } from '#log';
import { BALANCERS } from './balance.js';
import { Endpoint } from './endpoint.js';
import type { ClientConfig } from './settings.js';

// A window slides in steps; ten are fine enough for a budget.
const STEPS = 10;

/**
 * How many retries a service can bear: a share of its requests of the last seconds. Without one, retries multiply the load on a service
 * just when it is failing.
 *
 * @source Finagle, RetryBudget
 */
class RetryBudget {
  private readonly requests = new Uint32Array(STEPS);
  private readonly retries = new Uint32Array(STEPS);
  private step = 0;

  /** @param now  a clock that never runs backwards, ms */
  constructor(
    private readonly config: ClientConfig,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** A request begins. */
  deposit(): void {
    this.requests[this.advance()]!++;
  }

  /** Take one retry out of it. @returns false when there is none left */
  withdraw(): boolean {
    const at = this.advance();
    const sum = (all: Uint32Array) => all.reduce((total, one) => total + one, 0);
    const allowed = this.config.retryMinimum + (sum(this.requests) * this.config.retryPercent) / 100;
    if (sum(this.retries) + 1 > allowed) return false;
    this.retries[at]!++;
    return true;
  }

  private advance(): number {
    const step = Math.floor(this.now() / ((this.config.retryWindowSeconds * 1000) / STEPS));
    for (let gone = Math.min(Math.abs(step - this.step), STEPS) - 1; gone >= 0; gone--) {
      this.requests[(step - gone + STEPS) % STEPS] = 0;
      this.retries[(step - gone + STEPS) % STEPS] = 0;
    }
    this.step = step;
    return step % STEPS;
  }
}

/** The part of discovery that the client needs. */
export type Registry = Pick<Discovery, 'instances' | 'onChange' | 'ready'>;

/** All instances of one service, as discovery tells them and as they do. */
export class Fleet {
  readonly budget: RetryBudget;
  private endpoints: Endpoint[] = [];
  private seen: readonly Instance[] | undefined;
  private turn = 0;
  private readonly draining = new Set<Endpoint>();

  constructor(
    readonly service: string,
    private readonly around: {
      registry: Registry;
      config: ClientConfig;
      log: Log;
      breaker: Breaker;
      ejected: (service: string) => void;
    },
  ) {
    this.budget = new RetryBudget(around.config);
  }

  /** How many instances there are. */
  get size(): number {
    this.sync();
    return this.endpoints.length;
  }

  /** Wait for the registry's first word on this service, at most `limitMs`. */
  async known(limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, limitMs)));
    await Promise.race([this.around.registry.ready(this.service), late]);
    clearTimeout(timer);
  }

  /** Whether one that is not among `tried` is left. */
  hasOther(tried: ReadonlySet<Endpoint>): boolean {
    return this.endpoints.some((endpoint) => !tried.has(endpoint));
  }

  /** The instance for the next try, none when all were tried. Those that have been failing come last. */
  pick(tried: ReadonlySet<Endpoint>): Endpoint | undefined {
    this.sync();
    const nowMs = performance.now();
    const isGood = (endpoint: Endpoint) => !tried.has(endpoint) && !endpoint.isEjected(nowMs);
    const good = this.endpoints.every(isGood) ? this.endpoints : this.endpoints.filter(isGood);
    const candidates = good.length > 0 ? good : this.endpoints.filter((endpoint) => !tried.has(endpoint));
    return candidates.length === 0 ? undefined : BALANCERS[this.around.config.balancer](candidates, this.turn++);
  }

  /** Follow discovery: connect to who came, let go of who went. */
  sync(): void {
    const instances = this.around.registry.instances(this.service);
    if (instances === this.seen) return;
    this.seen = instances;
    const known = new Map(this.endpoints.map((endpoint) => [keyOf(endpoint.instance), endpoint]));
    const isNews = instances.some((instance) => !known.has(keyOf(instance)));
    this.endpoints = instances.map(
      (instance) =>
        known.get(keyOf(instance)) ??
        new Endpoint(instance, this.around.config, (endpoint, failures) => this.failed(endpoint, failures)),
    );
    const kept = new Set(this.endpoints);
    for (const endpoint of known.values()) if (!kept.has(endpoint)) this.letGo(endpoint);
    // What the breaker has counted was about those before.
    if (isNews && this.around.breaker.state !== 'closed') this.around.breaker.reset();
  }

  async close(): Promise<void> {
    await Promise.all([...this.endpoints, ...this.draining].map((endpoint) => endpoint.destroy()));
    this.endpoints = [];
  }

  private letGo(endpoint: Endpoint) {
    this.draining.add(endpoint);
    void endpoint.drain().finally(() => this.draining.delete(endpoint));
  }

  private failed(endpoint: Endpoint, failuresInARow: number) {
    const { config, log, ejected } = this.around;
    const nowMs = performance.now();
    if (failuresInARow < config.ejectAfter || endpoint.isEjected(nowMs) || !this.maySpare(nowMs)) return;
    const { id: instance } = endpoint.instance;
    log.warn('instance ejected', { dependency: this.service, instance, failures: failuresInARow, forMs: endpoint.eject(nowMs) });
    ejected(this.service);
  }

  /** With many failing at once it is not the instances. */
  private maySpare(nowMs: number) {
    const out = this.endpoints.filter((endpoint) => endpoint.isEjected(nowMs)).length;
    const most = Math.max(1, Math.floor((this.endpoints.length * this.around.config.ejectPercent) / 100));
    return this.endpoints.length > 1 && out < most;
  }
}

/** A restarted instance keeps its id and gets another port: it is another one to us, with a clean record. */
const keyOf = ({ id, address, port }: Instance) => `${id} ${address}:${port}`;
