#!/usr/bin/env node
/**
 * The first thing that runs: `npm start`, `npm test`, `npx mesh …`. Plain JavaScript for Node 20 on a fresh clone: it installs and
 * builds what is missing, then hands over to dist/apps/mesh/mesh.js in a Node that is new enough.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { check, test } from './front/check.mjs';
import { ensureInstalled } from './front/install.mjs';
import { NO_NODE, bundledNode, goodEnough, realNode } from './front/node.mjs';
import { giveUp } from './front/say.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const meshFile = join(root, 'dist/apps/mesh/mesh.js');
/** The launcher holds a few tables and pipes: a small heap keeps it at the size of Node itself. */
const LEAN = ['--max-semi-space-size=1', '--max-old-space-size=128'];
const FOR_DEVELOPERS = new Set(['test', 'check', 'dev', 'build']);

const [verb = '--help', ...rest] = process.argv.slice(2);
if (Number(process.versions.node.split('.')[0]) < 20)
  giveUp(`mesh: this is Node ${process.versions.node}; npm start needs Node 20 or newer from https://nodejs.org.`);

await ensureInstalled(root, { dev: FOR_DEVELOPERS.has(verb) });
const installedAt = Date.now();
const node = realNode(root) ?? giveUp(...NO_NODE);

if (verb === 'build') process.exit(builder(['--say', ...rest]));
if (verb === 'check') process.exit(builder([]) || (await check(root, node)));
if (verb === 'test') process.exit(builder([]) || (await test(root, node, rest)));

const { isStale } = await import('./build.mjs');
if (isStale(root) && builder([]) !== 0)
  giveUp('mesh: the sources above do not compile; mend them and run the same command again');
await handOver(verb === 'up' || verb === 'dev' ? [verb, ...rest, '--since', String(installedAt)] : [verb, ...rest]);

/** SWC stays in memory once loaded, so it is loaded in a process that ends. @returns {number} exit code */
function builder(args) {
  return (
    spawnSync(process.execPath, [join(root, 'apps/mesh/build.mjs'), ...args], { stdio: 'inherit', windowsHide: true }).status ?? 1
  );
}

/** Here when this Node is new enough, which saves the memory of a second one; else in a child that ends when this one does. */
async function handOver(args) {
  if (goodEnough()) {
    const { main } = await import(pathToFileURL(meshFile).href);
    return main(args, node);
  }
  if (!existsSync(bundledNode(root) ?? '')) giveUp(...NO_NODE);
  const child = spawn(node, [...LEAN, meshFile, ...args], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  child.on('error', (error) => giveUp(`mesh: ${node} does not run here (${error.message}).`, ...NO_NODE));
  // A terminal sends its signal to parent and child alike; a lone `kill` reaches this one only. The child counts both as one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
