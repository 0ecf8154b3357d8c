import { environment } from '#config';
import { type Lag, lagLines, lags } from './lag.js';
import { observe, type InstanceView, type Observation } from './observe.js';
import { answer, columns } from '../operate/print.js';

/** `mesh status`. @returns the exit code: 0 when every process has a ready instance */
export async function status({ json }: { json?: boolean }): Promise<number> {
  const env = environment();
  const seen = await observe(env);
  const consumers = await lags(seen.instances);
  answer(json, { ...publicPart(seen), consumers }, () => statusText(seen, consumers));
  return seen.processes.every((name) => seen.instances.some(({ process, state }) => process === name && state === 'ready'))
    ? 0
    : 1;
}

/** Without the secrets of the runtime file. */
function publicPart({ mesh, instances, gateway, registry, config }: Observation) {
  return {
    mesh: mesh ? { pid: mesh.pid, startedAt: mesh.startedAt, gateway: mesh.gateway, profile: mesh.profile } : null,
    gateway,
    registry,
    config,
    instances,
  };
}

/** The table, and one line for what cannot be seen. */
export function statusText(
  { mesh, processes, instances, gateway, registry, config }: Observation,
  consumers: readonly Lag[] = [],
): string {
  const nobody = processes
    .filter((name) => !instances.some(({ process }) => process === name))
    .map((name): (string | number | undefined)[] => [name, 'not running']);
  const rows = instances.toSorted(byName).map(rowOf);
  const parts = [
    mesh
      ? `mesh of process ${mesh.pid} since ${mesh.startedAt}, profile ${mesh.profile}, ${mesh.gateway}`
      : 'no mesh runs from this folder (npm start)',
    ...[['gateway', gateway] as const, ['discovery', registry] as const, ['configuration', config] as const].flatMap(
      ([name, reach]) => (reach.answers ? [] : [`${name} at ${reach.url}: ${reach.why}`]),
    ),
    ...lagLines(consumers),
  ];
  return `${columns(['process', 'state', 'pid', 'memory', 'address', 'registry', 'version', 'config', 'waits for'], [...rows, ...nobody])}\n\n${parts.join('\n')}`;
}

const byName = (a: InstanceView, b: InstanceView) => a.process.localeCompare(b.process) || a.slot - b.slot;

function rowOf({ process, slot, state, pid, memoryMb, url, registry, version, revision, waitingFor, restarts }: InstanceView) {
  const notes = [...waitingFor, ...(restarts ? [`restarted ${restarts} times`] : [])].join('; ');
  return [
    slot ? `${process}#${slot}` : process,
    state,
    pid,
    memoryMb === undefined ? undefined : `${memoryMb} MB`,
    url?.replace('http://', ''),
    registry,
    version,
    revision,
    notes,
  ];
}
