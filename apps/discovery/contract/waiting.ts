import { setTimeout as sleep } from 'node:timers/promises';
import { NEWS_WITHIN_MS, type Row, type Speak } from './speak.js';

/** Blocking reads. */
export function waiting(ask: Speak, name: string) {
  const other = `${name}-other`;
  const register = (Name: string, tag = 'a') => ask('PUT', '/v1/agent/service/register', { Name, Tags: [tag] });
  const path = `/v1/health/service/${name}`;

  beforeAll(async () => {
    await register(name);
    await register(other);
  });
  afterAll(async () => {
    await ask('PUT', `/v1/agent/service/deregister/${name}`);
    await ask('PUT', `/v1/agent/service/deregister/${other}`);
  });

  it('answers as soon as what is watched changes', async () => {
    const { index } = await ask('GET', path);
    const news = ask('GET', `${path}?index=${index}&wait=10s`);
    await sleep(100);
    const changedMs = performance.now();
    await register(name, 'b');
    const said = await news;
    expect(performance.now() - changedMs).toBeLessThan(NEWS_WITHIN_MS);
    expect(said.index).toBeGreaterThan(index);
    expect(said.json<Row[]>()[0]?.Service.Tags).toEqual(['b']);
  });

  it('does not answer for what is not watched, and comes back empty-handed when the wait is over', async () => {
    const { index } = await ask('GET', path);
    const news = ask('GET', `${path}?index=${index}&wait=800ms`);
    await sleep(100);
    await register(other, `c${Date.now()}`);
    const said = await news;
    expect(said.tookMs).toBeGreaterThanOrEqual(800);
    expect(said.tookMs).toBeLessThan(800 * 1.0625 + NEWS_WITHIN_MS);
    expect(said.index).toBe(index);
  });

  it('does not answer for a registration that changes nothing', async () => {
    await register(name, 'same');
    const { index } = await ask('GET', path);
    const news = ask('GET', `${path}?index=${index}&wait=500ms`);
    await sleep(50);
    await register(name, 'same');
    expect((await news).tookMs).toBeGreaterThanOrEqual(500);
  });

  it('tells of a service that comes and goes, in the catalog too', async () => {
    const born = `${name}-born`;
    const before = await ask('GET', '/v1/catalog/services');
    const listed = ask('GET', `/v1/catalog/services?index=${before.index}&wait=10s`);
    const { index } = await ask('GET', `/v1/health/service/${born}`);
    const news = ask('GET', `/v1/health/service/${born}?index=${index}&wait=10s`);
    await sleep(100);
    await register(born);
    expect((await news).json<Row[]>()).toHaveLength(1);
    expect((await listed).json()).toHaveProperty(born);
    const { index: alive } = await ask('GET', `/v1/health/service/${born}`);
    const death = ask('GET', `/v1/health/service/${born}?index=${alive}&wait=10s`);
    await sleep(100);
    await ask('PUT', `/v1/agent/service/deregister/${born}`);
    expect((await death).json<Row[]>()).toEqual([]);
    expect((await death).tookMs).toBeLessThan(10_000);
  });
}
