import { RollingWindow } from './window.js';

let nowMs: number;
let window: RollingWindow;
beforeEach(() => {
  nowMs = 123_456;
  window = new RollingWindow({ windowMs: 10_000, buckets: 10, samples: 100 }, () => nowMs);
});
const add = (times: number, ...what: Parameters<RollingWindow['add']>) => {
  for (let i = 0; i < times; i++) window.add(...what);
};

describe('the rolling window', () => {
  it('has no error percentage without calls', () => {
    expect([window.calls, window.errorPercent]).toEqual([0, 0]);
  });

  it('counts successes, failures and time-outs as calls, and the last two as errors, once each', () => {
    add(2, 'success', 5);
    add(1, 'failure', 5);
    add(1, 'timeout', 800);
    expect([window.calls, window.errors, window.errorPercent]).toEqual([4, 2, 50]);
  });

  it('does not take answers below 500, refusals of its own or fallbacks for calls', () => {
    add(1, 'success', 1);
    add(5, 'badRequest', 1);
    add(5, 'shortCircuited');
    add(5, 'semaphoreRejected');
    add(5, 'fallbackSuccess');
    add(5, 'fallbackFailure');
    add(5, 'exceptionThrown');
    expect([window.calls, window.errors]).toEqual([1, 0]);
    expect(window.counts()).toMatchObject({
      success: 1,
      badRequest: 5,
      shortCircuited: 5,
      semaphoreRejected: 5,
      exceptionThrown: 5,
    });
  });

  it('forgets bucket by bucket, the oldest first', () => {
    for (let second = 0; second < 10; second++, nowMs += 1000) add(second + 1, 'failure', 1);
    expect(window.calls).toBe(54); // the first bucket's one is just gone
    nowMs += 1000;
    expect(window.calls).toBe(52);
    nowMs += 8000;
    expect(window.calls).toBe(0);
  });

  it('forgets all after a long silence, and counts on', () => {
    add(30, 'failure', 1);
    nowMs += 3_600_000;
    add(1, 'success', 1);
    expect([window.calls, window.errors, window.counts().failure]).toEqual([1, 0, 0]);
  });

  it('agrees with its own buckets whatever happens', () => {
    const told: { at: number; outcome: 'success' | 'failure' }[] = [];
    for (let i = 0; i < 5000; i++) {
      nowMs += Math.random() * 40;
      const outcome = Math.random() < 0.3 ? 'failure' : 'success';
      told.push({ at: Math.floor(nowMs / 1000), outcome });
      window.add(outcome, 1);
    }
    const recent = told.filter(({ at }) => at > Math.floor(nowMs / 1000) - 10);
    expect(window.calls).toBe(recent.length);
    expect(window.errors).toBe(recent.filter(({ outcome }) => outcome === 'failure').length);
    expect(window.counts().success).toBe(window.calls - window.errors);
  });

  it('gives mean and percentiles of the latest latencies of each bucket', () => {
    for (let ms = 1; ms <= 50; ms++) window.add('success', ms);
    nowMs += 1000;
    for (let ms = 51; ms <= 100; ms++) window.add('failure', ms);
    const { meanMs, percentileMs } = window.latencies();
    expect(meanMs).toBeCloseTo(50.5);
    expect([0, 25, 50, 90, 99, 99.5, 100].map(percentileMs)).toEqual([1, 25, 50, 90, 99, 100, 100]);
    add(1000, 'success', 7);
    expect(window.latencies().percentileMs(100)).toBe(50);
    nowMs += 20_000;
    expect(window.latencies()).toMatchObject({ meanMs: 0 });
  });

  it('is empty after clear', () => {
    add(30, 'timeout', 800);
    window.clear();
    expect([window.calls, window.errors, window.counts().timeout, window.latencies().meanMs]).toEqual([0, 0, 0, 0]);
  });
});
