import { ask } from '../wire/http.js';
import type { InstanceView } from './observe.js';

/** Metrics are a few hundred lines. A process that needs longer is told from its state. ms */
const PATIENCE_MS = 2_000;

/** How far a consumer is behind, as one of its instances tells it. */
export interface Lag {
  process: string;
  /** The process's name, or for a broadcast its and the instance's. */
  group: string;
  topic: string;
  /** Events that wait to be handled; counted to 10,000 a partition. */
  behind: number;
  /** Events moved aside because one of their key cannot be handled. */
  parked: number;
}

const SAMPLE = /^bus_(lag|parked)_events\{([^}]*)\} (\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/gm;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** What `/metrics` says of it. @source Prometheus text format */
export function lagIn(process: string, metrics: string): Lag[] {
  const found = new Map<string, Lag>();
  for (const [, what, labels, value] of metrics.matchAll(SAMPLE)) {
    const { group = '', topic = '' } = Object.fromEntries([...labels!.matchAll(LABEL)].map(([, name, text]) => [name, text])) as Record<string, string>; // prettier-ignore
    const lag = found.get(`${group} ${topic}`) ?? { process, group, topic, behind: 0, parked: 0 };
    found.set(`${group} ${topic}`, { ...lag, [what === 'lag' ? 'behind' : 'parked']: Number(value) });
  }
  return [...found.values()];
}

/** How far each consumer is behind. Instances of one group tell the same; of two that looked at different moments the larger counts. */
export async function lags(instances: readonly InstanceView[]): Promise<Lag[]> {
  const all = await Promise.all(
    instances.map(async ({ process, innerUrl, url = innerUrl, state }) => {
      if (!url || !['ready', 'degraded'].includes(state)) return [];
      const answer = await ask(`${innerUrl ?? url}/metrics`, { timeoutMs: PATIENCE_MS }).catch(() => undefined);
      return answer?.status === 200 ? lagIn(process, answer.text) : [];
    }),
  );
  const merged = new Map<string, Lag>();
  for (const lag of all.flat()) {
    const id = `${lag.group} ${lag.topic}`;
    const known = merged.get(id);
    merged.set(id, known ? { ...known, behind: Math.max(known.behind, lag.behind), parked: Math.max(known.parked, lag.parked) } : lag); // prettier-ignore
  }
  return [...merged.values()].sort((a, b) => a.group.localeCompare(b.group) || a.topic.localeCompare(b.topic));
}

/** A line for each consumer that is behind, or has parked something. */
export const lagLines = (found: readonly Lag[]): string[] =>
  found
    .filter(({ behind, parked }) => behind > 0 || parked > 0)
    .map(({ group, topic, behind, parked }) => {
      const said = [
        ...(behind ? [`${behind} events of ${topic} behind`] : []),
        ...(parked ? [`${parked} events of ${topic} parked (npx mesh events parked)`] : []),
      ];
      return `${group}: ${said.join(', ')}`;
    });
