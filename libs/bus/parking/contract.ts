import { Metrics } from '#metrics';
import { Problem } from '#problem';
import { until } from '#testing';
import { type Bench, expectInOrder, expectOnce, type Handler, listeningLog, type OpenBench } from '../bench.contract.js';

/** Parked as soon as may be. */
const SOON = { 'bus.parkAfterTries': 2, 'bus.parkAfterMs': 0, 'bus.retryMinMs': 10, 'bus.retryMaxMs': 40, 'bus.pollMs': 300 };

interface ParkedRow {
  id: string;
  grp: string;
  key: string;
  version: number;
  reason: string;
  tries: number;
  behind: number;
}

/** What becomes of an event that cannot be handled, over any log: called in a spec for each of them. */
export function parkingContract(open: OpenBench): void {
  let bench: Bench;
  /** Key and version of what cannot be handled. */
  const broken = new Set<string>();

  const handle: Handler = async (body, context) => {
    await bench.note(body, context);
    const { key, version } = context.event;
    if (broken.has(`${key}/${version}`)) throw new TypeError(`nobody can read ${key}/${version}`);
  };
  const parked = () => bench.reader.query<ParkedRow>('SELECT * FROM bus.parked_events(NULL)');
  const untilParked = (events: number) => until(`${events} are parked`, async () => (await parked()).length === events);
  const seenOf = async (key: string) => (await bench.seen()).filter((row) => row.key === key).map(({ version }) => version);
  const redrive = () => bench.reader.query(`SELECT bus.redrive(NULL, NULL)`);

  beforeAll(async () => {
    bench = await open();
  });
  beforeEach(async () => {
    broken.clear();
    await bench.clear();
  });
  afterEach(async () => {
    await bench.closeServers();
    for (const { id } of await parked()) await bench.reader.query('SELECT bus.drop_parked($1)', [id]);
  });
  afterAll(() => bench.close());

  /** An event that cannot be handled, two behind it, and forty of other keys, in all partitions. */
  async function poison(name: string): Promise<void> {
    const others = Array.from({ length: 40 }, (_, i) => bench.event(name, `good${i}`));
    await bench.send(...[1, 2].map((version) => bench.event(name, 'bad', version)), ...others, bench.event(name, 'bad', 3));
  }

  it('parks an event that keeps failing, with its reason; its key waits, all other keys go on', async () => {
    const name = bench.name('poisoned');
    broken.add('bad/2');
    const { log, warned } = listeningLog();
    bench.consume({ on: { [name]: handle }, over: SOON, log });
    await poison(name);
    await bench.untilSeen(41);
    await untilParked(1);
    await bench.send(bench.event(name, 'bad', 4), bench.event(name, 'later'));
    await bench.untilSeen(42);
    await until('the later ones wait', async () => (await parked())[0]?.behind === 2);
    expect(await seenOf('bad')).toEqual([1]);
    expect(await parked()).toMatchObject([
      { grp: 'seen-query', key: 'bad', version: 2, reason: 'TypeError: nobody can read bad/2', tries: 2 },
    ]);
    expect(warned.map((said) => (said as string[])[0])).toEqual(['event fails, will try again', 'event parked, its key waits']);
  });

  it('handles what was parked when it is asked to: in order, once, and then what waited behind it', async () => {
    const name = bench.name('redriven');
    broken.add('bad/2');
    bench.consume({ on: { [name]: handle }, over: SOON });
    await poison(name);
    await untilParked(1);
    broken.clear();
    await redrive();
    await bench.send(bench.event(name, 'bad', 4));
    await bench.untilSeen(44);
    await untilParked(0);
    expectInOrder(await bench.seen());
    expectOnce(await bench.seen());
    await bench.send(bench.event(name, 'bad', 5));
    await bench.untilSeen(45);
    expect(await seenOf('bad')).toEqual([1, 2, 3, 4, 5]);
  });

  it('parks again what fails again, and the next of the key when that fails', async () => {
    const name = bench.name('again');
    broken.add('bad/1').add('bad/2');
    bench.consume({ on: { [name]: handle }, over: SOON });
    await poison(name);
    await untilParked(1);
    await redrive();
    await until('it was tried again', async () => (await parked())[0]?.tries === 4);
    broken.delete('bad/1');
    await redrive();
    const isNext = ({ version, behind }: ParkedRow) => version === 2 && behind === 1;
    await until('the next one is parked, and one waits behind it', async () => (await parked()).some(isNext));
    expect(await seenOf('bad')).toEqual([1]);
    expect(await parked()).toMatchObject([{ version: 2, tries: 2 }]);
  });

  it('lets what waits behind a dropped event go on', async () => {
    const name = bench.name('dropped');
    broken.add('bad/2');
    bench.consume({ on: { [name]: handle }, over: SOON });
    await poison(name);
    await untilParked(1);
    const [{ id }] = (await parked()) as [ParkedRow];
    const drop = () => bench.reader.query<{ done: boolean }>('SELECT bus.drop_parked($1) AS done', [id]);
    expect(await drop()).toEqual([{ done: true }]);
    await bench.untilSeen(42);
    expect(await seenOf('bad')).toEqual([1, 3]);
    expect(await drop()).toEqual([{ done: false }]);
  });

  it('goes on with parked events after a restart, and keeps what was parked before it', async () => {
    const name = bench.name('kept');
    broken.add('bad/2');
    const server = bench.consume({ on: { [name]: handle }, over: SOON });
    await poison(name);
    await untilParked(1);
    await server.close();
    broken.clear();
    await redrive();
    bench.consume({ on: { [name]: handle }, over: SOON });
    await bench.untilSeen(43);
    expectInOrder(await bench.seen());
  });

  it('parks for the one instance of a broadcast that cannot handle it, and for no other', async () => {
    const name = bench.name('told');
    broken.add('bad/1');
    const heard: number[] = [];
    const hear: Handler = async (_, { event: { version } }) => void heard.push(version);
    bench.consume({ on: { [name]: handle }, broadcast: true, instance: 'deaf', over: SOON });
    bench.consume({ on: { [name]: hear }, broadcast: true, instance: 'well', over: SOON });
    await bench.send(...[1, 2, 3].map((version) => bench.event(name, 'bad', version)));
    await untilParked(1);
    await until('the other hears all', () => heard.length === 3);
    await until('the later ones wait', async () => (await parked())[0]?.behind === 2);
    expect(await parked()).toMatchObject([{ grp: 'seen-query:deaf', version: 1 }]);
  });

  it('never parks for what is not the fault of the event: it is tried until that is mended', async () => {
    const name = bench.name('innocent');
    let tries = 0;
    const away: Handler = async (body, context) => {
      tries += 1;
      if (tries < 8) throw new Problem('breaker-open', 503, 'the neighbour does not answer');
      await bench.note(body, context);
    };
    bench.consume({ on: { [name]: away }, over: SOON });
    await bench.send(bench.event(name, 'k'));
    await bench.untilSeen(1);
    expect([tries, await parked()]).toEqual([8, []]);
  });

  it('tells how far behind a group is and how much it has parked, also while it stands still', async () => {
    const name = bench.name('counted');
    const metrics = new Metrics('seen-query');
    const told = async () => {
      const text = await metrics.text();
      const of = (gauge: string) => Number(new RegExp(`^${gauge}\\{[^}]*\\} (\\d+)`, 'm').exec(text)?.[1]);
      return `${of('bus_lag_events')} behind, ${of('bus_parked_events')} parked`;
    };
    let pass = () => {};
    const gate = new Promise<void>((done) => (pass = done));
    const slow: Handler = async (body, context) => {
      if (context.event.key === 'slow') await gate;
      await handle(body, context);
    };
    bench.consume({ on: { [name]: slow }, over: SOON, metrics });
    await until('nothing is there', async () => (await told()) === '0 behind, 0 parked');
    await bench.send(...[1, 2, 3].map((version) => bench.event(name, 'slow', version)));
    await until('it is behind', async () => (await told()) === '3 behind, 0 parked');
    pass();
    await until('it has caught up', async () => (await told()) === '0 behind, 0 parked');
    broken.add('bad/1');
    await bench.send(...[1, 2].map((version) => bench.event(name, 'bad', version)));
    await until('they are parked', async () => (await told()) === '0 behind, 2 parked');
  });
}
