import { BusConfig, KafkaConfig } from '#bus';
import { fileSettings, type Flat } from '#config';
import { type Log, silentLog } from '#log';
import { openStorage, type Storage, StorageConfig } from '#storage';
import { Bench } from '../bench.contract.js';
import { Cluster } from './client/cluster.js';
import { KafkaLog } from './log.js';

/** Where the Kafka is that specs may use. */
export const BROKERS = (process.env.KAFKA_BROKERS ?? '').split(',').filter(Boolean);

/** Skipped without a real server's address, and so reported by jest. */
export const onKafka = (what: string, fn: () => void): void => (BROKERS.length > 0 ? describe : describe.skip)(what, fn);

interface Wish {
  brokers?: readonly string[];
  over?: Flat;
  log?: Log;
  secret?: (name: string) => string | undefined;
}

const given = (name: string) => process.env[name];
const quick: Flat = { 'kafka.topicPrefix': 'test.', 'kafka.awayMs': 100, 'kafka.connectMs': 1000, 'kafka.requestMs': 2000 };

function sections(over: Flat = {}) {
  const given = { process: 'seen-query', profile: 'test', sections: [KafkaConfig, BusConfig, StorageConfig], log: silentLog };
  const settings = fileSettings({ ...given, over: { ...quick, ...over } });
  settings.close();
  return {
    config: settings.section(KafkaConfig),
    busConfig: settings.section(BusConfig),
    storageConfig: settings.section(StorageConfig),
  };
}

/** A process's way to Kafka. */
export function clusterOf(process: string, { brokers = BROKERS, over, log = silentLog, secret = given }: Wish = {}): Cluster {
  const { config, busConfig } = sections(over);
  return new Cluster({ brokers, process, secret, log, config, keepDays: busConfig.keepDays });
}

/** A process's log in Kafka. */
export const kafkaLog = (storage: Storage, process: string, wish: Wish = {}): KafkaLog =>
  new KafkaLog({ storage, cluster: clusterOf(process, wish), ...sections(wish.over) });

/** An emitter, a consumer, and Kafka between them. */
export const openKafkaBench = (wish: Wish = {}): Promise<Bench> =>
  Bench.open((writer) => {
    const sender = kafkaLog(writer, 'seen-command', wish);
    const opened = [sender];
    return {
      send: (events) => writer.transaction((tx) => sender.publish(tx, events)),
      source: (storage) => {
        const reader = kafkaLog(storage, 'seen-query', wish);
        opened.push(reader);
        return reader;
      },
      close: async () => void (await Promise.all(opened.map((log) => log.close()))),
    };
  });

/** For an instance in a Node of its own: the consumer's storage, … */
export const storageAt = (url: string): Promise<Storage> => {
  const config = sections().storageConfig;
  return openStorage({ process: 'seen-query', url, entities: [], migrations: [], log: silentLog, config });
};

/** … and its log and settings. */
export const sectionsOf = (storage: Storage) => ({ source: kafkaLog(storage, 'seen-query'), config: sections().busConfig });
