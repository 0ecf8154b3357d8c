import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Environment } from '#config';
import { projects } from '../up/projects.js';
import { readMesh, runningMesh, type MeshFile } from '../machine/runtime.js';
import { ask, askJson, type Answer } from '../wire/http.js';
import { askLauncher } from '../wire/control.js';
import { baseOf, instancesOf } from '../wire/registry.js';
import type { Standing } from '../supervise/group.js';

/** How long one part may take to answer, ms: long enough for a busy one, short enough to wait for in front of a terminal. */
const PATIENCE_MS = 2000;

/** One instance of a process, from all that know of it. */
export interface InstanceView {
  process: string;
  slot: number;
  state: Standing['state'] | 'unknown';
  waitingFor: string[];
  pid?: number;
  /** Where it is found; of the gateway the public door. */
  url?: string;
  /** Where it tells about itself, when that is another place. */
  innerUrl?: string;
  /** Resident memory of its Node process, MB; folded processes share one. */
  memoryMb?: number;
  version?: string;
  /** The revision of the configuration it runs. */
  revision?: string;
  /** What the registry says: passing, critical, or that it does not know it. */
  registry: 'passing' | 'critical' | 'absent' | 'unknown';
  restarts: number;
}

/** Whether a part answers, and why not. */
export interface Reach {
  url: string;
  answers: boolean;
  why?: string;
  /** Its clock against ours, ms; positive when it is ahead. */
  clockAheadMs?: number;
}

/** The mesh as it can be seen from outside. */
export interface Observation {
  processes: string[];
  /** The mesh that runs from this folder. */
  mesh?: MeshFile;
  /** The runtime file of a launcher that was killed. */
  stale?: MeshFile;
  /** The processes are found by a registry given from outside, whoever started them. */
  isOutside: boolean;
  launcherAnswers: boolean;
  gateway: Reach;
  registry: Reach;
  config: Reach;
  instances: InstanceView[];
}

/** Looks at everything at once. Nothing that is stopped makes it fail or wait for more than a few seconds. */
export async function observe(env: Environment): Promise<Observation> {
  const processes = env.runtime?.only ?? projects(env.root).map(({ name }) => name);
  const mesh = runningMesh(env.dataDir);
  const known = mesh?.control ? await askLauncher(mesh.control).catch(() => undefined) : undefined;
  const [gateway, registry, config, rows] = await Promise.all([
    reach(baseOf(env.runtime?.gateway ?? env.publicUrl), '/'),
    reach(baseOf(env.consulUrl), '/v1/status/leader'),
    reach(baseOf(env.configUrl), `/application/${env.profile}`),
    Promise.all(processes.map((name) => registered(env, name))),
  ]);
  const launched = (known?.processes ?? []).map(fromLauncher);
  const instances = rows.flatMap((found) => found ?? []).reduce(merge, launched);
  if (registry.answers) for (const instance of instances) if (instance.registry === 'unknown') instance.registry = 'absent';
  return {
    processes,
    mesh,
    stale: mesh ? undefined : readMesh(env.dataDir),
    isOutside: env.secret('CONSUL_HTTP_ADDR') !== undefined,
    launcherAnswers: known !== undefined,
    gateway,
    registry,
    config,
    instances: await Promise.all(instances.map(lookAt)),
  };
}

async function reach(url: string, path: string): Promise<Reach> {
  try {
    const answer = await ask(`${url}${path}`, { timeoutMs: PATIENCE_MS });
    return {
      url,
      answers: answer.status < 500,
      why: answer.status < 500 ? undefined : `it answers ${answer.status}`,
      clockAheadMs: aheadOf(answer),
    };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { url, answers: false, why: code === 'ECONNREFUSED' ? 'nothing listens there' : message };
  }
}

/** From the Date header, which is cut to whole seconds: half of one is added. @source RFC 9110 §6.6.1 */
function aheadOf({ headers }: Answer): number | undefined {
  const at = headers.date ? Date.parse(headers.date) : Number.NaN;
  return Number.isNaN(at) ? undefined : at + 500 - Date.now();
}

async function registered(env: Environment, name: string): Promise<InstanceView[] | undefined> {
  try {
    const rows = await instancesOf(env, name, false, PATIENCE_MS);
    return rows.map(({ Service, Checks }) => ({
      process: name,
      slot: Number(Service.Meta?.slot ?? 0),
      state: 'unknown',
      waitingFor: [],
      pid: Service.Meta?.pid ? Number(Service.Meta.pid) : undefined,
      url: `http://${Service.Address}:${Service.Port}`,
      version: Service.Meta?.version,
      registry: Checks.every(({ Status }) => Status === 'passing') ? 'passing' : 'critical',
      restarts: 0,
    }));
  } catch {
    return undefined; // said once, by `reach`
  }
}

const fromLauncher = ({ name, slot, state, waitingFor, pid, url, restarts }: Standing): InstanceView => ({
  process: name,
  slot,
  state,
  waitingFor,
  pid,
  url,
  registry: 'unknown',
  restarts,
});

/** The launcher's word on what it launched, the registry's on the rest: on other machines, or started alone. */
function merge(known: InstanceView[], found: InstanceView): InstanceView[] {
  const same = known.find(({ process, slot, pid }) => process === found.process && slot === found.slot && pid === found.pid);
  if (!same) return [...known, found];
  Object.assign(same, { registry: found.registry, version: found.version, url: same.url ?? found.url, innerUrl: found.url });
  return known;
}

const SILENT = new Set<InstanceView['state']>(['loading', 'failed', 'restarting', 'elsewhere', 'stopped']);

/** Asks the instance itself. */
async function lookAt(instance: InstanceView): Promise<InstanceView> {
  const { pid } = instance;
  const url = instance.innerUrl ?? instance.url;
  const memoryMb = pid === undefined ? undefined : memoryOf(pid);
  // Where the launcher knows that nobody answers, a registration that is still there is not asked.
  if (!url || SILENT.has(instance.state)) return { ...instance, memoryMb };
  const [info, ready] = await Promise.all([
    askJson<{ version: string; config: { revision: string } }>(`${url}/info`, { timeoutMs: PATIENCE_MS }).catch(() => undefined),
    ask(`${url}/health/ready`, { timeoutMs: PATIENCE_MS }).catch((error: NodeJS.ErrnoException) => error),
  ]);
  const seen = { ...instance, memoryMb, version: info?.version ?? instance.version, revision: info?.config.revision };
  if (ready instanceof Error) return { ...seen, state: 'unknown', waitingFor: [silence(ready)] };
  if (ready.status === 200) return instance.state === 'unknown' ? { ...seen, state: 'ready' } : seen;
  return {
    ...seen,
    state: instance.state === 'ready' || instance.state === 'unknown' ? 'degraded' : instance.state,
    waitingFor: missing(ready),
  };
}

const silence = ({ code, message }: NodeJS.ErrnoException) =>
  code === 'ECONNREFUSED' ? 'nothing listens at its address' : message;

function missing({ text, status }: Answer): string[] {
  try {
    return (JSON.parse(text) as { waitingFor?: string[] }).waitingFor ?? [`/health/ready answers ${status}`];
  } catch {
    return [`/health/ready answers ${status}`];
  }
}

/** Resident memory of a process of this machine, MB. */
function memoryOf(pid: number): number | undefined {
  try {
    if (process.platform === 'linux') {
      const kb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      return kb ? Math.round(Number(kb) / 1024) : undefined;
    }
    if (process.platform === 'win32') return undefined;
    return Math.round(Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024);
  } catch {
    return undefined; // it has ended, or lives on another machine
  }
}
