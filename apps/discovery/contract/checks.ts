import { GONE_WITHIN_MS, Patient, type Row, type Speak } from './speak.js';

/** The status of a check, as soon as it is `wanted`. */
async function statusOf(
  ask: Speak,
  service: string,
  check: string,
  wanted: string,
  withinMs: number,
): Promise<string | undefined> {
  const untilMs = performance.now() + withinMs;
  let index = 0;
  for (;;) {
    const said = await ask('GET', `/v1/health/service/${service}?index=${index}&wait=1s`);
    const status = said.json<Row[]>()[0]?.Checks.find(({ CheckID }) => CheckID === check)?.Status;
    if (status === wanted || performance.now() > untilMs) return status;
    index = said.index;
  }
}

/** Who is checked is shown as it is. */
export function checks(ask: Speak, name: string) {
  const patient = new Patient();
  const register = (check: object) => ask('PUT', '/v1/agent/service/register', { Name: name, Port: patient.port, Check: check });
  const status = (wanted: string, withinMs = GONE_WITHIN_MS) => statusOf(ask, name, `service:${name}`, wanted, withinMs);

  beforeAll(() => patient.live());
  afterEach(() => ask('PUT', `/v1/agent/service/deregister/${name}`));
  afterAll(() => patient.die());

  it('asks over HTTP: 200 passes, 429 warns, 503 and silence are critical', async () => {
    await register({ HTTP: `http://127.0.0.1:${patient.port}/`, Interval: '200ms', Timeout: '300ms' });
    expect(await status('passing')).toBe('passing');
    patient.status = 429;
    expect(await status('warning')).toBe('warning');
    patient.status = 503;
    expect(await status('critical')).toBe('critical');
    patient.status = 200;
    expect(await status('passing')).toBe('passing');
    patient.hangs = true;
    expect(await status('critical')).toBe('critical');
    patient.hangs = false;
  });

  it('keeps the answer of the last look', async () => {
    await register({ HTTP: `http://127.0.0.1:${patient.port}/`, Interval: '100ms' });
    await status('passing');
    const shown = (await ask('GET', '/v1/agent/checks')).json<Record<string, { Output: string; Type: string }>>()[
      `service:${name}`
    ];
    expect(shown?.Output).toContain('200 OK Output: said');
    expect(shown?.Type).toBe('http');
  });

  it('connects over TCP', async () => {
    await register({ TCP: `127.0.0.1:${patient.port}`, Interval: '200ms', Timeout: '300ms' });
    expect(await status('passing')).toBe('passing');
    const { port } = patient;
    await patient.die();
    expect(await status('critical')).toBe('critical');
    await patient.live(port);
  });

  it('takes the word of a service for as long as its TTL', async () => {
    await register({ TTL: '600ms' });
    const beat = (verb: string) => ask('PUT', `/v1/agent/check/${verb}/service:${name}?note=hello`);
    expect(await status('critical')).toBe('critical');
    await beat('pass');
    expect(await status('passing')).toBe('passing');
    await beat('warn');
    expect(await status('warning')).toBe('warning');
    await beat('fail');
    expect(await status('critical')).toBe('critical');
    await ask('PUT', `/v1/agent/check/update/service:${name}`, { Status: 'passing', Output: 'all well' });
    expect(await status('passing')).toBe('passing');
    expect(await status('critical')).toBe('critical');
    const [check] = (await ask('GET', `/v1/health/checks/${name}`)).json<{ Output: string }[]>();
    expect(check?.Output).toBe('TTL expired (last output before timeout follows): all well');
  });

  it('begins with the status that the registration gives', async () => {
    await register({ TTL: '1m', Status: 'passing' });
    expect(await status('passing')).toBe('passing');
  });

  it('counts a check of its own that is registered later', async () => {
    await register({ TTL: '1m', Status: 'passing' });
    const id = `${name}-second`;
    await ask('PUT', '/v1/agent/check/register', { ID: id, Name: 'second', TTL: '1m', ServiceID: name });
    expect(await statusOf(ask, name, id, 'critical', GONE_WITHIN_MS)).toBe('critical');
    expect((await ask('GET', `/v1/health/service/${name}?passing`)).json()).toEqual([]);
    const critical = (await ask('GET', '/v1/health/state/critical')).json<{ CheckID: string }[]>();
    expect(critical.map(({ CheckID }) => CheckID)).toContain(id);
    await ask('PUT', `/v1/agent/check/deregister/${id}`);
    expect((await ask('GET', `/v1/health/service/${name}?passing`)).json()).toHaveLength(1);
  });
}
