import { runWithout } from '#context';
import type { Reader } from './reader.js';

/** When a subscription reads one partition of a topic. */
export class Partition {
  /** There may be events. */
  isWoken = false;
  isRunning = false;
  private timer?: NodeJS.Timeout;

  constructor(readonly reader: Reader) {}

  get isDue(): boolean {
    return this.isWoken && !this.isRunning && this.timer === undefined;
  }

  /** Not due for `ms`; then `call` is called. */
  rest(ms: number, call: () => void): void {
    this.rouse();
    this.timer = runWithout(() =>
      setTimeout(() => {
        this.timer = undefined;
        call();
      }, ms),
    );
  }

  /** Due again now, if there is something to do. */
  rouse(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
