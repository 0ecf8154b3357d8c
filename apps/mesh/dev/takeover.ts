import { setTimeout as pause } from 'node:timers/promises';
import { environment } from '#config';
import { Group, type GroupListener } from '../supervise/group.js';
import { hostSource } from '../supervise/source.js';
import { projects } from '../up/projects.js';
import { runningMesh, type MeshFile } from '../machine/runtime.js';
import { askLauncher, takeOver, type ControlAddress } from '../wire/control.js';
import { TypeCheck } from './types.js';
import { concerned, watchSources } from './watch.js';

/** The slot of a process under development: none that `mesh scale` would give, so that both can be registered at once. */
const DEV_SLOT = 99;
/** For the mesh's own instance to be ready again before ours leaves, ms. */
const HAND_BACK_MS = 15_000;
const LOOK_MS = 50;

/** How a process is taken over. */
export interface TakeOver {
  name: string;
  /** Under the debugger, on this address or Node's own choice. */
  inspect?: string | boolean;
  node: string;
}

/**
 * `mesh dev movie-command --inspect`: runs one process of a running mesh here until Ctrl-C, then hands it back.
 *
 * @returns the exit code
 */
export async function takeOverOne({ name, inspect, node }: TakeOver): Promise<number> {
  const { root, dataDir } = environment();
  const mesh = runningMesh(dataDir);
  if (!mesh?.control) throw new Error('no mesh runs from this folder; start one first: npm start');
  if (!projects(root).some((project) => project.name === name)) throw new Error(`there is no process '${name}'`);
  const flags =
    inspect === undefined || inspect === false ? [] : [`--inspect${typeof inspect === 'string' ? `=${inspect}` : ''}`];
  const port = ownPort(name, mesh);
  const source = { ...hostSource(node, root), flags };
  const ready = Promise.withResolvers<void>();
  const listener: GroupListener = {
    changed: ({ state, waitingFor }) => {
      say(`${name} ${state}${waitingFor.length ? `: ${waitingFor.join('; ')}` : ''}`);
      if (state === 'ready') ready.resolve();
    },
    note: say,
    output: (line) => void process.stderr.write(`${line}\n`),
    moved: () => undefined,
  };
  const group = new Group(
    { seats: [{ name, port }], slot: port === undefined ? DEV_SLOT : 0, screen: 'pretty' },
    source,
    listener,
  );
  return hold(group, name, mesh.control, ready.promise, { root, node, comesFirst: port === undefined });
}

/** One that others find by a port of its own can only be there once: the mesh's leaves before ours comes, and the other way round. */
function ownPort(name: string, { gateway, config, consul }: MeshFile): number | undefined {
  const urls: Record<string, string> = { gateway, config, discovery: consul };
  const url = urls[name];
  return url === undefined ? undefined : Number(new URL(url).port);
}

interface Place {
  root: string;
  node: string;
  /** Whether ours can be there before the mesh's leaves. */
  comesFirst: boolean;
}

async function hold(group: Group, name: string, control: ControlAddress, ready: Promise<void>, place: Place): Promise<number> {
  const { comesFirst } = place;
  const stop = stopSignal();
  const run = () => {
    group.start();
    group.launch();
  };
  if (comesFirst) {
    run();
    await Promise.race([ready, stop]);
  }
  const taken = await takeOver(control, name).catch(async (error: unknown) => {
    await leave(group);
    throw error;
  });
  if (!comesFirst) run();
  say(`${name} runs here now; Ctrl-C hands it back`);
  const unwatch = await follow(group, name, place);
  await Promise.race([stop, taken.lost]);
  unwatch();
  if (!comesFirst) await leave(group);
  taken.end();
  if (comesFirst) {
    await isBack(control, name);
    await leave(group, false);
  }
  say(`${name} is handed back`);
  return 0;
}

/** Starts it anew whenever its sources change. @returns a function that ends it */
async function follow(group: Group, name: string, { root, node }: Place): Promise<() => void> {
  const types = new TypeCheck(root, node, say);
  const unwatch = await watchSources(root, {
    broken: (errors) => errors.forEach(({ file, message }) => say(`${file} does not compile\n${message}`)),
    changed: async (files) => {
      types.start();
      if (!files.some((file) => concerned(file, projects(root)).includes(name))) return;
      await leave(group);
      group.resume([name]);
    },
  });
  return () => {
    types.stop();
    unwatch();
  };
}

async function leave(group: Group, hurry = true) {
  await group.close(group.names, { hurry });
  await group.end();
}

/** Waits until the mesh's own instance can be used, so that nobody misses the process. */
async function isBack(control: ControlAddress, name: string) {
  for (const end = Date.now() + HAND_BACK_MS; Date.now() < end; await pause(LOOK_MS)) {
    const known = await askLauncher(control).catch(() => undefined);
    if (!known || known.processes.some((standing) => standing.name === name && standing.state === 'ready')) return;
  }
}

function stopSignal(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => done());
    if (process.channel) {
      process.on('disconnect', () => done());
      process.channel.unref();
    }
  });
}

const say = (text: string) => void process.stderr.write(`mesh: ${text}\n`);
