import { partitionOf } from '../record.js';
import type { Admin } from './admin.js';
import type { CopiedPartition } from './copied.js';

interface Place {
  grp: string;
  partition: number;
  seq: string;
  /** Something is ahead of it. */
  is_behind: boolean;
}

/** Up to where a group is in each of the former partitions, and whether something is ahead of it there. */
type Done = { seq: bigint; isBehind: boolean }[];

/** Ids written by one statement. */
const KEPT = 10_000;

/**
 * Carry the places of a topic's groups, and what they have parked, to its partitions in Kafka, where keys are mixed otherwise. A
 * group goes on with the first event it has not handled; of those behind that which it has, the ids are kept.
 *
 * @returns the groups
 */
export async function carryPlaces(admin: Admin, partitions: readonly CopiedPartition[]): Promise<string[]> {
  const [{ topic }] = partitions as [CopiedPartition];
  const groups = await groupsOf(admin, topic);
  await admin.query('DELETE FROM bus.place WHERE topic = $1', [topic]);
  await admin.query('UPDATE bus.topic SET partitions = $2 WHERE name = $1', [topic, partitions.length]);
  for (const partition of partitions)
    for (const [group, done] of groups) {
      const { place, handled } = await placeIn(partition, done);
      const sql = 'INSERT INTO bus.place (grp, topic, partition, seq) VALUES ($1, $2, $3, $4)';
      await admin.query(sql, [group, topic, partition.partition, String(place)]);
      for (let i = 0; i < handled.length; i += KEPT)
        await admin.query('INSERT INTO bus.inbox (grp, id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING', [
          group,
          handled.slice(i, i + KEPT),
        ]);
    }
  await carryParked(admin, partitions);
  return [...groups.keys()];
}

async function groupsOf(admin: Admin, topic: string): Promise<Map<string, Done>> {
  const places = await admin.query<Place>(
    `SELECT grp, partition, seq, EXISTS (
       SELECT 1 FROM bus.event e WHERE e.topic = p.topic AND e.partition = p.partition AND e.seq > p.seq
     ) AS is_behind FROM bus.place p WHERE topic = $1`,
    [topic],
  );
  const groups = new Map<string, Done>();
  for (const { grp, partition, seq, is_behind: isBehind } of places) {
    const done = groups.get(grp) ?? [];
    done[partition] = { seq: BigInt(seq), isBehind };
    groups.set(grp, done);
  }
  return groups;
}

async function placeIn(partition: CopiedPartition, done: Done): Promise<{ place: bigint; handled: string[] }> {
  const behind = done.filter(({ isBehind }) => isBehind).map(({ seq }) => seq);
  const handled: string[] = [];
  if (behind.length === 0) return { place: partition.end, handled };
  const lowest = behind.reduce((least, seq) => (seq < least ? seq : least));
  const highest = done.reduce((most, { seq }) => (seq > most ? seq : most), 0n);
  const first = await partition.seek(lowest + 1n);
  if (!first) return { place: partition.end, handled };
  let place: bigint | undefined;
  for await (const { id, offset, from } of partition.from(first.offset)) {
    const isDone = from.seq <= (done[from.partition]?.seq ?? 0n);
    if (!isDone) place ??= offset;
    else if (place !== undefined) handled.push(id);
    if (place !== undefined && from.seq > highest) break;
  }
  return { place: place ?? partition.end, handled };
}

/** What the log has no more stands before all that it has, in its order. */
async function carryParked(admin: Admin, partitions: readonly CopiedPartition[]): Promise<void> {
  const [{ topic }] = partitions as [CopiedPartition];
  const rows = await admin.query<{ id: string; key: string; seq: string }>(
    'SELECT id, key, seq FROM bus.parked WHERE topic = $1 ORDER BY seq',
    [topic],
  );
  for (const [at, { id, key, seq }] of rows.entries()) {
    const partition = partitions[partitionOf(key, partitions.length)]!;
    const found = await partition.seek(BigInt(seq));
    const now = found?.from.seq === BigInt(seq) ? found.offset + 1n : BigInt(at - rows.length);
    await admin.query('UPDATE bus.parked SET partition = $2, seq = $3 WHERE id = $1', [id, partition.partition, String(now)]);
  }
}
