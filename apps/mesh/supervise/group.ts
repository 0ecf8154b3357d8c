import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { ProcessState } from '#service';
import { identify, type Identity } from '../machine/identity.js';
import { Backoff } from './backoff.js';
import { hostArguments, type HostOptions, type Order, type Word } from './protocol.js';
import { type HostSource, spawnApart } from './source.js';

/** A host that has not ended this long after it was told to is killed, ms: the 15 s of a drain and a little. */
const PATIENCE_MS = 16_000;

/** How a process stands, as the launcher sees it. */
export interface Standing extends Omit<ProcessState, 'state' | 'pid'> {
  state: ProcessState['state'] | 'loading' | 'failed' | 'restarting' | 'elsewhere';
  /** Its Node process; undefined while there is none. */
  pid?: number;
  /** Since when it has stood so, ms since the epoch. */
  sinceMs: number;
  /** How often its Node process had to be started again. */
  restarts: number;
}

/** What a group tells whoever holds it. */
export interface GroupListener {
  /** A standing is new. */
  changed(standing: Standing): void;
  /** Something worth a line: a crash, a restart. */
  note(text: string): void;
  /** A line that the host wrote. */
  output(line: string): void;
  /** Its Node process is another one, or gone. */
  moved(): void;
}

/** Processes that share one Node process, kept alive until they are closed. */
export class Group {
  readonly standings = new Map<string, Standing>();
  private readonly backoff = new Backoff();
  private readonly wanted: Set<string>;
  private readonly waiting: { names: Set<string>; done: () => void }[] = [];
  private readonly loading = Promise.withResolvers<string[]>();
  private readonly standing = Promise.withResolvers<void>();
  private child?: ChildProcess;
  private launched = false;
  private stopping = false;
  private restarts = 0;
  private retry?: NodeJS.Timeout;
  identity?: Identity;

  constructor(
    readonly options: HostOptions,
    private readonly source: HostSource,
    private readonly listener: GroupListener,
  ) {
    this.wanted = new Set(this.names);
    const sinceMs = Date.now();
    for (const name of this.names) {
      this.standings.set(name, { name, slot: options.slot, state: 'loading', waitingFor: [], sinceMs, restarts: 0 });
    }
  }

  get names(): string[] {
    return this.options.seats.map(({ name }) => name);
  }

  /** Nothing runs here any more, so its Node process ends. */
  get isEmpty(): boolean {
    return this.wanted.size === 0;
  }

  get isReady(): boolean {
    return [...this.standings.values()].every(({ state }) => state === 'ready' || state === 'elsewhere');
  }

  /** Resolves when the code is loaded, with a sentence for each process whose code could not be. */
  get loaded(): Promise<string[]> {
    return this.loading.promise;
  }

  /** Resolves when all are ready for the first time. */
  get ready(): Promise<void> {
    return this.standing.promise;
  }

  /**
   * Starts the Node process, which loads the code; nothing runs before `launch`.
   *
   * @param spare  a process to become the host, when one is kept ready
   */
  start(spare?: ChildProcess): void {
    const args = hostArguments(this.options);
    const child = spare ?? spawnApart(this.source, [this.source.file, ...args]);
    spare?.send(args);
    this.child = child;
    this.identity = child.pid === undefined ? undefined : identify(child.pid);
    for (const stream of [child.stdout, child.stderr]) this.read(stream);
    child.on('message', (word: Word) => this.hear(word));
    child.on('error', (error) => this.ended(child, `cannot be started: ${error.message}`));
    child.on('exit', (code, signal) => this.ended(child, signal ? `was killed (${signal})` : `ended with code ${code}`));
    this.listener.moved();
    for (const name of this.wanted) this.stand(name, { state: 'loading', waitingFor: [] });
    if (this.launched) this.send({ do: 'launch', names: [...this.wanted] });
  }

  /** Lets these run elsewhere from the beginning. */
  leaveOut(names: readonly string[]): void {
    for (const name of names) if (this.wanted.delete(name)) this.stand(name, { state: 'elsewhere', waitingFor: [] });
  }

  /** Lets them run, now and after every restart. */
  launch(names: readonly string[] = [...this.wanted]): void {
    this.launched = true;
    this.send({ do: 'launch', names: [...names] });
  }

  /** Takes some of them back into this group. */
  resume(names: readonly string[]): void {
    for (const name of names) {
      this.wanted.add(name);
      this.stand(name, { state: 'loading', waitingFor: [] });
    }
    this.stopping = false;
    if (this.child) this.send({ do: 'launch', names: [...names] });
    else this.start();
  }

  /**
   * Drains and closes some of them; with none left the Node process ends.
   *
   * @param elsewhere  they go on in another process meanwhile
   */
  async close(names: readonly string[], { hurry, elsewhere = false }: { hurry: boolean; elsewhere?: boolean }): Promise<void> {
    const closing = names.filter((name) => this.wanted.delete(name));
    if (this.wanted.size === 0) this.stopping = true;
    if (closing.length > 0 && this.child) {
      const closed = new Promise<void>((done) => this.waiting.push({ names: new Set(closing), done }));
      this.send({ do: 'close', names: closing, hurry, last: this.wanted.size === 0 });
      // One that hears nothing any more cannot be asked twice.
      const help = setTimeout(() => this.child?.kill('SIGKILL'), PATIENCE_MS);
      await closed;
      clearTimeout(help);
    }
    if (this.wanted.size === 0) clearTimeout(this.retry);
    for (const name of closing) this.stand(name, { state: elsewhere ? 'elsewhere' : 'stopped', waitingFor: [], url: undefined });
  }

  /** Closes some of them here for good: they go on in another group. */
  async release(names: readonly string[]): Promise<void> {
    await this.close(names, { hurry: true });
    this.options.seats = this.options.seats.filter(({ name }) => !names.includes(name));
    for (const name of names) this.standings.delete(name);
  }

  /** Waits for the end of a closed group's Node process, and helps when it does not come. */
  async end(): Promise<void> {
    const { child } = this;
    if (!child) return;
    const help = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    await new Promise<void>((gone) => child.once('exit', () => gone()));
    clearTimeout(help);
  }

  /** Ends it at once, without a word. */
  kill(): void {
    this.stopping = true;
    clearTimeout(this.retry);
    this.child?.kill('SIGKILL');
  }

  private send(order: Order) {
    if (this.child?.connected) this.child.send(order, () => undefined); // a host that ends meanwhile is noticed by its exit
  }

  private hear(word: Word) {
    switch (word.say) {
      case 'loaded':
        this.loading.resolve(word.failures.map(({ name, reason }) => `${name}: ${reason}`));
        return;
      case 'state': {
        const { name, state, waitingFor, url } = word.state;
        if (!this.standings.has(name) || (!this.wanted.has(name) && state !== 'stopping')) return;
        this.stand(name, { state, waitingFor, url });
        if (!this.isReady) return;
        this.backoff.ready(Date.now());
        this.standing.resolve();
        return;
      }
      case 'failed':
        this.stand(word.name, { state: 'failed', waitingFor: [word.reason] });
        return;
      case 'closed':
        this.settle([word.name]);
        return;
    }
  }

  private settle(names: readonly string[]) {
    for (const wait of this.waiting.slice()) {
      for (const name of names) wait.names.delete(name);
      if (wait.names.size > 0) continue;
      this.waiting.splice(this.waiting.indexOf(wait), 1);
      wait.done();
    }
  }

  private ended(child: ChildProcess, how: string) {
    if (this.child !== child) return;
    this.child = undefined;
    const { pid } = child;
    this.identity = undefined;
    this.settle(this.names);
    this.loading.resolve([`its Node process ${how}`]);
    this.listener.moved();
    if (this.stopping) return;
    this.restarts++;
    const afterMs = this.backoff.crashed(Date.now());
    for (const name of this.wanted) this.stand(name, { state: 'restarting', waitingFor: [how], url: undefined });
    const who = this.names.length === 1 ? this.names[0] : `the process of ${this.names.join(', ')}`;
    this.listener.note(`${who} (pid ${pid}) ${how}; starting it again in ${(afterMs / 1000).toFixed(1)} s`);
    this.retry = setTimeout(() => this.start(), afterMs);
  }

  private stand(name: string, now: Pick<Standing, 'state' | 'waitingFor'> & { url?: string }) {
    const before = this.standings.get(name);
    const sinceMs = before?.state === now.state ? before.sinceMs : Date.now();
    const { slot } = this.options;
    const standing = { name, slot, pid: this.identity?.pid, restarts: this.restarts, ...now, sinceMs };
    this.standings.set(name, standing);
    this.listener.changed(standing);
  }

  private read(stream: Readable | null) {
    if (stream) createInterface({ input: stream }).on('line', (line) => this.listener.output(line));
  }
}
