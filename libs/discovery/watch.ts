import type { IncomingMessage } from 'node:http';
import type Consul from 'consul';
import { runWithout } from '#context';
import { type DiscoveryConfig, pauseMs } from './config.js';

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
    const answer = (await this.options.ask(this.failures > 0 ? { ...question, index: '0' } : question)) as [
      IncomingMessage,
      unknown,
    ];
    this.failures = 0;
    if (!this.closed) this.options.answered(answer[1]);
    return answer;
  }
}
