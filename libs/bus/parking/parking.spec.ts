import { PostgresLog } from '#bus';
import { until } from '#testing';
import { Bench, inPostgres } from '../bench.contract.js';
import { parkingContract } from './contract.js';

describe('parking, over the log in PostgreSQL', () => parkingContract(() => Bench.open(inPostgres)));

describe('parking, by who asks for it', () => {
  let bench: Bench;

  beforeAll(async () => {
    bench = await Bench.open((writer) => ({
      ...inPostgres(writer),
      // As a log outside of the emitter's transaction does.
      source: (storage, config) => Object.assign(new PostgresLog(storage, config), { repeats: true }),
    }));
  });
  afterEach(() => bench.closeServers());
  afterAll(() => bench.close());

  it('handles an event once that a log delivers again and again', async () => {
    bench.consume({ on: { 'twice.told': bench.note } });
    const events = [1, 2, 3].map((version) => bench.event('twice.told', 'k', version));
    await bench.send(...events, ...events);
    await bench.untilSeen(3);
    await bench.send(...events, bench.event('twice.told', 'k', 4));
    await bench.untilSeen(4);
    expect((await bench.seen()).map(({ version }) => version)).toEqual([1, 2, 3, 4]);
  });

  it('lets a process see and touch its own parked events alone', async () => {
    const over = { 'bus.parkAfterTries': 1, 'bus.parkAfterMs': 0 };
    bench.consume({ on: { 'own.told': () => Promise.reject(new Error('no')) }, over });
    await bench.send(bench.event('own.told', 'k'));
    const all = `SELECT * FROM bus.parked_events(NULL)`;
    await until('it is parked', async () => (await bench.reader.query(all)).length === 1);
    const [{ id }] = (await bench.reader.query<{ id: string }>(all)) as [{ id: string }];
    expect(await bench.writer.query(all)).toEqual([]);
    expect(await bench.writer.query('SELECT bus.redrive($1, NULL) AS keys', [id])).toEqual([{ keys: 0 }]);
    expect(await bench.writer.query('SELECT bus.drop_parked($1) AS done', [id])).toEqual([{ done: false }]);
    await expect(bench.writer.query(`SELECT bus.park('seen-query', 'own', 0, '[]')`)).rejects.toThrow(
      'may not read as seen-query',
    );
    await expect(bench.writer.query(`SELECT bus.unpark('seen-query', '{}')`)).rejects.toThrow('may not read as seen-query');
    await expect(bench.writer.query('SELECT * FROM bus.parked')).rejects.toThrow('permission denied');
  });
});
