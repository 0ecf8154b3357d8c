import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '#testing';
import { Fleet } from './fleet.js';

/** A host as the launcher sees it: slow to load, quick to do what it is told. */
const HOST = `
const say = (word) => process.send(word);
const stand = (name, state) => say({ say: 'state', state: { name, slot: 0, pid: process.pid, state, waitingFor: [] } });
process.on('message', ({ do: what, names, last }) => {
  for (const name of names) what === 'launch' ? stand(name, 'ready') : say({ say: 'closed', name });
  if (last) process.exit(0);
});
process.on('disconnect', () => process.exit(0));
setTimeout(() => say({ say: 'loaded', failures: [] }), 300);
`;

let root: string, fleet: Fleet;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'cinemanzana-fleet-'));
  writeFileSync(join(root, 'host.mjs'), HOST);
  writeFileSync(join(root, 'spare.js'), `process.once('message', () => import('./host.mjs'));`);
  const nothing = () => undefined;
  fleet = new Fleet({
    folding: [[{ name: 'a' }, { name: 'b' }]],
    source: { node: process.execPath, flags: [], file: join(root, 'host.mjs'), root },
    screen: 'none',
    listener: { changed: nothing, note: nothing, output: nothing, moved: nothing },
  });
  fleet.start();
  fleet.launch();
  await until('all are ready', () => fleet.standings.every(({ state }) => state === 'ready'));
});
afterEach(async () => {
  await fleet.drain();
  rmSync(root, { recursive: true });
});

const states = () => fleet.standings.map(({ name, state }) => `${name} ${state}`).sort();

describe('new code of one process', () => {
  const pidOf = (name: string) => fleet.standings.find((standing) => standing.name === name)?.pid;

  it('leaves alone what shared a Node process with it', async () => {
    const [a, b] = [pidOf('a'), pidOf('b')];
    await fleet.renew(['a']);
    await until('both are ready', () => states().join() === 'a ready,b ready');
    expect(pidOf('b')).toBe(b);
    expect(pidOf('a')).not.toBe(a);
    const next = pidOf('a');
    await fleet.renew(['a', 'b']);
    await until('both are ready', () => states().join() === 'a ready,b ready');
    expect([pidOf('a'), pidOf('b')]).not.toEqual([next, b]);
    expect(fleet.identities).toHaveLength(2);
  });
});

describe('a process that is taken over while new code is loaded', () => {
  it('stays away when the new code comes', async () => {
    const renewed = fleet.renew(['a']);
    await fleet.give('a');
    await renewed;
    await until('the rest is ready', () => states().join() === 'a elsewhere,b ready');
    fleet.takeBack('a');
    await until('it is back', () => states().join() === 'a ready,b ready');
  });

  it('is run by the new code when it is given back before that', async () => {
    await fleet.give('a');
    const renewed = fleet.renew(['b']);
    fleet.takeBack('a');
    await renewed;
    await until('both are ready', () => states().join() === 'a ready,b ready');
    expect(fleet.identities).toHaveLength(2);
  });
});
