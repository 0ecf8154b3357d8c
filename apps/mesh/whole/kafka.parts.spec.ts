import { wholeMesh } from './contract.js';

const { KAFKA_BROKERS } = process.env;

// Skipped without a real broker's address, and so reported by jest. Its topics must not be there yet: the films would be twice.
const onKafka = KAFKA_BROKERS ? describe : describe.skip;
onKafka('the mesh on a real Kafka (KAFKA_BROKERS)', () => wholeMesh([], { KAFKA_BROKERS: KAFKA_BROKERS ?? '' }));
