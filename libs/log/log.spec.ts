import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newContext, runWith } from '#context';
import { createLog, Spool } from '#log';

describe('a log line', () => {
  let dir: string, spool: Spool;
  const size = { maxFileBytes: 1e6, maxTotalBytes: 1e7, maxQueueBytes: 1e6 };
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'log-'));
    spool = new Spool({ dir, name: 'test', ...size });
  });
  afterEach(async () => {
    await spool.close();
    rmSync(dir, { recursive: true });
  });
  const log = () => createLog({ service: 'movie-command', version: '1', environment: 'test', spool, mask: ['password'] });
  const text = () =>
    readdirSync(dir)
      .map((file) => readFileSync(join(dir, file), 'utf8'))
      .join('');
  const lines = async () => {
    await spool.flush();
    return text()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, never>);
  };

  it('is one ECS line with service, trace and user', async () => {
    runWith(newContext({ traceId: 'a'.repeat(32), caller: { id: 'u1', roles: [] } }), () =>
      log().info('seats held', { seats: 2 }),
    );
    expect(await lines()).toEqual([
      expect.objectContaining({
        message: 'seats held',
        'log.level': 'info',
        'service.name': 'movie-command',
        'event.dataset': 'movie-command',
        'trace.id': 'a'.repeat(32),
        'user.id': 'u1',
        mesh: { seats: 2 },
        '@timestamp': expect.stringMatching(/Z$/),
      }),
    ]);
  });

  it('never holds a secret, at any depth', async () => {
    log().info('signed in', { password: 'hunter2', 'user.password': 'hunter2', form: { Password: 'hunter2', name: 'ann' } });
    await spool.flush();
    expect(text()).not.toContain('hunter2');
    expect((await lines())[0]).toMatchObject({ mesh: { form: { name: 'ann' } } });
  });

  it('cannot be forged by a value with line ends or escapes, nor grow without bound', async () => {
    log().warn('odd input', { value: 'a\n{"forged":true}\u001b[2J\u009b', long: 'x'.repeat(100_000) });
    const [line, ...more] = await lines();
    expect(more).toEqual([]);
    const { value, long } = (line as unknown as { mesh: Record<string, string> }).mesh;
    expect(value).toContain('\\u001b[2J\\u009b');
    expect(long!.length).toBeLessThan(8200);
  });

  it('keeps an error with its stack and cause', async () => {
    log().error('write failed', { error: new Error('outer', { cause: new Error('inner') }) });
    const [line] = await lines();
    expect(line).toMatchObject({ 'error.type': 'Error', 'error.message': 'outer' });
    expect(line!['error.stack_trace']).toMatch(/outer[\s\S]*caused by Error: inner/);
  });

  it('is not written below the level, which can change', async () => {
    const quiet = log();
    quiet.debug('unseen');
    quiet.configure({ level: 'debug' });
    quiet.debug('seen');
    expect((await lines()).map(({ message }) => message)).toEqual(['seen']);
  });
});

describe('the spool', () => {
  it('starts a new file at its size and deletes the oldest beyond the total', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'spool-'));
    const spool = new Spool({ dir, name: 't', maxFileBytes: 100, maxTotalBytes: 350, maxQueueBytes: 1e6 });
    for (let i = 0; i < 10; i++) {
      spool.append('x'.repeat(120), false);
      await spool.flush();
    }
    await spool.close();
    expect(spool.written).toBe(10);
    expect(readdirSync(dir).length).toBeLessThanOrEqual(4);
    rmSync(dir, { recursive: true });
  });

  it('gives up minor lines first when the disk refuses, counts them, and goes on once it takes again', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'spool-'));
    const spool = new Spool({ dir: join(dir, 'gone'), name: 't', maxFileBytes: 1e6, maxTotalBytes: 1e7, maxQueueBytes: 1e6 });
    rmSync(join(dir, 'gone'), { recursive: true });
    spool.append('info', true);
    spool.append('error', false);
    await spool.flush();
    expect([spool.written, spool.dropped]).toEqual([0, 2]);
    const { mkdirSync } = await import('node:fs');
    mkdirSync(join(dir, 'gone'));
    spool.append('back', true);
    await spool.flush();
    expect([spool.written, spool.dropped]).toEqual([1, 2]);
    await spool.close();
    rmSync(dir, { recursive: true });
  });
});
