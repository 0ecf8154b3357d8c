import { setTimeout as sleep } from 'node:timers/promises';
import { context, newContext, runWith } from '#context';
import { silentLog } from '#log';
import { Metrics } from '#metrics';
import { Problem } from '#problem';
import { type Breaker, BreakerConfig, Breakers, Inconclusive } from './breaker.js';

let config: BreakerConfig;
let breakers: Breakers;
let breaker: Breaker;
let metrics: Metrics;
const said: string[] = [];
const log = Object.assign(Object.create(silentLog) as typeof silentLog, {
  warn: (text: string) => void said.push(text),
  info: (text: string) => void said.push(text),
});

beforeEach(() => {
  said.length = 0;
  config = Object.assign(new BreakerConfig(), {
    timeoutMs: 800,
    minCalls: 20,
    errorPercent: 50,
    windowSeconds: 10,
    windowBuckets: 10,
    latencySamples: 100,
    resetMs: 60,
    maxConcurrent: 50,
  });
  metrics = new Metrics('test');
  breakers = new Breakers({ config, log, metrics });
  breaker = breakers.of('movie-query');
});
afterEach(() => breakers.close());

const good = () => breaker.fire(() => Promise.resolve('good'));
const bad = () => breaker.fire(() => Promise.reject(new Error('connection lost')));
const answer = () => breaker.fire(() => Promise.reject(new Problem('not-found', 404, 'no such film')));
const hang = (timeoutMs: number) => breaker.fire(() => new Promise<never>(() => undefined), { timeoutMs });
const times = async (count: number, call: () => Promise<unknown>) => {
  for (let i = 0; i < count; i++) await call().catch(() => undefined);
};
const refusal = async (call: () => Promise<unknown>): Promise<Problem> => {
  const error: unknown = await call().then(
    () => new Error('was not refused'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof Problem) return error;
  throw error as Error;
};
const open = () => times(20, bad);
const slept = () => sleep(config.resetMs + 20);

describe('a breaker', () => {
  it('stays closed below twenty calls, all of them failures', async () => {
    await times(19, bad);
    expect(breaker.state).toBe('closed');
    await times(1, bad);
    expect(breaker.state).toBe('open');
  });

  it('opens at half of the calls, not below', async () => {
    await times(11, good);
    await times(10, bad);
    expect(breaker.state).toBe('closed');
    await times(1, bad);
    expect(breaker.state).toBe('open');
  });

  it('opens on a success that makes the calls enough', async () => {
    await times(19, bad);
    await good();
    expect(breaker.state).toBe('open');
  });

  it('takes problems below 500 for answers, and those from 500 for failures', async () => {
    await times(100, answer);
    expect([breaker.state, breaker.counts().badRequest, breaker.counts().calls]).toEqual(['closed', 100, 0]);
    await times(20, () => breaker.fire(() => Promise.reject(new Problem('storage-unavailable', 503, 'gone'))));
    expect(breaker.state).toBe('open');
  });

  it('refuses at once while open, without calling, with Retry-After', async () => {
    config.resetMs = 4200;
    await open();
    let called = 0;
    const problem = await refusal(() => breaker.fire(() => Promise.resolve(called++)));
    expect(problem).toMatchObject({ type: 'breaker-open', status: 503, headers: { 'Retry-After': '5' } });
    expect([called, breaker.counts().shortCircuited, breaker.counts().calls]).toEqual([0, 1, 20]);
  });

  it('gives up a call that takes too long, tells it, and counts it once', async () => {
    let aborted = false;
    const problem = await refusal(() =>
      breaker.fire(
        (signal) =>
          new Promise((_, reject) =>
            signal.addEventListener('abort', () => {
              aborted = true;
              reject(new Error('given up'));
            }),
          ),
        { timeoutMs: 60 },
      ),
    );
    expect(problem).toMatchObject({ type: 'timeout', status: 504 });
    expect(aborted).toBe(true);
    expect(breaker.counts()).toMatchObject({ timeout: 1, failure: 0, calls: 1, errors: 1 });
    expect(breaker.latencies().percentileMs(100)).toBeGreaterThanOrEqual(59);
  });

  it('lets calls have time-outs of their own at the same time', async () => {
    const slow = breaker.fire(() => sleep(120, 'slow'), { timeoutMs: 600 });
    const late = refusal(() => hang(60));
    await expect(slow).resolves.toBe('slow');
    expect((await late).type).toBe('timeout');
  });

  it('lets one call through after its sleep: a success closes it with an empty window', async () => {
    await open();
    await slept();
    expect(breaker.state).toBe('half-open');
    let finish: (value: string) => void = () => undefined;
    const trial = breaker.fire(() => new Promise<string>((resolve) => (finish = resolve)));
    expect((await refusal(good)).type).toBe('breaker-open');
    finish('well again');
    await expect(trial).resolves.toBe('well again');
    expect(breaker.state).toBe('closed');
    await times(18, bad);
    expect(breaker.state).toBe('closed');
    expect(said).toEqual(['breaker opened', 'breaker closed']);
  });

  it('opens again when the trial fails, times out or tells nothing; closes when it is refused by the service', async () => {
    await open();
    for (const trial of [bad, () => hang(50), () => breaker.fire(() => Promise.reject(new Inconclusive('caller left')))]) {
      await slept();
      expect(breaker.state).toBe('half-open');
      await times(1, trial);
      expect(breaker.state).toBe('open');
    }
    await slept();
    await times(1, answer);
    expect(breaker.state).toBe('closed');
  });

  it('counts no call that tells nothing about the service', async () => {
    await times(50, () => breaker.fire(() => Promise.reject(new Inconclusive('caller left'))));
    expect([breaker.state, breaker.counts().calls, breaker.counts().exceptionThrown]).toEqual(['closed', 0, 0]);
  });

  it('refuses what its bulkhead cannot hold, which is no failure of the service', async () => {
    config.maxConcurrent = 2;
    const finish: (() => void)[] = [];
    const running = [1, 2].map(() => breaker.fire(() => new Promise<void>((resolve) => finish.push(resolve))));
    expect(await refusal(good)).toMatchObject({ type: 'bulkhead-full', status: 503, headers: { 'Retry-After': '1' } });
    await times(40, good);
    expect([breaker.state, breaker.concurrent, breaker.counts().semaphoreRejected, breaker.counts().calls]).toEqual([
      'closed',
      2,
      41,
      0,
    ]);
    config.maxConcurrent = 3;
    await expect(good()).resolves.toBe('good');
    finish.forEach((end) => end());
    await Promise.all(running);
    expect(breaker.concurrent).toBe(0);
  });

  it('does not lose its trial to a full bulkhead', async () => {
    config.maxConcurrent = 1;
    let finish: () => void = () => undefined;
    const long = breaker.fire(() => new Promise<void>((resolve) => (finish = resolve)));
    config.maxConcurrent = 2;
    await open();
    await slept();
    config.maxConcurrent = 1;
    expect((await refusal(good)).type).toBe('bulkhead-full');
    expect(breaker.state).toBe('half-open');
    finish();
    await long;
  });

  it('gives the fallback for a failure or a refusal of its own, never for an answer', async () => {
    const fallback = (error: Problem) => Promise.resolve(`instead of ${error.type}`);
    const fire = (error: Problem) => breaker.fire(() => Promise.reject(error), { fallback });
    await expect(fire(new Problem('internal', 500, 'broke'))).resolves.toBe('instead of internal');
    await expect(fire(new Problem('not-found', 404, 'none'))).rejects.toMatchObject({ type: 'not-found' });
    await open();
    await expect(breaker.fire(() => Promise.resolve('x'), { fallback })).resolves.toBe('instead of breaker-open');
    expect(breaker.counts()).toMatchObject({ fallbackSuccess: 2, fallbackFailure: 0 });
    await times(1, () => breaker.fire(() => Promise.resolve('x'), { fallback: () => Promise.reject(new Error('none either')) }));
    expect(breaker.counts()).toMatchObject({ fallbackFailure: 1 });
  });

  it('obeys every setting from the next call on', async () => {
    await times(10, bad);
    config.minCalls = 11;
    await times(1, bad);
    expect(breaker.state).toBe('open');
    config.forceClosed = ['movie-query'];
    await expect(good()).resolves.toBe('good');
    await times(40, bad);
    expect(breaker.state).toBe('closed');
    config.forceOpen = ['movie-query'];
    expect((await refusal(good)).type).toBe('breaker-open');
    expect(breaker.state).toBe('open');
    config.forceOpen = config.forceClosed = undefined;
    config.windowSeconds = 1;
    await times(1, good);
    expect(breaker.counts().calls).toBe(1);
  });

  it('keeps what its dependency declares, whatever the section says', async () => {
    const payment = breakers.of('payment', { timeoutMs: 60 });
    expect((await refusal(() => payment.fire(() => sleep(200)))).type).toBe('timeout');
    expect(breakers.of('payment')).toBe(payment);
    expect(breakers.all().map(({ name }) => name)).toEqual(['movie-query', 'payment']);
  });

  it('does not keep the context of the request that opened it', async () => {
    let seen: unknown = 'not called';
    const spied = new Breakers({
      config,
      metrics,
      log: Object.assign(Object.create(silentLog) as typeof silentLog, { warn: () => (seen = context()) }),
    });
    await runWith(newContext(), () => times(20, () => spied.of('x').fire(() => Promise.reject(new Error('lost')))));
    expect(seen).toBeUndefined();
    spied.close();
  });

  it('shows itself in the metrics', async () => {
    await open();
    await times(3, good);
    const text = await metrics.text();
    expect(text).toMatch(/breaker_state\{name="movie-query",service_name="test"\} 2/);
    expect(text).toMatch(/breaker_calls_total\{name="movie-query",outcome="failure",service_name="test"\} 20/);
    expect(text).toMatch(/outcome="shortCircuited",service_name="test"\} 3/);
  });

  it('takes no calls once its process stops', async () => {
    breakers.close();
    expect(await refusal(good)).toMatchObject({ type: 'unavailable', status: 503 });
  });
});
