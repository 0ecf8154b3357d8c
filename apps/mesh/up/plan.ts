import { setTimeout as pause } from 'node:timers/promises';
import type { Environment } from '#config';
import { quietPort } from '#postgres';
import { type HostSource, hostSource } from '../supervise/source.js';
import { parseFold, unfold, type Folding } from './fold.js';
import { isFree, portOwner, portTaken } from '../machine/ports.js';
import { projects } from './projects.js';

/** What `mesh up` was asked. */
export interface UpOptions {
  port: number;
  configPort: number;
  discoveryPort: number;
  unfold?: boolean;
  fold?: string;
  json?: boolean;
  /** Names of resources or processes: what everything stands on, and these alone. */
  only?: string;
  /** False with `--no-demo`. */
  demo: boolean;
  /** Show the processes' log lines too. */
  logs?: boolean;
  shuffle?: boolean;
  /** When the installation was done, ms since the epoch. */
  since?: number;
}

/** What one run of the mesh is made of. */
export interface Plan {
  /** Every process that is wanted, whether it runs here or not. */
  processes: string[];
  /** Those that `--only` leaves out. */
  leftOut: string[];
  folding: Folding;
  /** The ports of those that have one of their own. */
  ports: Record<string, number>;
  source: HostSource;
  demo: boolean;
  logs: boolean;
  shuffle: boolean;
  sinceMs: number;
  /** The database server given from outside; without one the embedded PostgreSQL is started. */
  databaseUrl?: string;
  addresses: { gateway: string; config: string; consul: string };
}

/** What every other process stands on: the ways in and to each other, and who is calling. */
const PLATFORM = ['gateway', 'config', 'discovery', 'oauth', 'user-command', 'user-query'];

/**
 * The platform, and the processes of what `--only` names.
 *
 * @param only  resources or processes, with commas
 * @throws Error naming what is neither
 */
export function onlyOf(only: string, all: readonly string[]): string[] {
  const wanted = only.split(',').map((name) => name.trim()).filter(Boolean); // prettier-ignore
  const sidesOf = (name: string) => all.filter((process) => [name, `${name}-command`, `${name}-query`].includes(process));
  const unknown = wanted.find((name) => sidesOf(name).length === 0);
  if (unknown) throw new Error(`--only: there is no resource or process '${unknown}'. There are: ${all.join(', ')}`);
  const chosen = new Set([...PLATFORM, ...wanted.flatMap(sidesOf)]);
  return all.filter((name) => chosen.has(name));
}

/** The ports that were asked for; of those that any will do for, each another. */
async function portsOf({ port: gateway, configPort: config, discoveryPort: discovery }: UpOptions) {
  const ports = { gateway, config, discovery };
  for (const [name, wanted] of Object.entries(ports) as [keyof typeof ports, number][]) {
    if (wanted) continue;
    const others = Object.values(ports);
    do ports[name] = await quietPort();
    while (others.includes(ports[name])); // by chance the same is free twice
  }
  return ports;
}

/**
 * Decides what runs, where.
 *
 * @param node  the Node that hosts run in
 * @throws Error when `--fold` or `--only` names what does not exist
 */
export async function planOf(options: UpOptions, env: Environment, node: string): Promise<Plan> {
  const all = projects(env.root).map(({ name }) => name);
  const processes = options.only === undefined ? all : onlyOf(options.only, all);
  const consulGiven = env.secret('CONSUL_HTTP_ADDR');
  const configGiven = env.secret('CONFIG_URL');
  // Roles that a real product plays are not started.
  const here = processes.filter((name) => !(name === 'discovery' && consulGiven) && !(name === 'config' && configGiven));
  const ports = await portsOf(options);
  const databaseUrl = env.databaseIsEmbedded ? undefined : env.databaseUrl;
  return {
    processes,
    leftOut: all.filter((name) => !processes.includes(name)),
    folding: options.unfold ? unfold(here) : parseFold(options.fold, here),
    ports,
    source: hostSource(node, env.root),
    // Into somebody's own database nothing is put unasked.
    demo: options.demo && env.profile === 'dev' && !databaseUrl && here.includes('movie-command'),
    logs: options.logs ?? false,
    shuffle: options.shuffle ?? false,
    sinceMs: options.since ?? performance.timeOrigin,
    databaseUrl,
    addresses: {
      gateway: `http://localhost:${ports.gateway}`,
      config: configGiven ?? `http://127.0.0.1:${ports.config}`,
      consul: consulGiven ?? `http://127.0.0.1:${ports.discovery}`,
    },
  };
}

const FLAGS: Record<string, string> = { gateway: '--port', config: '--config-port', discovery: '--discovery-port' };

/** For another's trial of a port to be over, ms. */
const TRIED_MS = 100;

/** What is wrong with each port that is taken; empty when all can be had. */
export async function takenPorts(
  { folding, ports }: Pick<Plan, 'folding' | 'ports'>,
  bind: string,
): Promise<ReturnType<typeof portTaken>[]> {
  const faults = Object.entries(ports)
    .filter(([name]) => folding.flat().includes(name))
    // Twice, for somebody may have tried it just then, as we do.
    .map(async ([name, port]) => ((await isFree(port, bind)) || (await pause(TRIED_MS), await isFree(port, bind)) ? [] : [portTaken(`the ${name}`, port, FLAGS[name] ?? '--port', portOwner(port))])); // prettier-ignore
  return (await Promise.all(faults)).flat();
}
