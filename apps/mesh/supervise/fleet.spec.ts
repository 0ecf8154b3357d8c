import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '#config';
import { until } from '#testing';
import { Fleet } from './fleet.js';
import { type HostSource, spawnSpare } from './source.js';

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

const SPARE = `process.once('message', () => import('./host.mjs'));`;

let root: string, source: HostSource, fleet: Fleet;
const nothing = () => undefined;
const open = async (early?: ChildProcess) => {
  fleet = new Fleet({
    folding: [[{ name: 'a' }, { name: 'b' }]],
    ...{ source, early, screen: 'none' },
    listener: { changed: nothing, note: nothing, output: nothing, moved: nothing },
  });
  fleet.start();
  fleet.launch();
  await until('all are ready', () => fleet.standings.every(({ state }) => state === 'ready'));
};
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'cinemanzana-fleet-'));
  writeFileSync(join(root, 'host.mjs'), HOST);
  writeFileSync(join(root, 'spare.js'), SPARE);
  source = { node: process.execPath, flags: [], file: join(root, 'host.mjs'), root };
  await open();
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

it('takes a Node process that was begun early for its first host, which misses no order', async () => {
  await fleet.drain();
  // The real one, told what to be and to launch long before it listens; the host that it becomes is ours.
  const built = join(projectRoot, 'dist/apps/mesh/supervise/spare.js');
  writeFileSync(join(root, 'host.js'), HOST);
  writeFileSync(join(root, 'package.json'), JSON.stringify({ type: 'module', dependencies: {} }));
  writeFileSync(join(root, 'spare.js'), readFileSync(built, 'utf8').replace('await wait()', 'setTimeout(wait, 200)'));
  const early = spawnSpare(source, 'packages');
  await open(early);
  expect(fleet.standings.map(({ pid }) => pid)).toEqual([early.pid, early.pid]);
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
