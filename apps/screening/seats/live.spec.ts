import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { startTestMesh, type TestMesh, until } from '#testing';
import { Buyer } from '../contract.js';
import { ScreeningQuery } from '../screening.query.js';
import { SeatMaps } from './seat-map.js';
import { Seats } from './seats.contract.js';
import { SeatsConfig } from './seats-section.js';
import { Viewer } from './viewer.js';

const HEARTBEAT_MS = 100;

let mesh: TestMesh, seats: Seats;
beforeAll(async () => {
  const config = { 'seats.heartbeatMs': HEARTBEAT_MS, 'seats.gatherMs': 20, 'seats.lookMs': 60_000 };
  mesh = await startTestMesh({ processes: [ScreeningQuery], config });
  seats = new Seats(mesh);
}, 20_000);
afterAll(() => mesh.stop());

/** How many streams are open, by the process's own count. */
async function viewers(): Promise<number> {
  const { text } = await mesh.http('screening-query').get('/metrics');
  return Number(/^screening_seat_viewers\{.*\} (\d+)$/m.exec(text)?.[1]);
}
const settings = () => mesh.running('screening-query').app.get(SeatsConfig);

describe('who watches a seat map', () => {
  it('hears the whole map first, then what changes, then signs of life', async () => {
    const id = await seats.screening();
    const [bought, other] = [new Buyer(id, ['A1', 'B3']), new Buyer(id, ['B1'])];
    await seats.tell(bought.told(1, 'held'));
    const [one, two] = await Promise.all([seats.watch(id), seats.watch(id)]);
    const first = await one.event(0);
    expect(first).toEqual({ event: 'map', id: first.data.version, data: { ...(await seats.map(id)), at: first.data.at } });
    await seats.tell(bought.told(2, 'paid'));
    await seats.tell(other.told(1, 'held'));
    await seats.tell(bought.told(3, 'refunded'));
    for (const reader of [one, two]) {
      const told = [await reader.event(1), await reader.event(2), await reader.event(3)];
      expect(told.map(({ event, data }) => ({ event, data }))).toEqual([
        { event: 'seats', data: { free: [], held: [], sold: ['A1', 'B3'] } },
        { event: 'seats', data: { free: [], held: ['B1'], sold: [] } },
        { event: 'seats', data: { free: ['A1', 'B3'], held: [], sold: [] } },
      ]);
      expect(told.map((heard) => heard.id)).toEqual(told.map((heard) => heard.id).toSorted());
      expect(told.at(-1)!.id).toBe((await seats.map(id)).version);
      await until('it beats', () => reader.beats > 1);
      reader.leave();
    }
  });

  it('hears that a hold lapsed, when nobody else says so', async () => {
    const id = await seats.screening();
    const reader = await seats.watch(id);
    await seats.tell(new Buyer(id, ['A2'], 300).told(1, 'held'));
    expect((await reader.event(1)).data).toEqual({ free: [], held: ['A2'], sold: [] });
    expect((await reader.event(2)).data).toEqual({ free: ['A2'], held: [], sold: [] });
    reader.leave();
  });

  it('hears, coming back, only what came after it left', async () => {
    const id = await seats.screening();
    const [gone, kept] = [new Buyer(id, ['A1']), new Buyer(id, ['A2'])];
    await seats.tell(gone.told(1, 'held'), kept.told(1, 'held'));
    const { version } = await seats.map(id);
    await seats.tell(gone.told(2, 'expired'), new Buyer(id, ['B1']).told(1, 'paid'));
    const since = (last: number | string) => seats.watch(id, { 'Last-Event-ID': String(last) });
    const back = await since(version);
    const heard = await back.event(0);
    expect(heard).toEqual({ event: 'seats', id: (await seats.map(id)).version, data: { free: ['A1'], held: [], sold: ['B1'] } });
    const current = await since(heard.id);
    await seats.tell(kept.told(2, 'paid'));
    expect((await current.event(0)).data).toEqual({ free: [], held: [], sold: ['A2'] });
    const hourAgo = Date.now() - 3_601_000;
    const whole = await Promise.all([since(heard.id + 3_600_000), since(hourAgo), since(1), since('A1'), since('')]);
    for (const reader of whole) expect((await reader.event(0)).event).toBe('map');
    for (const reader of [back, current, ...whole]) reader.leave();
  });

  it('hears what another instance was told, and all hear the same', async () => {
    const id = await seats.screening();
    const other = await mesh.launch(ScreeningQuery);
    const readers = [await seats.watch(id), await seats.watch(id, {}, other.url)];
    for (let i = 1; i <= 4; i++) await seats.publish([new Buyer(id, [`B${i}`]).told(1, 'paid')]);
    const soldIn = ({ heard }: (typeof readers)[number]) => heard.flatMap(({ data }) => data.sold ?? []).toSorted();
    for (const reader of readers) await until('all are heard', () => soldIn(reader).length === 4);
    expect(soldIn(readers[0]!)).toEqual(soldIn(readers[1]!));
    expect(readers[0]!.heard.at(-1)!.id).toBe(readers[1]!.heard.at(-1)!.id);
    await other.close({ hasty: true });
    expect(readers[1]!.isOver).toBe(true);
    readers[0]!.leave();
  });
});

describe('a process', () => {
  it('serves so many streams and no more', async () => {
    const id = await seats.screening();
    settings().streams = 2;
    const readers = [await seats.watch(id), await seats.watch(id)];
    const refused = await mesh.http('screening-query').get(seats.path(id)).set('Accept', 'text/event-stream').expect(503);
    expect(refused.body.type).toBe('/problems/too-many-viewers');
    expect(refused.headers['retry-after']).toBe('5');
    await seats.map(id);
    readers[0]!.leave();
    await until('there is room', async () => {
      const reader = await seats.watch(id);
      readers.push(reader);
      return reader.status === 200;
    });
    for (const reader of readers) reader.leave();
    settings().streams = 2000;
  });

  it('looks at a map once for all who watch it, and not at all when they are gone', async () => {
    const id = await seats.screening();
    const readers = await Promise.all(Array.from({ length: 30 }, () => seats.watch(id)));
    const maps = mesh.running('screening-query').app.get(SeatMaps);
    const look = maps.of.bind(maps);
    let looks = 0;
    maps.of = (...asked) => (++looks, look(...asked));
    await seats.tell(new Buyer(id, ['A1']).told(1, 'paid'));
    for (const reader of readers) await reader.event(1);
    expect(looks).toBeLessThan(5);
    for (const reader of readers) reader.leave();
    await until('they are gone', async () => (await viewers()) === 0);
    const before = looks;
    await seats.tell(new Buyer(id, ['A2']).told(1, 'paid'));
    expect(looks).toBe(before);
    maps.of = look;
  });

  it('drops who does not read, with little of it unread', async () => {
    const opened = Promise.withResolvers<ServerResponse>();
    const server = createServer((_, res) => opened.resolve(res)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const res = await opened.promise;
    let drops = 0;
    const viewer = new Viewer(res, 65_536, () => drops++);
    viewer.open(0, undefined);
    let toldBytes = 0;
    const event = Buffer.alloc(16_384, 'x');
    for (; !res.destroyed && toldBytes < 100_000_000; toldBytes += event.length) {
      viewer.tell(event);
      expect(res.writableLength).toBeLessThan(65_536 + 2 * event.length);
      await new Promise(setImmediate);
    }
    expect([drops, res.destroyed]).toEqual([1, true]);
    socket.destroy();
    server.close();
  });
});

it('ends every stream when it stops, at once', async () => {
  const id = await seats.screening();
  const readers = await Promise.all([seats.watch(id), seats.watch(id)]);
  const startedMs = performance.now();
  await mesh.running('screening-query').close({ hasty: true });
  expect(readers.every(({ isOver }) => isOver)).toBe(true);
  expect(performance.now() - startedMs).toBeLessThan(3000);
});
