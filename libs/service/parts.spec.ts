import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { freeSlot, instanceId } from './parts.js';

describe('the slot of an instance', () => {
  const held = (slot: number, pid: number) => ({ id: instanceId('movie-query', slot), meta: { pid: String(pid) } });

  it('is that of an ended process again, and never that of a living one', async () => {
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    expect(freeSlot('movie-query', 0, [held(0, other.pid!)])).toBe(1);
    expect(freeSlot('movie-query', 0, [held(0, other.pid!), held(1, other.pid!)])).toBe(2);
    other.kill('SIGKILL');
    await once(other, 'exit');
    expect(freeSlot('movie-query', 0, [held(0, other.pid!)])).toBe(0);
  });

  it('stays the same for the process itself', () => {
    expect(freeSlot('movie-query', 0, [held(0, process.pid)])).toBe(0);
  });
});
