import { Pool } from 'undici';
import type { Instance } from '#discovery';
import { runWithout } from '#context';
import { Problem } from '#problem';
import type { Loaded } from './balance.js';
import { Exchange, TryFailure } from './exchange.js';
import type { Outgoing } from './request.js';
import type { ClientConfig } from './settings.js';

/** One instance as this process sees it: its connections, its load, and whether it has been failing. */
export class Endpoint implements Loaded {
  underWay = 0;
  averageMs = 0;
  private readonly pool: Pool;
  private failuresInARow = 0;
  private ejections = 0;
  private ejectedMs = 0;
  private ejectedUntilMs = 0;

  /** @param failed  told of each failure, with how many there were in a row */
  constructor(
    readonly instance: Instance,
    private readonly config: ClientConfig,
    private readonly failed: (endpoint: Endpoint, failuresInARow: number) => void,
  ) {
    const { address, port } = instance;
    const host = address.includes(':') ? `[${address}]` : address;
    // The connections outlive the request that happens to need them first. The breaker has the clock for heads, the sink for bodies.
    this.pool = runWithout(
      () =>
        new Pool(`http://${host}:${port}`, {
          allowH2: false,
          connect: { timeout: config.connectMs },
          keepAliveTimeout: config.keepAliveMs,
          headersTimeout: 0,
          bodyTimeout: 0,
        }),
    );
  }

  isEjected(nowMs: number): boolean {
    return nowMs < this.ejectedUntilMs;
  }

  /** Give it no requests for a while, longer each time unless it did well for as long since. @returns the while, ms */
  eject(nowMs: number): number {
    const { ejectMs, ejectLimitMs } = this.config;
    this.ejections = nowMs - this.ejectedUntilMs > this.ejectedMs ? 1 : this.ejections + 1;
    this.ejectedMs = Math.min(ejectMs * this.ejections, ejectLimitMs);
    this.ejectedUntilMs = nowMs + this.ejectedMs;
    this.failuresInARow = 0;
    return this.ejectedMs;
  }

  /** Send the request here. */
  send(outgoing: Outgoing): Exchange {
    const startedMs = performance.now();
    this.underWay++;
    const exchange = new Exchange({
      answered: (status) => this.answered(status, performance.now() - startedMs),
      over: (error) => this.over(error),
      sent: () => outgoing.sent?.(),
    });
    const { method, path, headers } = outgoing;
    const body = typeof outgoing.body === 'function' ? outgoing.body() : outgoing.body;
    runWithout(() => this.pool.dispatch({ method, path, headers, body }, exchange));
    return exchange;
  }

  /** It let a try run into its time limit. */
  late(): void {
    this.fail();
  }

  /** Let what is under way finish, then close the connections. */
  async drain(): Promise<void> {
    await this.pool.close();
  }

  async destroy(): Promise<void> {
    await this.pool.destroy();
  }

  private over(error: Error | undefined) {
    this.underWay--;
    // A try that we ended, or whose own body was wrong, says nothing about the instance; a time-out is told by `late`.
    if (error && !(error instanceof Problem) && !(error instanceof TryFailure && error.kind === 'given-up')) this.fail();
  }

  private answered(status: number, tookMs: number) {
    const share = this.config.averagePercent / 100;
    this.averageMs = this.averageMs === 0 ? tookMs : this.averageMs * (1 - share) + tookMs * share;
    if (status >= 500) this.fail();
    else this.failuresInARow = 0;
  }

  private fail() {
    this.failed(this, ++this.failuresInARow);
  }
}
