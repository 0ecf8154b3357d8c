import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { say, seconds } from './say.mjs';

/** The gate, in its order: what is cheap and near the typing comes first. */
const STEPS = [
  ['format', ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.']],
  ['types', ['node_modules/typescript7/bin/tsc', '-p', 'tsconfig.json', '--noEmit']],
  ['lint', ['node_modules/eslint/bin/eslint.js', '--config', 'libs/house/eslint.config.mjs', 'apps', 'libs']],
  [
    'boundaries',
    ['node_modules/dependency-cruiser/bin/dependency-cruiser.mjs', '--config', 'libs/house/boundaries.cjs', 'apps', 'libs'],
  ],
];

/** The flags jest needs to load ES modules, without NODE_OPTIONS, which Windows' shell cannot set in a script. */
const JEST = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];

/**
 * jest, with everything after `npm test --` passed on.
 *
 * @param {string} root
 * @param {string} node
 * @param {string[]} args
 * @returns {Promise<number>} exit code
 */
export async function test(root, node, args) {
  return (await run(root, node, [...JEST, ...args], 'inherit')).code;
}

/**
 * `npm run check`: one line a step, and one for each file of tests; the first that fails prints what it said and ends the run.
 *
 * @param {string} root
 * @param {string} node
 * @returns {Promise<number>} exit code
 */
export async function check(root, node) {
  for (const [name, command] of [...STEPS, ['tests', [...JEST, '--ci', '--colors=false']]]) {
    const startedAt = Date.now();
    // Tests take minutes: they are seen as they come, and are there to read when the run is cut off.
    const isSeen = name === 'tests';
    const { code, output } = await run(root, node, command, isSeen ? 'seen' : 'pipe');
    const time = seconds(Date.now() - startedAt);
    if (code !== 0) {
      if (!isSeen) process.stderr.write(output);
      say(`✗ ${name.padEnd(10)} ${time}   node ${command.join(' ')}`);
      return code;
    }
    say(`✓ ${name.padEnd(10)} ${time}${name === 'tests' ? `   ${counted(output)}` : ''}`);
  }
  return 0;
}

const counted = (output) => /^Tests:\s+(.*)$/m.exec(output)?.[1] ?? '';

function run(root, node, args, how) {
  if (!existsSync(join(root, args.find((arg) => !arg.startsWith('--')) ?? ''))) {
    return Promise.resolve({ code: 1, output: `mesh: ${args[0]} is not installed. Mend it: npm ci --include=dev\n` });
  }
  const child = spawn(node, args, {
    cwd: root,
    stdio: how === 'inherit' ? how : ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      output += chunk;
      if (how === 'seen') process.stderr.write(chunk);
    });
  }
  const stop = (signal) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop);
  return new Promise((done) => {
    child.on('error', (error) => done({ code: 1, output: String(error) }));
    child.on('close', (code, signal) => {
      for (const name of ['SIGINT', 'SIGTERM']) process.removeListener(name, stop);
      done({ code: signal ? 130 : (code ?? 1), output });
    });
  });
}
