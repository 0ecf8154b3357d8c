import { Metrics } from '#metrics';
import { until } from '#testing';
import { type Bench, collected, type OpenBench } from './bench.contract.js';

const EVENTS = 100_000;
const KEYS = 500;
const TOGETHER = 1_000;
/** A third of the events: what is on its way, and garbage that is not collected yet. */
const GROWTH_BYTES = 15_000_000;

/** What becomes of a hundred thousand events, over any log: called in a spec for each of them. */
export function floodContract(open: OpenBench): void {
  let bench: Bench;

  beforeAll(async () => {
    bench = await open();
  });
  afterAll(() => bench.close());

  it('hands on a hundred thousand events, each key in order and none twice, in memory that does not grow', async () => {
    const name = bench.name('flood');
    const body = { text: 'x'.repeat(500) };
    for (let sent = 0; sent < EVENTS; sent += TOGETHER)
      await bench.send(...Array.from({ length: TOGETHER }, (_, i) => bench.event(name, `k${(sent + i) % KEYS}`, Math.floor((sent + i) / KEYS) + 1, body))); // prettier-ignore
    const before = collected();
    const last = new Map<string, number>();
    let handled = 0;
    let most = 0;
    const wrong: string[] = [];
    const on = {
      [name]: (_: unknown, { event: { key, version } }: { event: { key: string; version: number } }) => {
        if (version !== (last.get(key) ?? 0) + 1) wrong.push(`${key}/${version} after ${last.get(key)}`);
        last.set(key, version);
        handled += 1;
        if (handled % 10_000 === 0) most = Math.max(most, collected() - before);
        return Promise.resolve();
      },
    };
    const startedAt = performance.now();
    bench.consume({ on, metrics: new Metrics('seen-query') });
    await until('all are handled', () => handled >= EVENTS, 60_000);
    const perSecond = Math.round((1000 * EVENTS) / (performance.now() - startedAt));
    expect(perSecond).toBeGreaterThan(1_000);
    expect([handled, wrong]).toEqual([EVENTS, []]);
    expect(most).toBeLessThan(GROWTH_BYTES);
  }, 120_000);
}
