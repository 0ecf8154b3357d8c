import { setTimeout as sleep } from 'node:timers/promises';
import { context, contextFromHeaders, contextHeaders, newContext, remainingMs, runWith, runWithout } from '#context';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';

describe('a context', () => {
  it('follows what it starts, and nothing else', async () => {
    const one = newContext();
    const seen: (string | undefined)[] = [];
    await Promise.all([
      runWith(one, async () => {
        await sleep(5);
        seen.push(context()?.traceId);
        runWithout(() => seen.push(context()?.traceId));
      }),
      sleep(2).then(() => seen.push(context()?.traceId)),
    ]);
    expect(seen).toEqual([undefined, one.traceId, undefined]);
  });

  it('keeps the trace of the caller, and makes its own span', () => {
    const c = contextFromHeaders({ traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
    expect(c.traceId).toBe(traceId);
    expect(c.spanId).not.toBe('00f067aa0ba902b7');
    expect(contextHeaders(c).traceparent).toBe(`00-${traceId}-${c.spanId}-01`);
  });

  it.each([
    ['garbage', 'x'],
    ['an all-zero trace', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['version ff', `ff-${traceId}-00f067aa0ba902b7-01`],
    ['capitals', `00-${traceId.toUpperCase()}-00f067aa0ba902b7-01`],
  ])('starts a new trace on %s', (_, traceparent) => {
    expect(contextFromHeaders({ traceparent }).traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
    expect(contextFromHeaders({ traceparent }).traceId).not.toBe(traceId);
  });

  it('hands on what is left of the deadline, not the time of day', () => {
    const c = contextFromHeaders({ 'x-deadline-ms': '3000', 'x-priority': 'critical' }, 1000);
    expect(c).toMatchObject({ deadlineAt: 4000, priority: 'critical' });
    expect(contextHeaders(c, 3200)).toMatchObject({ 'x-deadline-ms': '800', 'x-priority': 'critical' });
    expect(remainingMs(c, 9000)).toBe(0);
    expect(remainingMs(newContext())).toBe(Infinity);
  });

  it('ignores a deadline or a priority that is none', () => {
    expect(contextFromHeaders({ 'x-deadline-ms': '-5', 'x-priority': 'vip' })).toMatchObject({ priority: 'normal' });
    expect(contextFromHeaders({ 'x-deadline-ms': '99999999' }).deadlineAt).toBeUndefined();
  });
});
