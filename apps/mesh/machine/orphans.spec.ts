import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { identify, stillRuns } from './identity.js';
import { outlive } from './orphans.js';

describe('what a killed launcher left behind', () => {
  it('is waited for, and killed when it does not go', async () => {
    const stubborn = spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"]);
    await once(stubborn, 'spawn');
    const identity = identify(stubborn.pid!)!;
    const said: string[] = [];
    await outlive([identity], (text) => said.push(text), 200);
    expect(said).toEqual([
      `waiting for process ${identity.pid} of a mesh that was killed`,
      `process ${identity.pid} does not end; killing it`,
    ]);
    expect(stillRuns(identity)).toBe(false);
  });

  it('is left alone when its number means another process now', async () => {
    await outlive([{ pid: process.pid, born: 'long ago' }], () => undefined, 200);
    expect(stillRuns(identify(process.pid)!)).toBe(true);
  });
});
