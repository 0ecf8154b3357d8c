import { runWithout } from '#context';

/** Why an event does not go through. */
export interface Failure {
  eventId: string;
  reason: string;
  /** Tries so far, at least 1. */
  attempts: number;
}

/** What a subscription knows of one partition of a topic. */
export class Partition {
  /** There may be events. */
  isWoken = false;
  isRunning = false;
  /** So many events are taken one at a time, after a batch failed: what is good commits, what fails is found. */
  alone = 0;
  /** Tries in a row that failed with nobody's event to blame. */
  outages = 0;
  failure?: Failure;
  private timer?: NodeJS.Timeout;

  constructor(
    readonly topic: string,
    readonly number: number,
  ) {}

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
