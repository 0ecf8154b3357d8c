import { runWithout } from '#context';
import type { Log } from '#log';
import { rest } from './backoff.js';
import { isUnavailable } from './faults.js';
import type { Committed } from './source.js';

/** What work is done in rounds. */
export interface RoundsOptions {
  /** A `Storage`. */
  storage: { onCommit(told: (tx: Committed) => void): () => void };
  log: Log;
  /** What it is, for the log: `webhooks`. */
  name: string;
  /** Do the next piece. @returns false when none is due */
  next: () => Promise<boolean>;
  /** Between two looks for what nobody announced, ms: what an instance left that was killed, and what is due by now. */
  pollMs: () => number;
  /** When the process stops, the piece under way may take, ms. */
  drainMs: number;
}

const keyOf = (name: string) => `rounds.${name}`;

/** There is work for the rounds of that name once `tx` is committed. */
export function markRound(tx: Committed, name: string): void {
  if (tx.queryRunner) tx.queryRunner.data[keyOf(name)] = true;
}

/**
 * Does work that waits in a table, one piece at a time, in the background: at once when a transaction that announced it has
 * committed, else at the next look.
 */
export class Rounds {
  private readonly stopping = new AbortController();
  private isWoken = false;
  private running?: Promise<void>;
  private poll?: NodeJS.Timeout;
  private unhook?: () => void;

  constructor(private readonly options: RoundsOptions) {}

  /** Begin to work. */
  start(): void {
    const { storage, name } = this.options;
    this.unhook = storage.onCommit((tx) => {
      if (tx.queryRunner?.data[keyOf(name)] === true) this.wake();
    });
    this.wake();
  }

  /** Take no further piece, and let the one under way come to its end. */
  async stop(): Promise<void> {
    clearTimeout(this.poll);
    this.unhook?.();
    this.stopping.abort();
    const late = new AbortController();
    await Promise.race([this.running, rest(this.options.drainMs, late.signal)]);
    late.abort();
  }

  /** Look now. */
  wake(): void {
    this.isWoken = true;
    if (this.stopping.signal.aborted) return;
    this.running ??= runWithout(() => this.run()).finally(() => {
      this.running = undefined;
      if (this.isWoken) this.wake();
      else this.plan();
    });
  }

  private plan(): void {
    clearTimeout(this.poll);
    if (this.stopping.signal.aborted) return;
    this.poll = runWithout(() => setTimeout(() => this.wake(), this.options.pollMs()));
  }

  private async run(): Promise<void> {
    this.isWoken = false;
    try {
      while (!this.stopping.signal.aborted && (await this.options.next()));
    } catch (error) {
      // The look that follows tries again; of an outage the storage has said it.
      if (!isUnavailable(error)) this.options.log.warn(`${this.options.name} stand still, will try again`, { error });
    }
  }
}
