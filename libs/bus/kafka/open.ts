import type { Log } from '#log';
import type { Storage } from '#storage';
import { isUnavailable, rest } from '#storage';
import type { BusConfig } from '../bus-section.js';
import type { Admin } from './copy/admin.js';
import type { Copied, CopyOptions } from './copy/copy.js';
import { elsewhere, POSTGRESQL } from './elsewhere.js';
import type { KafkaConfig } from './kafka-section.js';
import type { KafkaLog } from './log.js';

/** What the log of events of a process is opened with. */
export interface OpenLogOptions {
  storage: Storage;
  process: string;
  /** Brokers of a Kafka cluster, `host:port`; none for the log in PostgreSQL. */
  brokers: readonly string[];
  secret: (name: string) => string | undefined;
  log: Log;
  config: KafkaConfig;
  busConfig: BusConfig;
}

/**
 * Open the log that the mesh's events are in: the one in Kafka when there are brokers. A Kafka that does not answer yet is
 * not waited for long: what is written stays in the outbox, what is read waits.
 *
 * @returns undefined for the log in PostgreSQL, which needs no opening
 * @throws Problem `events-elsewhere` (503) when they are in another one
 */
export async function openLog(options: OpenLogOptions): Promise<KafkaLog | undefined> {
  const { brokers, storage } = options;
  if (brokers.length > 0) return openKafka(options);
  const [row] = await storage.query<{ used: string }>('SELECT bus.use_log($1) AS used', [POSTGRESQL]);
  if (row!.used !== POSTGRESQL) throw elsewhere(row!.used, POSTGRESQL);
  return undefined;
}

async function openKafka({ brokers, process, secret, storage, log, config, busConfig }: OpenLogOptions): Promise<KafkaLog> {
  // Known before Kafka answers.
  const [row] = await storage.query<{ used: string | null }>('SELECT bus.log_in_use() AS used');
  if (row!.used === POSTGRESQL) throw elsewhere(POSTGRESQL, `kafka/${brokers.join(',')}/${config.topicPrefix}`);
  // Loaded by those alone that use it: the client takes its time and memory.
  const [{ Cluster }, { KafkaLog }] = await Promise.all([import('./client/cluster.js'), import('./log.js')]);
  const cluster = new Cluster({ brokers, process, secret, log, config, keepDays: busConfig.keepDays });
  const kafka = new KafkaLog({ storage, cluster, config, busConfig });
  const heard = new AbortController();
  try {
    await Promise.race([kafka.ready(), rest(config.startMs, heard.signal)]);
  } catch (error) {
    if (!isUnavailable(error)) {
      await kafka.close();
      throw error;
    }
  } finally {
    heard.abort();
  }
  return kafka;
}

/** What events are copied with. */
export interface CopyEventsOptions extends Pick<OpenLogOptions, 'brokers' | 'secret' | 'log' | 'config' | 'busConfig'> {
  admin: Admin;
  /** From Kafka to PostgreSQL, which its consumers must have read for that. */
  back?: boolean;
  report: CopyOptions['report'];
}

/**
 * Carry the events of the mesh from the log in PostgreSQL to the one in Kafka, or back, with the places of its groups.
 * May be run again.
 *
 * @throws Problem `conflict` (409), `events-elsewhere` (503), `storage-unavailable` (503)
 */
export async function copyEvents(options: CopyEventsOptions): Promise<Copied> {
  const { admin, brokers, secret, log, config, busConfig, back, report } = options;
  const [{ Cluster }, { Copy }, { CopyBack }] = await Promise.all([
    import('./client/cluster.js'),
    import('./copy/copy.js'),
    import('./copy/back.js'),
  ]);
  const cluster = new Cluster({ brokers, process: 'mesh-copy', secret, log, config, keepDays: busConfig.keepDays });
  const given = { admin, cluster, prefix: config.topicPrefix, report };
  try {
    return await (back ? new CopyBack(given) : new Copy(given)).run();
  } finally {
    await cluster.close();
  }
}
