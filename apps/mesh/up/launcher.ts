import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { environment, type Environment } from '#config';
import { firstAdministrator } from '../identity/identity.js';
import type { Screen } from '../screen/screen.js';
import { Fleet } from '../supervise/fleet.js';
import type { Standing } from '../supervise/group.js';
import { ControlServer, type Controlled } from '../wire/control.js';
import { Database } from './database.js';
import type { DemoProgress } from '../demo/bring.js';
import { Demo, type Films, firstFilms } from '../demo/demo.js';
import { describeFold } from './fold.js';
import type { Plan } from './plan.js';
import { projects } from './projects.js';
import { Runtime } from '../machine/runtime.js';
import { makeMeshSecrets } from './secrets.js';

/** All of a stop, ms; what has not ended by then is killed. */
const DRAIN_MS = 15_000;
/** Between two looks for the first film, ms. */
const LOOK_MS = 100;
/** Between two looks at our own table, ms. */
const GLANCE_MS = 20;
/** What the films need: the way in, a token, and the side that writes them. */
const DEMO_NEEDS = ['gateway', 'oauth', 'movie-command'];
/** What the chain needs besides. */
const CHAIN_NEEDS = ['chain', 'cinema', 'auditorium', 'movie', 'screening', 'user', 'manager'].flatMap((name) => [
  `${name}-command`,
  `${name}-query`,
]);

/** One run of the mesh, from its first process to its last. */
export class Launcher implements Controlled {
  private readonly database?: Database;
  private readonly fleet: Fleet;
  private readonly demo?: Demo;
  private control?: ControlServer;
  private films?: Films;
  private chain?: DemoProgress;
  private databaseRow?: { name: string; state: string; detail: string; sinceMs: number };
  private stopped?: Promise<void>;
  private readonly over = Promise.withResolvers<number>();

  constructor(
    private readonly plan: Plan,
    private readonly env: Environment,
    private readonly runtime: Runtime,
    private readonly screen: Screen,
    early?: ChildProcess,
  ) {
    const { dataDir } = env;
    if (!plan.databaseUrl) this.database = new Database(dataDir, (state, detail = '') => this.databaseStands(state, detail));
    if (plan.demo) this.demo = this.demonstration();
    this.fleet = new Fleet({
      folding: plan.folding.map((names) => names.map((name) => ({ name, port: plan.ports[name] }))),
      ...{ source: plan.source, early },
      screen: plan.logs ? 'pretty' : 'none',
      listener: {
        changed: () => this.show(),
        note: (text) => screen.note(text),
        output: (line) => screen.output(line),
        moved: () => runtime.update({ children: this.fleet.identities }),
      },
    });
  }

  /** Starts everything. @returns the exit code, once everything has ended */
  run(): Promise<number> {
    this.start().catch((error: unknown) => {
      if (this.stopped) return; // it was told to stop while it started: what failed was to go anyway
      this.screen.note(error instanceof Error ? error.message : String(error));
      void this.stop(1);
    });
    return this.over.promise;
  }

  /** Drains and stops all, in order. */
  stop(code = 0): Promise<void> {
    this.stopped ??= this.end(code);
    return this.stopped;
  }

  /** Ends all at once, without finishing anything; what was acknowledged is on disk. */
  async kill(code: number): Promise<void> {
    this.screen.note('killing everything now');
    this.demo?.stop();
    this.fleet.kill();
    await this.database?.kill();
    this.leave(code);
  }

  standings = (): Standing[] => this.fleet.standings;
  scale = (name: string, count: number): Promise<void> => this.fleet.scale(name, count);
  give = (name: string): Promise<void> => this.fleet.give(name);
  takeBack = (name: string): void => this.fleet.takeBack(name);
  renew = (names: readonly string[], areRoomsNew: boolean): Promise<string[]> => this.fleet.renew(names, areRoomsNew);
  keepSpare = (): void => this.fleet.keepSpare();

  async adopt(): Promise<string[]> {
    const there = new Set(this.standings().map(({ name }) => name));
    const added = projects(this.env.root)
      .map(({ name }) => name)
      .filter((name) => ![...there, ...this.plan.processes, ...this.plan.leftOut].includes(name));
    if (added.length === 0) return [];
    makeMeshSecrets(this.env.dataDir, added);
    await this.database?.prepare(added);
    this.fleet.add(added);
    return added;
  }

  private async start() {
    makeMeshSecrets(this.env.dataDir, this.plan.processes);
    this.control = await ControlServer.open(this);
    this.runtime.update({ control: this.control.address });
    this.fleet.start();
    await this.openDatabase();
    if (this.stopped) return;
    if (this.plan.shuffle) await this.fleet.launchShuffled();
    else this.fleet.launch();
    await this.becomeReady();
  }

  /** The processes load their code meanwhile; they are let go once what they find in the runtime file is complete. */
  private async openDatabase() {
    if (!this.database) return;
    const url = await this.database.start(this.plan.processes);
    this.runtime.update({ database: { url } });
  }

  private async becomeReady() {
    this.films = this.demo?.finished;
    while (!this.stopped && !this.fleet.isReady) await pause(GLANCE_MS);
    if (this.stopped) return;
    const made = this.administrator();
    while (!this.stopped && !(await this.canBeRead())) await pause(LOOK_MS);
    const administrator = await made;
    if (this.stopped) return;
    const { mesh } = this.runtime;
    this.screen.ready({
      seconds: (Date.now() - this.plan.sinceMs) / 1000,
      api: mesh.gateway,
      docs: `${mesh.gateway}/docs`,
      fold: describeFold(this.plan.folding),
      pid: process.pid,
      dataDir: this.env.dataDir,
      films: this.films,
      administrator,
    });
    this.show();
  }

  /** Made at the first start; what cannot be made now is made at the next. */
  private async administrator() {
    if (!this.plan.processes.includes('user-command')) return undefined;
    try {
      return await firstAdministrator(environment());
    } catch (error) {
      this.screen.note(`there is no administrator yet (${(error as Error).message}); the next start makes one`);
      return undefined;
    }
  }

  /** Each process may be ready before the gateway knows of it: what counts is an answer at the public door. */
  private async canBeRead(): Promise<boolean> {
    const page = await firstFilms(this.runtime.mesh.gateway);
    if (!page || !this.demo || page.items.length > 0) return page !== undefined;
    // What was imported once may have been removed since; importing again does no harm.
    this.demo.start(true);
    return false;
  }

  private show() {
    if (this.demo && !this.stopped && this.isReady(DEMO_NEEDS)) this.demo.start();
    const rows = this.fleet.standings.map(({ name, slot, state, waitingFor, sinceMs }) => ({
      name: slot ? `${name}#${slot}` : name,
      state,
      detail: waitingFor.join('; '),
      sinceMs,
    }));
    this.screen.show({ rows: [...(this.databaseRow ? [this.databaseRow] : []), ...rows], films: this.films, chain: this.chain });
  }

  private isReady(names: readonly string[]): boolean {
    return names.every((name) => this.fleet.standings.some((standing) => standing.name === name && standing.state === 'ready'));
  }

  private demonstration(): Demo {
    const { plan, env, screen } = this;
    const show = (arrived: { films?: Films; chain?: DemoProgress }) => {
      Object.assign(this, arrived);
      this.show();
    };
    return new Demo({
      ...plan.source,
      meshFile: join(env.root, 'dist/apps/mesh/mesh.js'),
      dataDir: env.dataDir,
      hasChain: CHAIN_NEEDS.every((name) => plan.processes.includes(name)),
      films: (films) => show({ films }),
      chain: (chain) => show({ chain }),
      note: (text) => screen.note(text),
    });
  }

  private databaseStands(state: string, detail: string) {
    const sinceMs = this.databaseRow?.state === state ? this.databaseRow.sinceMs : Date.now();
    this.databaseRow = { name: 'postgresql', state, detail, sinceMs };
    if (state === 'restarting') this.screen.note(`PostgreSQL is gone (${detail}); starting it again on its port`);
    this.show();
  }

  private async end(code: number) {
    this.screen.note('stopping: first the gateway, then the services, then what they stand on');
    this.control?.close();
    this.demo?.stop();
    this.films = undefined;
    const late = setTimeout(() => this.fleet.kill(), DRAIN_MS);
    await this.fleet.drain();
    clearTimeout(late);
    await this.database?.stop();
    this.screen.note('stopped');
    this.leave(code);
  }

  private leave(code: number) {
    this.control?.close();
    this.over.resolve(code);
  }
}
