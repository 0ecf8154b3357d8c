import { BusConfig, type Copied, copyEvents, KafkaConfig } from '#bus';
import { environment, fileSettings, type Environment } from '#config';
import { silentLog } from '#log';
import { answer, columns } from '../operate/print.js';
import { asAdmin, type Where } from './admin.js';

/** What a copy needs of the environment. */
type Place = Where & Pick<Environment, 'kafkaBrokers' | 'profile' | 'secret'>;

/** `mesh events copy`: what was carried is told as it goes, on the other output. */
export async function copy({ back, json }: { back?: boolean; json?: boolean }, where: Place = environment()): Promise<Copied> {
  const { kafkaBrokers: brokers, profile, secret } = where;
  if (brokers.length === 0)
    throw new Error('there is no Kafka to copy to or from: set KAFKA_BROKERS, such as KAFKA_BROKERS=kafka:9092');
  const sections = [KafkaConfig, BusConfig];
  const settings = fileSettings({ process: 'mesh', profile, sections, log: silentLog });
  settings.close();
  const [config, busConfig] = [settings.section(KafkaConfig), settings.section(BusConfig)];
  const report = (topic: string, copied: number, of: number) => {
    if (!json) process.stderr.write(`${topic}: ${copied} of ${of}\n`);
  };
  const options = { brokers, secret, log: silentLog, config, busConfig, back, report };
  const copied = await asAdmin(where, (admin) => copyEvents({ ...options, admin }));
  answer(json, copied, () => copiedText(copied, back));
  return copied;
}

/** What was done, and what to do next. */
function copiedText({ topics, groups }: Copied, back = false): string {
  const next = `start the mesh ${back ? 'without' : 'with the same'} KAFKA_BROKERS`;
  if (topics.length === 0) return `the events of this mesh are there already: ${next}`;
  const table = columns(
    ['topic', 'copied', 'copied before'],
    topics.map((one) => [one.topic, one.copied, one.before]),
  );
  return `${table}\n\nplaces of ${groups} consumers were carried over; ${next}`;
}
