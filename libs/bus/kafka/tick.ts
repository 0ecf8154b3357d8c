import type { MessageToProduce } from '@platformatic/kafka';
import type { Cluster } from './client/cluster.js';
import { headersOf } from './record.js';

const TICK = 'mesh-tick';
/** A segment is closed when it is older than this and something is appended to it, and compacted only when it is closed. */
const IDLE_MS = 86_400_000;

const tick = (topic: string, partition: number): MessageToProduce => ({
  topic,
  partition,
  key: Buffer.from('~tick'),
  value: Buffer.from('null'),
  headers: new Map([[Buffer.from(TICK), Buffer.from('1')]]),
});

/**
 * Append a record that is no event to partitions that nothing was appended to for a day, once: without it what they hold last would
 * never be compacted, and an erased person's older events would stay.
 *
 * @param idleMs  for tests
 * @returns how many partitions
 */
export async function tickIdle(cluster: Cluster, topics: readonly string[], idleMs = IDLE_MS): Promise<number> {
  const ticks: MessageToProduce[] = [];
  const all = topics.length > 0 ? await cluster.ends(topics) : new Map<string, readonly bigint[]>();
  for (const [topic, ends] of all)
    for (const [partition, end] of ends.entries()) {
      if (end === 0n) continue;
      const last = (await cluster.read(topic, partition, end - 1n, 1)).found.at(-1);
      if (!last || headersOf(last.record)[TICK] || Date.now() - last.atMs < idleMs) continue;
      ticks.push(tick(cluster.topic(topic), partition));
    }
  await cluster.send(ticks);
  return ticks.length;
}
