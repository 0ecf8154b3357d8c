import { setSourceMapsSupport } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { environment } from '#config';
import { createLog, type Log, type Spool } from '#log';
import { isServiceDefinition, launch, openSpool, type Running, type ServiceDefinition } from '#service';
import { projects } from '../up/projects.js';
import { Backoff } from './backoff.js';
import { hostOptions, type HostOptions, type Order, type Seat, type Word } from './protocol.js';

/** All of a stop, ms: longer than the processes' own drain, shorter than what an orchestrator waits. */
const DRAIN_MS = 15_000;
/** Of all that is said on stderr about a crash, this much is worth keeping, characters. */
const REASON_LENGTH = 500;

const tell = (word: Word) => void (process.connected && process.send?.(word));
const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).slice(0, REASON_LENGTH);

/** Runs several processes' modules in this Node process, as the launcher orders. */
class Host {
  private readonly running = new Map<string, Running>();
  private readonly wanted = new Set<string>();
  private readonly definitions = new Map<string, Promise<ServiceDefinition>>();
  private ending = false;

  constructor(
    private readonly options: HostOptions,
    private readonly spool: Spool,
  ) {
    const { root } = environment();
    const modules = new Map(projects(root).map(({ name, module }) => [name, module]));
    for (const { name } of options.seats) this.definitions.set(name, definitionIn(modules.get(name), name));
  }

  /** Waits until the code of all is there, so that an order to launch takes effect at once. */
  async load(): Promise<void> {
    const names = [...this.definitions.keys()];
    const outcomes = await Promise.allSettled(this.definitions.values());
    const failed = outcomes.map((outcome, i) => ({ name: names[i] ?? '', outcome }));
    const failures = failed.flatMap(({ name, outcome }) => outcome.status === 'rejected' ? [{ name, reason: reasonOf(outcome.reason) }] : []); // prettier-ignore
    tell({ say: 'loaded', failures });
  }

  obey(order: Order): void {
    if (this.ending) return;
    switch (order.do) {
      case 'launch':
        for (const name of order.names) void this.start(name);
        return;
      case 'close':
        void this.close(order.names, order.hurry).then(() => (order.last ? this.end(true) : undefined));
        return;
    }
  }

  /** Closes what runs and ends this Node process. */
  async end(hurry: boolean, code = 0): Promise<void> {
    if (this.ending) return;
    this.ending = true;
    setTimeout(() => process.exit(1), DRAIN_MS).unref();
    await this.close([...this.wanted], hurry);
    await this.spool.close();
    process.exit(code);
  }

  /** The last words of a Node process that something unforeseen ends: to the launcher's screen and to the spool. */
  async crash(error: Error): Promise<void> {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    this.logOf(this.options.seats[0]?.name ?? 'host').error('process ends by an uncaught error', { error });
    await this.spool.close();
    process.exit(1);
  }

  /** One that cannot start does not take the others with it: it is tried again, and says why. */
  private async start(name: string) {
    if (this.wanted.has(name)) return;
    this.wanted.add(name);
    if (await this.cannotLoad(name)) return;
    const backoff = new Backoff();
    while (this.wanted.has(name)) {
      try {
        const running = await this.launch(name);
        this.running.set(name, running);
        await running.ready;
        return;
      } catch (error) {
        await this.running.get(name)?.close({ hasty: true });
        this.running.delete(name);
        if (!this.wanted.has(name)) return;
        tell({ say: 'failed', name, reason: reasonOf(error) });
        await pause(backoff.crashed(Date.now()));
      }
    }
  }

  /** Code that cannot be loaded cannot be loaded later either: only a new Node process reads it again. */
  private async cannotLoad(name: string): Promise<boolean> {
    try {
      await this.definitions.get(name);
      return false;
    } catch (error) {
      tell({ say: 'failed', name, reason: reasonOf(error) });
      if (this.options.seats.length === 1) await this.crash(error as Error);
      return true;
    }
  }

  private async launch(name: string): Promise<Running> {
    const definition = await this.definitions.get(name)!;
    const { seats, slot } = this.options;
    const report = (state: Extract<Word, { say: 'state' }>['state']) => tell({ say: 'state', state });
    const { port } = seats.find((seat) => seat.name === name)!;
    return launch(definition, { log: this.logOf(name), slot, port, report, ofNode: seats[0]?.name === name });
  }

  private logOf(name: string): Log {
    const { version, profile } = environment();
    return createLog({ service: name, version, environment: profile, spool: this.spool, screen: this.options.screen });
  }

  private async close(names: string[], hurry: boolean) {
    await Promise.all(
      names.map(async (name) => {
        this.wanted.delete(name);
        await this.running.get(name)?.close({ hasty: hurry });
        this.running.delete(name);
        tell({ say: 'closed', name });
      }),
    );
  }
}

/** The definition of that name which a process's file exports. @throws Error when there is none */
async function definitionIn(module: string | undefined, name: string): Promise<ServiceDefinition> {
  if (!module) throw new Error(`nest-cli.json has no process '${name}'`);
  const exports = Object.values((await import(pathToFileURL(module).href)) as Record<string, unknown>);
  const found = exports.filter(isServiceDefinition).find((definition) => definition.name === name);
  if (!found) throw new Error(`${module} exports no service named '${name}'`);
  return found;
}

/** A spool file belongs to one Node process, so it is named after what runs in it. */
const spoolName = ({ seats, slot }: { seats: Seat[]; slot: number }) =>
  `${seats[0]?.name ?? 'host'}${seats.length > 1 ? `-and-${seats.length - 1}` : ''}${slot ? `-${slot}` : ''}`;

setSourceMapsSupport(true, { nodeModules: false, generatedCode: false });
const options = hostOptions(process.argv.slice(2));
const spool = openSpool(spoolName(options));
const host = new Host(options, spool);

process.on('message', (order: Order) => host.obey(order));
// The launcher was killed: nobody would ever stop us.
process.on('disconnect', () => void host.end(true));
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void host.end(false));
// With the launcher its end of the pipes is gone too.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
process.on('uncaughtException', (error) => void host.crash(error));

await host.load();
