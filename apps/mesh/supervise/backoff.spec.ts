import { Backoff, STEADY_MS, backoffMs } from './backoff.js';

describe('the pause before a crashed process starts again', () => {
  it('doubles, half of it random, up to half a minute', () => {
    expect([0, 1, 2, 3].map((attempt) => backoffMs(attempt, 1))).toEqual([250, 500, 1000, 2000]);
    expect([0, 1, 2, 3].map((attempt) => backoffMs(attempt, 0))).toEqual([125, 250, 500, 1000]);
    expect(backoffMs(1000, 1)).toBe(30_000);
  });

  it('grows with each crash in a row', () => {
    const backoff = new Backoff();
    const pauses = [0, 10, 20, 30, 40].map((atMs) => backoff.crashed(atMs));
    expect(pauses[4]).toBeGreaterThanOrEqual(2000);
  });

  it('starts small again after the process was ready for a while', () => {
    const backoff = new Backoff();
    for (let i = 0; i < 6; i++) backoff.crashed(i);
    backoff.ready(1000);
    expect(backoff.crashed(1000 + STEADY_MS)).toBeLessThanOrEqual(250);
  });

  it('keeps growing when it was ready only for a moment', () => {
    const backoff = new Backoff();
    for (let i = 0; i < 6; i++) backoff.crashed(i);
    backoff.ready(1000);
    expect(backoff.crashed(1000 + STEADY_MS - 1)).toBeGreaterThan(250);
  });
});
