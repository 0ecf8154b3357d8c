import { setTimeout as pause } from 'node:timers/promises';
import type { ChildProcess } from 'node:child_process';
import { Group, type GroupListener, type Standing } from './group.js';
import type { Identity } from '../machine/identity.js';
import type { HostOptions, Seat } from './protocol.js';
import { type HostSource, type Spare, spawnSpare } from './source.js';

/** Closed before all others: the only way in. */
const FIRST = ['gateway'];
/** Closed after all others: they need these to leave in good order. */
const LAST = ['config', 'discovery'];
/** There is one of each, whatever is asked: the agent keeps its state in one place. */
const SINGLE = ['discovery'];
/** More instances of one process on one machine than anybody means, a guard against a slip of the finger. */
const MOST_INSTANCES = 16;

/** The longest of the random pauses of a shuffled start, ms. */
const SHUFFLE_PAUSE_MS = 200;

/** For new code to be ready; one that waits for something else must not hold up the next edit, ms. */
const RENEWED_MS = 5000;

/** What a fleet is made of. */
export interface FleetOptions {
  /** The groups: each inner list shares a Node process. */
  folding: Seat[][];
  source: HostSource;
  screen: HostOptions['screen'];
  listener: GroupListener;
  /** A Node process that was begun early and becomes the first host. */
  early?: ChildProcess;
}

/** All groups of the mesh, and what can be done to them together. */
export class Fleet {
  private readonly groups: Group[];
  /** Whoever has taken a process over, by the process's name. */
  private readonly taken = new Set<string>();
  /** Processes that are about to run in another group. */
  private readonly leaving = new Set<string>();
  private readonly spares = new Map<Spare, ChildProcess>();
  private launched = false;
  private draining = false;

  constructor(private readonly options: FleetOptions) {
    this.groups = options.folding.map((seats) => this.group(seats, 0));
    if (options.early) this.keep('rooms', options.early);
  }

  /** Every process and instance, in the order of the groups. */
  get standings(): Standing[] {
    return this.groups.flatMap((group) => [...group.standings.values()]);
  }

  get isReady(): boolean {
    return this.groups.every((group) => group.isReady);
  }

  /** The Node processes there are now. */
  get identities(): Identity[] {
    return this.groups.flatMap((group) => group.identity ?? []);
  }

  /** Starts the Node processes; they load their code and wait. */
  start(): void {
    for (const group of this.groups) group.start(this.takeSpare('rooms'));
  }

  /** Lets everything run. */
  launch(): void {
    this.launched = true;
    for (const group of this.groups) group.launch();
  }

  /** Lets everything run in a random order with random pauses, to show that the order does not matter. */
  async launchShuffled(): Promise<void> {
    const order = this.standings.map(({ name }) => ({ name, at: Math.random() })).sort((a, b) => a.at - b.at);
    for (const { name } of order) {
      this.groupOf(name).launch([name]);
      await pause(Math.random() * SHUFFLE_PAUSE_MS);
    }
    this.launched = true;
  }

  /** Adds processes that were not there when it started, in a Node process of their own. */
  add(names: readonly string[]): void {
    const group = this.group(names.map((name) => ({ name })), 0); // prettier-ignore
    this.groups.push(group);
    group.start();
    if (this.launched) group.launch();
  }

  /**
   * Makes it `count` instances of one process: more as Node processes of their own, fewer by draining the last ones.
   *
   * @throws Error when there is no such process or it cannot be more than one
   */
  async scale(name: string, count: number): Promise<void> {
    this.groupOf(name);
    if (!Number.isInteger(count) || count < 1 || count > MOST_INSTANCES)
      throw new Error(`scale: from 1 to ${MOST_INSTANCES} instances of ${name}`);
    if (count > 1 && SINGLE.includes(name)) throw new Error(`scale: there can be only one ${name}`);
    const extra = this.groups.filter(({ options, names }) => options.slot > 0 && names[0] === name);
    for (let slot = 1; slot < count; slot++) {
      if (extra.some(({ options }) => options.slot === slot)) continue;
      const group = this.group([{ name, port: 0 }], slot);
      this.groups.push(group);
      group.start();
      if (this.launched) group.launch();
    }
    await Promise.all(extra.filter(({ options }) => options.slot >= count).map((group) => this.dismiss(group)));
  }

  /** Stops a process here because it runs somewhere else from now on. @throws Error when somebody has it already */
  async give(name: string): Promise<void> {
    const group = this.groupOf(name);
    if (this.taken.has(name)) throw new Error(`${name} is taken over already; end that \`mesh dev\` first`);
    this.taken.add(name);
    await group.close([name], { hurry: false, elsewhere: true });
    if (group.isEmpty) await group.end();
  }

  /** Runs here again what was given away. */
  takeBack(name: string): void {
    if (!this.taken.delete(name) || this.draining) return;
    if (!this.leaving.has(name)) this.groupOf(name).resume([name]); // else the group that comes will run it
  }

  /**
   * Runs these processes in new Node processes with the code as it is now, and waits until they are ready. The old ones serve until
   * the new code is loaded, and go on when it cannot be. What shares a Node process with them and is not named stays as it is, so that
   * an edit of one process does not wait for the start of all.
   *
   * @param areRoomsNew  what has loaded the rooms has the old ones
   * @returns a sentence for each process whose code could not be loaded
   */
  async renew(names: readonly string[], areRoomsNew = false): Promise<string[]> {
    if (areRoomsNew) this.takeSpare('rooms')?.kill();
    const affected = this.groups.filter((group) => group.names.some((name) => names.includes(name)));
    return (await Promise.all(affected.map((group) => this.replace(group, names)))).flat();
  }

  private async replace(old: Group, names: readonly string[]): Promise<string[]> {
    const { slot } = old.options;
    const seats = old.options.seats.filter(({ name }) => names.includes(name));
    const renewed = seats.map(({ name }) => name);
    const next = this.group(seats, slot);
    next.start(this.takeSpare('rooms') ?? this.takeSpare('packages'));
    const failures = await next.loaded;
    if (failures.length > 0 || this.draining) {
      next.kill();
      return failures;
    }
    for (const name of renewed) this.leaving.add(name);
    await old.release(renewed);
    const isEmpty = old.names.length === 0;
    this.groups.splice(this.groups.indexOf(old), isEmpty ? 1 : 0, next);
    if (isEmpty) await old.end();
    for (const name of renewed) this.leaving.delete(name);
    // Not before: it may have been taken over while the code was loaded.
    if (slot === 0) next.leaveOut(renewed.filter((name) => this.taken.has(name)));
    next.launch();
    // What comes next would take the processor from what is being waited for.
    await Promise.race([next.ready, pause(RENEWED_MS, undefined, { ref: false })]);
    this.keepSpare();
    return [];
  }

  /** Keeps Node processes at hand that have loaded what an edit does not change. */
  keepSpare(): void {
    if (this.draining) return;
    const { source } = this.options;
    for (const kind of ['rooms', 'packages'] satisfies Spare[]) {
      if (!this.spares.has(kind)) this.keep(kind, spawnSpare(source, kind));
    }
  }

  private keep(kind: Spare, spare: ChildProcess) {
    this.spares.set(kind, spare);
    spare.once('exit', () => {
      if (this.spares.get(kind) === spare) this.spares.delete(kind);
    });
  }

  private takeSpare(kind: Spare): ChildProcess | undefined {
    const spare = this.spares.get(kind);
    this.spares.delete(kind);
    return spare?.connected ? spare : undefined;
  }

  /** Stops all in order: the door, then what is behind it, then what those need to leave. */
  async drain(): Promise<void> {
    this.draining = true;
    for (const spare of this.spares.values()) spare.kill();
    const middle = this.groups.flatMap(({ names }) => names).filter((name) => ![...FIRST, ...LAST].includes(name));
    for (const stage of [FIRST, middle, LAST]) {
      const closing = (group: Group) => group.close(group.names.filter((name) => stage.includes(name)), { hurry: true }); // prettier-ignore
      await Promise.all(this.groups.map(closing));
    }
    await Promise.all(this.groups.map((group) => group.end()));
  }

  kill(): void {
    this.draining = true;
    for (const spare of this.spares.values()) spare.kill('SIGKILL');
    for (const group of this.groups) group.kill();
  }

  private async dismiss(group: Group) {
    await group.close(group.names, { hurry: false });
    await group.end();
    this.groups.splice(this.groups.indexOf(group), 1);
    this.options.listener.moved();
  }

  private group(seats: Seat[], slot: number): Group {
    const { screen, source, listener } = this.options;
    return new Group({ seats, slot, screen }, source, listener);
  }

  private groupOf(name: string): Group {
    const group = this.groups.find(({ names, options }) => options.slot === 0 && names.includes(name));
    if (!group)
      throw new Error(
        `there is no process '${name}'. There are: ${[...new Set(this.standings.map((standing) => standing.name))].join(', ')}`,
      );
    return group;
  }
}
