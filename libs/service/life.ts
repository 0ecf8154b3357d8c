import type { ProcessState } from './definition.js';

/** The state of one process while it starts, runs and stops, told to whoever launched it whenever it changes. */
export class Life {
  private readonly waits = new Map<string, string>();
  private current: ProcessState['state'] = 'starting';
  private told = '';
  url?: string;

  constructor(
    readonly name: string,
    public slot: number,
    private readonly report: (state: ProcessState) => void = () => undefined,
  ) {}

  /** What is being waited for now, in sentences. */
  get waitingFor(): string[] {
    return this.current === 'starting' && this.waits.size === 0 ? ['its start'] : [...this.waits.values()];
  }

  get state(): ProcessState['state'] {
    return this.current;
  }

  /** Say that `what` is being waited for, and why. */
  wait(what: string, why: string): void {
    this.waits.set(what, why);
    if (this.current === 'starting') this.current = 'waiting';
    this.tell();
  }

  met(what: string): void {
    if (this.waits.delete(what)) this.tell();
  }

  /** Take over all that is missing at once. */
  missing(whys: readonly string[]): void {
    this.waits.clear();
    for (const why of whys) this.waits.set(why, why);
    this.tell();
  }

  become(state: ProcessState['state']): void {
    this.current = state;
    this.tell();
  }

  private tell() {
    if (this.current === 'waiting' && this.waits.size === 0) return; // between two waits there is nothing to tell
    const { name, slot, url } = this;
    const waitingFor = this.current === 'ready' || this.current === 'stopped' ? [] : [...this.waits.values()];
    const state: ProcessState = { name, slot, pid: process.pid, state: this.current, waitingFor, url };
    const text = JSON.stringify(state);
    if (text === this.told) return; // the same wait is said again and again while it lasts
    this.told = text;
    this.report(state);
  }
}
