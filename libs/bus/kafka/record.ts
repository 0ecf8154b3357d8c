import { compatibilityPartitioner, type KafkaRecord, type MessageToProduce } from '@platformatic/kafka';
import { type BusEvent } from '../event.js';

/** No event has it. */
const NIL = '00000000-0000-0000-0000-000000000000';

/** Where an event of this key goes: as Java's clients have it, so that those may write to the same topics. */
export const partitionOf = (key: string, partitions: number): number =>
  compatibilityPartitioner({ topic: '' }, Buffer.from(key)) % partitions;

/**
 * An event as a record: its body as JSON in UTF-8, its key as the key, and all else in headers, so that a reader who does
 * not want it need not read it.
 *
 * @param extra  more headers
 * @source CloudEvents 1.0.2, Kafka protocol binding, §3.2 (binary content mode)
 */
export function asMessage(
  { id, name, key, version, body, at, traceId }: BusEvent,
  topic: string,
  partition: number,
  extra: Record<string, string> = {},
): MessageToProduce {
  const headers = {
    ce_specversion: '1.0',
    ce_id: id,
    ce_type: name,
    ce_source: `/${topic}`,
    ce_subject: key,
    ce_time: at,
    ce_version: String(version),
    ...(traceId === undefined ? {} : { ce_traceid: traceId }),
    'content-type': 'application/json',
    ...extra,
  };
  return {
    topic,
    partition,
    key: Buffer.from(key),
    value: Buffer.from(JSON.stringify(body ?? null)),
    headers: new Map(Object.entries(headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)])),
    // A broker refuses what comes from the future, as from a machine whose clock is ahead.
    timestamp: BigInt(Math.min(Date.parse(at) || Date.now(), Date.now())),
  };
}

/** The headers of a record, as text. */
export function headersOf({ headers }: Pick<KafkaRecord, 'headers'>): Record<string, string> {
  return Object.fromEntries(headers.map(([name, value]) => [name?.toString() ?? '', value?.toString() ?? '']));
}

/**
 * A record as an event, without its body when that is of no use to `isWanted`. What is no event of this kind is handed out
 * without a name, which nobody handles.
 */
export function asEvent(record: KafkaRecord, isWanted: (name: string) => boolean): BusEvent {
  const { ce_id: id, ce_type: name, ce_version: version, ce_time: at, ce_traceid: traceId } = headersOf(record);
  const key = record.key?.toString() ?? '';
  const unknown = { id: NIL, name: '', key, version: 0, body: undefined, at: new Date(0).toISOString() };
  if (!id || !name || !at || !/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id)) return unknown;
  try {
    const body: unknown = isWanted(name) ? JSON.parse(record.value?.toString() ?? 'null') : undefined;
    return { id, name, key, version: Number(version ?? 0), body, at, ...(traceId ? { traceId } : {}) };
  } catch {
    return unknown;
  }
}
