import { wholeMesh } from './contract.js';

const { KAFKA_BROKERS } = process.env;

// Skipped without a real broker's address, and so reported by jest. Its topics must not be there yet: the films would be twice.
const onKafka = KAFKA_BROKERS ? describe : describe.skip;
// A part of the mesh: beside the broker two processors are too few for thirty processes and the bounds of this contract.
onKafka('the mesh on a real Kafka (KAFKA_BROKERS)', () => wholeMesh(['--only', 'movie'], { KAFKA_BROKERS: KAFKA_BROKERS ?? '' }));
