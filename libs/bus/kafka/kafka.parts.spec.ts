import { busContract } from '../contract.js';
import { parkingContract } from '../parking/contract.js';
import { onKafka, openKafkaBench } from './bench.contract.js';

onKafka('the log in Kafka (KAFKA_BROKERS)', () => busContract(() => openKafkaBench()));

onKafka('parking, over the log in Kafka (KAFKA_BROKERS)', () => parkingContract(() => openKafkaBench()));
