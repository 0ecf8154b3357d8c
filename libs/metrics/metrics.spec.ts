import { Metrics } from '#metrics';

describe('metrics', () => {
  it('are one per name, and carry the service', async () => {
    const metrics = new Metrics('movie-query');
    metrics.counter('reads_total', 'Reads.', ['how']).inc({ how: 'one' });
    metrics.counter('reads_total', 'Reads.', ['how']).inc({ how: 'one' });
    expect(await metrics.text()).toContain('reads_total{how="one",service_name="movie-query"} 2');
  });

  it('of two services in one Node process are kept apart, and the process reports itself once', async () => {
    const [one, two] = [new Metrics('a', { ofNode: true }), new Metrics('b')];
    one.gauge('open', 'Open.').set(1);
    two.gauge('open', 'Open.').set(2);
    expect(await one.text()).toMatch(/open\{service_name="a"\} 1[\s\S]*process_cpu|process_cpu[\s\S]*open\{service_name="a"\} 1/);
    expect(await two.text()).toContain('open{service_name="b"} 2');
    expect(await two.text()).not.toContain('process_cpu');
  });
});
