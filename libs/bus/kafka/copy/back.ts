import { Problem } from '#problem';
import type { BusEvent } from '../../event.js';
import type { Found } from '../client/cluster.js';
import { elsewhere, POSTGRESQL } from '../elsewhere.js';
import { asEvent } from '../record.js';
import { alone, type Admin, inTransaction } from './admin.js';
import type { Copied, CopyOptions } from './copy.js';

/** Read at a time, bytes. */
const PIECE_BYTES = 1_048_576;

/**
 * Carry the events from the log in Kafka back to the one in PostgreSQL, in one transaction: it is done, or nothing is. Its consumers
 * must have read everything, since the log in PostgreSQL has another order among keys. Meanwhile nothing is sent.
 */
export class CopyBack {
  constructor(private readonly options: CopyOptions) {}

  /** @throws Problem `conflict` (409) while a process has events to read, `events-elsewhere` (503), `storage-unavailable` (503) */
  async run(): Promise<Copied> {
    const { admin, cluster, prefix } = this.options;
    const source = `kafka/${await cluster.id()}/${prefix}`;
    return alone(admin, async (log, names) => {
      if (log === POSTGRESQL) return { log, topics: [], groups: 0 };
      if (log !== source) throw elsewhere(log, source);
      if (names.length > 0) await cluster.ensure(names);
      return inTransaction(admin, async () => {
        await admin.query(`SELECT pg_advisory_xact_lock(hashtextextended('bus:log', 0))`);
        await admin.query('LOCK TABLE bus.place, bus.parked, bus.topic IN EXCLUSIVE MODE');
        await admin.query('UPDATE bus.log SET name = $1, is_used = true', [POSTGRESQL]);
        const topics: Copied['topics'] = [];
        for (const topic of names) topics.push({ topic, copied: await this.topic(topic), before: 0 });
        const [row] = await admin.query<{ groups: number }>('SELECT count(DISTINCT grp)::int AS groups FROM bus.place');
        return { log: POSTGRESQL, topics, groups: row!.groups };
      });
    });
  }

  private async topic(topic: string): Promise<number> {
    const { admin, cluster, report } = this.options;
    const ends = (await cluster.ends([topic])).get(topic)!;
    await this.checkPlaces(topic, ends);
    const of = ends.reduce((sum, end) => sum + end, 0n);
    let copied = 0;
    for (const [partition, end] of ends.entries())
      for (let next = 0n; next < end;) {
        const piece = await cluster.read(topic, partition, next, PIECE_BYTES);
        copied += await append(admin, topic, piece.found);
        report(topic, copied, Number(of));
        if (piece.next === next) break;
        next = piece.next;
      }
    await admin.query(
      `UPDATE bus.place p SET seq = coalesce((SELECT max(e.seq) FROM bus.event e WHERE e.topic = p.topic AND e.partition = p.partition), 0)
        WHERE p.topic = $1`,
      [topic],
    );
    await carryParkedBack(admin, topic);
    return copied;
  }

  /** An instance of a broadcast that is behind may never come back; if it does it begins anew. */
  private async checkPlaces(topic: string, ends: readonly bigint[]): Promise<void> {
    const { admin } = this.options;
    const sql = 'SELECT grp, partition, seq FROM bus.place WHERE topic = $1 ORDER BY grp';
    const places = await admin.query<{ grp: string; partition: number; seq: string }>(sql, [topic]);
    const behind = places.filter(({ partition, seq }) => BigInt(seq) < (ends[partition] ?? 0n));
    const late = behind.find(({ grp }) => !grp.includes(':'));
    if (late) {
      const sum = behind.reduce((n, { grp, partition, seq }) => (grp === late.grp ? n + ends[partition]! - BigInt(seq) : n), 0n);
      throw new Problem('conflict', 409, `${late.grp} has ${sum} events of ${topic} to read yet: let the mesh run until it has, then do this again`); // prettier-ignore
    }
    await admin.query('DELETE FROM bus.place WHERE topic = $1 AND grp = ANY ($2)', [topic, behind.map(({ grp }) => grp)]);
  }
}

/** @returns how many were no repetition */
async function append(admin: Admin, topic: string, found: readonly Found[]): Promise<number> {
  const byId = new Map<string, BusEvent>();
  for (const { record } of found) {
    const event = asEvent(record, () => true);
    if (event.name !== '' && !byId.has(event.id)) byId.set(event.id, event);
  }
  const known = await admin.query<{ id: string }>(
    'SELECT id FROM bus.event WHERE topic = $1 AND key = ANY ($2) AND id = ANY ($3::uuid[])',
    [topic, [...new Set([...byId.values()].map(({ key }) => key))], [...byId.keys()]],
  );
  for (const { id } of known) byId.delete(id);
  const rows = [...byId.values()].map((event) => ({ ...event, topic }));
  if (rows.length > 0) await admin.query('SELECT bus.append($1::json)', [JSON.stringify(rows)]);
  return rows.length;
}

/** What the log has no more stands before all that it has, in its order. */
async function carryParkedBack(admin: Admin, topic: string): Promise<void> {
  await admin.query(
    `UPDATE bus.parked k SET
       seq = coalesce((SELECT e.seq FROM bus.event e WHERE e.topic = k.topic AND e.key = k.key AND e.id = k.event_id), o.n - 1000000000),
       partition = (hashtextextended(k.key, 0) & 9223372036854775807) % t.partitions
     FROM (SELECT id, row_number() OVER (ORDER BY seq) AS n FROM bus.parked WHERE topic = $1) AS o, bus.topic t
     WHERE o.id = k.id AND t.name = $1`,
    [topic],
  );
}
