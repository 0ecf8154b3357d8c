import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';

/** Where hosts come from. */
export interface HostSource {
  node: string;
  /** Flags of Node itself. */
  flags: readonly string[];
  /** The built host.js. */
  file: string;
  root: string;
}

/** A host's heap: a young generation of 8 MB would make a start 3 % quicker and the mesh 24 MB larger; the old one has twice what 28 folded processes need. */
const FLAGS = ['--max-semi-space-size=2', '--max-old-space-size=300'];

/** Hosts as they are built under `root`. */
export const hostSource = (node: string, root: string): HostSource => ({
  ...{ node, root, flags: FLAGS, file: join(root, 'dist/apps/mesh/supervise/host.js') },
});

/** A Node process with a channel to it. */
export function spawnApart({ node, flags, root }: HostSource, args: readonly string[]): ChildProcess {
  return spawn(node, [...flags, ...args], {
    cwd: root,
    // A group of its own: Ctrl-C in a terminal reaches the launcher alone, which stops the hosts in order.
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    windowsHide: true,
  });
}

/** What a Node process kept ready has loaded: packages of others alone, or our rooms too. */
export type Spare = 'packages' | 'rooms';

/** A Node process that loads what a host needs, and waits to become one. */
export const spawnSpare = (source: HostSource, kind: Spare): ChildProcess =>
  spawnApart(source, [join(dirname(source.file), 'spare.js'), source.root, kind]);
