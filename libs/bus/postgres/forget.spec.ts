import { forget, publish } from '#bus';
import { until } from '#testing';
import { Bench, type Handler, inPostgres } from '../bench.contract.js';

let bench: Bench;
const send = (...versions: number[]) =>
  bench.writer.transaction((tx) =>
    publish(
      tx,
      versions.flatMap((version) => [bench.event('seen.changed', 'ada', version), bench.event('seen.changed', 'bob', version)]),
    ),
  );
const forgotten = (key: string) => bench.writer.transaction((tx) => forget(tx, 'seen', key));

beforeAll(async () => {
  bench = await Bench.open(inPostgres);
});
afterEach(() => bench.closeServers());
afterAll(() => bench.close());

it(`removes all events of a key but its last, and nobody else's; a consumer that is behind gets the last`, async () => {
  await send(1, 2, 3);
  expect(await forgotten('ada')).toBe(2);
  expect(await forgotten('ada')).toBe(0);
  bench.consume({ on: { 'seen.changed': bench.note } });
  await bench.untilSeen(4);
  const of = async (key: string) => (await bench.seen()).filter((row) => row.key === key).map(({ version }) => version);
  expect([await of('ada'), await of('bob')]).toEqual([[3], [1, 2, 3]]);
});

it('forgets what was parked of the key as well, and lets its last event go on', async () => {
  const refuse: Handler = async (body, context) => {
    if (context.event.version === 4) throw new TypeError('not this one');
    await bench.note(body, context);
  };
  const over = { 'bus.parkAfterTries': 1, 'bus.parkAfterMs': 0 };
  bench.consume({ on: { 'seen.changed': refuse }, over });
  await send(4, 5, 6);
  const parked = () => bench.reader.query<{ key: string; behind: number }>('SELECT key, behind FROM bus.parked_events(NULL)');
  await until('both keys wait', async () => (await parked()).reduce((sum, { behind }) => sum + behind, 0) === 4);
  await forgotten('ada');
  await until('the last is handled', async () => (await bench.seen()).some(({ key, version }) => key === 'ada' && version === 6));
  expect(await parked()).toEqual([{ key: 'bob', behind: 2 }]);
  expect((await bench.seen()).filter(({ key, version }) => key === 'ada' && version > 3)).toHaveLength(1);
});

it('is refused to whoever does not own the topic', async () => {
  const other = bench.reader.transaction((tx) => forget(tx, 'seen', 'bob'));
  await expect(other).rejects.toThrow('seen_query may not forget events of seen');
});
