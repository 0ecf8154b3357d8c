import type { IncomingMessage } from 'node:http';
import { types } from 'node:util';
import type Consul from 'consul';
import { runWithout } from '#context';
import { type DiscoveryConfig, pauseMs } from './config.js';

/**
 * An answer of the client, or its error thrown. The client tells an error by `instanceof`, which one from another realm (under jest,
 * every error of Node itself) does not pass: it then gives the error as the answer.
 */
export async function heard<T>(answer: Promise<T>): Promise<T> {
  const said = await answer;
  if (types.isNativeError(said)) throw said;
  return said;
}

/** What a watched question is asked with by the client's own loop. */
export interface Question {
  index?: string;
  wait?: string;
  timeout?: number;
}

interface WatchOptions {
  consul: Consul;
  config: DiscoveryConfig;
  /** Asks the registry; waits for news when the question has an index. */
  ask: (question: Question) => Promise<unknown>;
  /** Gets every answer, news or not: an equal one says at least that the registry is there. */
  answered: (answer: unknown) => void;
  failed: (error: Error) => void;
}

/** One question that is asked for ever: the registry answers when there is news. Survives every failure of the registry until it is closed. */
export class Watch {
  private inner?: ReturnType<Consul['watch']>;
  private timer?: NodeJS.Timeout;
  private failures = 0;
  private closed = false;

  constructor(private readonly options: WatchOptions) {
    // It outlives the request that happened to need it first.
    runWithout(() => this.begin());
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.inner?.end();
  }

  private begin() {
    const { consul, config } = this.options;
    const { backoffMs, backoffLimitMs } = config;
    const jitter = pauseMs(config, 1) / backoffMs;
    this.inner = consul.watch({
      method: (question: Question) => this.ask(question),
      options: { wait: `${config.waitSeconds}s` },
      // The client's first pause is twice its factor.
      backoffFactor: (backoffMs / 2) * jitter,
      backoffMax: backoffLimitMs * jitter,
    });
    this.inner.on('error', (error: Error) => {
      this.failures += 1;
      if (!this.closed) this.options.failed(error);
    });
    // The client gives up for good when its question is refused (400), but the next registry may understand it.
    this.inner.on('end', () => {
      if (this.closed) return;
      this.timer = setTimeout(() => this.begin(), pauseMs(config, Math.max(1, this.failures)));
    });
  }

  private async ask(question: Question): Promise<[IncomingMessage, unknown]> {
    // After a failure the registry may be another one with a smaller index: ask what is, not what is new.
    const asked = this.failures > 0 ? { ...question, index: '0' } : question;
    const [response, answer] = (await heard(this.options.ask(asked))) as [IncomingMessage, unknown];
    // Something else may listen at that address now, or stand before it; its answers must not empty what is known.
    if (response.headers['x-consul-index'] === undefined) throw new Error('the answer is not that of a registry');
    this.failures = 0;
    if (!this.closed) this.options.answered(answer);
    return [response, answer];
  }
}
