import { Bench, inPostgres } from '../bench.contract.js';
import { floodContract } from '../flood.contract.js';

describe('the log in PostgreSQL', () => floodContract(() => Bench.open(inPostgres)));
