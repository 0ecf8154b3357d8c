import { drill } from './drill.js';
import { faultsIn } from './verdict.js';

/** Eight processes are started, and on a busy machine each takes its time; half a minute is usual. Ms */
const WITHIN_MS = 90_000;
const of = (...versions: number[]) => ({
  acknowledged: new Map([['a', 3]]),
  stored: new Map([['a', 3]]),
  counted: new Map([['a', versions.length]]),
  journal: versions.map((version) => ({ key: 'a', version })),
});

it('sees what is lost, doubled and out of order', () => {
  expect(faultsIn(of(1, 2, 3))).toEqual([]);
  expect(faultsIn(of(1, 3))).toEqual(['lost: a has no effect of version 2', 'counted: a is at version 3, its counter at 2']);
  expect(faultsIn(of(1, 2, 2, 3))[0]).toBe('doubled: a has more than one effect of version 2');
  expect(faultsIn(of(2, 1, 3))).toEqual(['swapped: a was handled out of order']);
  expect(faultsIn({ ...of(1, 2), stored: new Map([['a', 2]]) })[0]).toBe('lost: a was acknowledged at version 3, stored is 2');
  expect(faultsIn({ ...of(1, 2, 3), stored: new Map() }).at(-1)).toBe('invented: a has effects and was never written');
});

it(
  'handles each acknowledged event once and in order, whatever is killed',
  async () => {
    const { rounds, acknowledged, effects, faults } = await drill({ times: 2 });
    expect(faults).toEqual([]);
    expect(rounds).toBe(6);
    expect(acknowledged).toBeGreaterThan(50);
    expect(effects).toBeGreaterThanOrEqual(acknowledged);
  },
  WITHIN_MS,
);

it(
  'finds what a consumer does twice',
  async () => {
    const { faults } = await drill({ times: 1, victims: ['postgres'], breaks: 'doubled' });
    expect(faults.some((fault) => fault.startsWith('doubled:'))).toBe(true);
    expect(faults.some((fault) => fault.startsWith('lost:'))).toBe(false);
  },
  WITHIN_MS,
);
