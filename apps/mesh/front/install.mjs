import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { giveUp, running, say, seconds } from './say.mjs';

/** How often the progress line looks at what has arrived, ms. */
const LOOK_MS = 500;

/**
 * Installs what package-lock.json names unless it is there already.
 *
 * @param {string} root
 * @param {{ dev: boolean }} need  whether the tools for tests and checks are wanted too
 */
export async function ensureInstalled(root, { dev }) {
  if (isInstalled(root, dev)) return;
  await withLock(
    join(root, 'dist', '.install.lock'),
    async () => {
      if (!isInstalled(root, dev)) await install(root, dev);
    },
    () => say('mesh: another npm process is installing here; waiting for it'),
  );
}

/** A note in node_modules says which lock file it was made from, so that the usual start reads two small files. */
function isInstalled(root, dev) {
  const modules = join(root, 'node_modules');
  const hidden = join(modules, '.package-lock.json');
  if (!existsSync(hidden)) return false;
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const sum = createHash('sha256').update(lock).digest('hex');
  const note = (level) => `${sum} ${process.platform}-${process.arch} ${Math.floor(statSync(hidden).mtimeMs)} ${level}\n`;
  const noted = readOr(join(modules, '.mesh-lock'), '');
  const packages = JSON.parse(lock).packages;
  if (noted === note('all') || (!dev && noted === note('run')))
    return Object.keys(packages[''].dependencies).every((name) => existsSync(join(modules, name)));
  if (!agrees(root, packages, JSON.parse(readFileSync(hidden, 'utf8')).packages, dev)) return false;
  try {
    writeFileSync(join(modules, '.mesh-lock'), note(dev || agrees(root, packages, packages, true) ? 'all' : 'run'));
  } catch {
    // a read-only node_modules is compared again next time
  }
  return true;
}

/** Whether each package the lock file asks for is there in its version; those that npm may leave out here do not count. */
function agrees(root, wanted, found, dev) {
  return Object.entries(wanted).every(([path, { version, optional, devOptional, dev: forDev, link }]) => {
    if (!path || optional || devOptional || link || (forDev && !dev)) return true;
    return found[path]?.version === version && existsSync(join(root, path, 'package.json'));
  });
}

async function install(root, dev) {
  if (lstatSync(join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink())
    giveUp('mesh: node_modules is a link to another folder whose packages are not those of this package-lock.json.', 'Mend it: install there, or remove the link.'); // prettier-ignore
  const expected = Object.entries(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages)
    .filter(([path, { os, cpu }]) => path && fits(os, process.platform) && fits(cpu, process.arch))
    .map(([path]) => join(root, path, 'package.json'));
  const line = running();
  const startedAt = Date.now();
  const show = () => {
    const there = expected.filter((file) => existsSync(file)).length;
    const spent = Math.round((Date.now() - startedAt) / 1000);
    line.update(
      `mesh: installing, ${there} of ${expected.length} packages, ${spent} s${there ? '' : ' (about a minute the first time)'}`,
    );
  };
  show();
  const timer = setInterval(show, LOOK_MS);
  const { code, signal, output } = await npm(root, dev);
  clearInterval(timer);
  if (signal) process.exit(130);
  if (code !== 0) {
    line.end('mesh: npm could not install');
    giveUp(...cure(output));
  }
  line.end(`mesh: installed ${expected.length} packages in ${seconds(Date.now() - startedAt)}`);
  if (!isInstalled(root, dev))
    giveUp('mesh: npm says it installed, but packages are missing.', 'Mend it: npm ci --include=dev --include=optional');
}

const fits = (list, own) => !list || (list.includes(own) && !list.includes(`!${own}`));

/** npm with the Node that npm itself came with: the one in node_modules is about to be replaced. Its settings (`--ignore-scripts`, proxies) come by the environment. */
function npm(root, dev) {
  const flags = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--progress=false', ...(dev ? ['--include=dev'] : [])];
  const { npm_execpath: script = '', npm_node_execpath: node } = process.env;
  const inNpm = /npm-cli\.c?js$/.test(script);
  const options = { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true };
  const child = inNpm
    ? spawn(node ?? process.execPath, [script, ...flags], options)
    : spawn('npm', flags, { ...options, shell: process.platform === 'win32' });
  let output = '';
  const keep = (chunk) => (output = (output + chunk).slice(-20_000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((done) => {
    child.on('error', (error) => done({ code: 1, output: String(error) }));
    child.on('close', (code, signal) => done({ code, signal, output }));
  });
}

/** The last lines of npm and what to do about them. @param {string} output */
export function cure(output) {
  const lines = output.trimEnd().split('\n').slice(-15);
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENETUNREACH|ERR_SOCKET_TIMEOUT|network/i.test(output))
    return [
      ...lines,
      'The npm registry cannot be reached. Mend it: connect, or name your proxy (npm config set proxy http://host:port), then run the same command again.',
    ];
  if (/EACCES|EPERM/.test(output))
    return [...lines, 'Files here cannot be written. Mend it: make this folder yours (chown), or clone it where you may write.'];
  if (/ENOSPC/.test(output)) return [...lines, 'The disk is full. Mend it: free about 1 GB, then run the same command again.'];
  if (/ENOENT.*npm|spawn npm/.test(output))
    return [...lines, 'npm was not found. Mend it: install Node with npm from https://nodejs.org.'];
  return [...lines, 'Mend it: run npm ci to see it alone.'];
}

function readOr(file, otherwise) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}
