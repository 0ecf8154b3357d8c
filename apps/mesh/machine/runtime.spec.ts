import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identify, stillRuns } from './identity.js';
import { AlreadyRunning, Runtime, readMesh, runningMesh } from './runtime.js';

const content = {
  startedAt: '2026-01-01T00:00:00Z',
  gateway: 'http://g',
  consul: 'http://d',
  config: 'http://c',
  profile: 'dev',
  children: [],
};
const nothing = () => Promise.resolve();

describe('the runtime file', () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'mesh-runtime-'))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('is readable by its owner alone, and is all that is left behind', async () => {
    const runtime = await Runtime.take(dir, content, nothing);
    expect(statSync(join(dir, 'mesh.json')).mode & 0o777).toBe(0o600);
    runtime.update({ gateway: 'http://other' });
    expect(readMesh(dir)?.gateway).toBe('http://other');
    expect(readdirSync(dir)).toEqual(['mesh.json']);
    runtime.release();
    expect(readdirSync(dir)).toEqual([]);
  });

  it('keeps a second launcher out and tells it who is there', async () => {
    await Runtime.take(dir, content, nothing);
    const second = Runtime.take(dir, content, nothing);
    await expect(second).rejects.toThrow(AlreadyRunning);
    await expect(second).rejects.toThrow(`process ${process.pid}, http://g`);
  });

  it('is taken over from a launcher that was killed, after its children are dealt with', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    const living = identify(child.pid!)!;
    const dead = { ...content, pid: 2 ** 22 - 1, born: '1', children: [living, { pid: 2 ** 22 - 2, born: '1' }] };
    writeFileSync(join(dir, 'mesh.json'), JSON.stringify(dead));
    expect(runningMesh(dir)).toBeUndefined();
    const told: unknown[] = [];
    await Runtime.take(dir, content, async (_of, children) => {
      told.push(...children);
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    expect(told).toEqual([living]);
    expect(runningMesh(dir)?.pid).toBe(process.pid);
  });

  it('does not mistake a later process with the same number for the launcher', async () => {
    writeFileSync(join(dir, 'mesh.json'), JSON.stringify({ ...content, pid: process.pid, born: 'long ago' }));
    expect(stillRuns({ pid: process.pid, born: 'long ago' })).toBe(false);
    await Runtime.take(dir, content, nothing);
    expect(existsSync(join(dir, 'mesh.json'))).toBe(true);
  });

  it('is replaced when it cannot be read', async () => {
    writeFileSync(join(dir, 'mesh.json'), '{ broken');
    await Runtime.take(dir, content, nothing);
    expect(readMesh(dir)?.pid).toBe(process.pid);
  });
});
