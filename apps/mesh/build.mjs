/**
 * Builds apps/ and libs/ into dist/, the same tree: TypeScript by SWC, everything else copied. Only what changed since the last
 * build is done again; what has no source any more is removed. Run by front.mjs in a process of its own (SWC keeps 40 MB), and by
 * `mesh dev` inside the launcher.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './front/lock.mjs';

const TREES = ['apps', 'libs'];
/** Files that run from where they are, or are never run. */
const LEFT_OUT = /(^apps\/mesh\/(front|build)[./])|\.spec\.ts$|\.d\.ts$|\.md$/;
/** Templates are text, whatever their ending. */
const TEMPLATE = /\/templates\//;

/**
 * @typedef {{ built: string[], removed: string[], errors: { file: string, message: string }[], ms: number }} Build
 */

/**
 * Brings dist/ up to date.
 *
 * @param {string} root
 * @param {{ force?: boolean }} [options]
 * @returns {Promise<Build>} source paths, relative to `root`; with errors the other files are built all the same
 */
export async function build(root, { force = false } = {}) {
  const startedAt = Date.now();
  return withLock(join(root, 'dist', '.build.lock'), async () => {
    const plan = compare(root, force);
    const { built, errors } = await write(root, plan);
    for (const file of plan.strays) rmSync(join(root, 'dist', file), { force: true });
    if (built.length || plan.strays.length) note(root, plan, errors);
    return { built, removed: plan.strays, errors, ms: Date.now() - startedAt };
  });
}

/** Whether dist/ differs from what `build` would make of the sources. @param {string} root */
export function isStale(root) {
  const { changed, strays } = compare(root, false);
  return changed.length + strays.length > 0;
}

/** What is to be done: each source's time and size against those noted by the last build, and the outputs nobody asks for. */
function compare(root, force) {
  const key = createHash('sha256')
    .update(readFileSync(join(root, '.swcrc')))
    .update(readFileSync(join(root, 'node_modules/@swc/core/package.json')))
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .digest('hex');
  const last = force ? undefined : noted(root);
  const known = last?.key === key ? last.files : {};
  const files = {};
  for (const file of TREES.flatMap((tree) => walk(root, tree)).filter((file) => !LEFT_OUT.test(file))) {
    const { mtimeMs, size } = statSync(join(root, file));
    files[file] = `${mtimeMs}:${size}`;
  }
  const outputs = new Set(TREES.flatMap((tree) => walk(join(root, 'dist'), tree)));
  const changed = Object.keys(files).filter((file) => known[file] !== files[file] || !outputs.has(outputOf(file)));
  const wanted = new Set(Object.keys(files).flatMap((file) => [outputOf(file), `${outputOf(file)}.map`]));
  return { key, files, changed, strays: [...outputs].filter((file) => !wanted.has(file)) };
}

function* filesUnder(root, folder) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* filesUnder(root, path);
    else if (!entry.name.startsWith('.')) yield path;
  }
}

const walk = (root, folder) => (existsSync(join(root, folder)) ? [...filesUnder(root, folder)] : []);
const isCode = (file) => file.endsWith('.ts') && !TEMPLATE.test(file);
const outputOf = (file) => (isCode(file) ? `${file.slice(0, -3)}.js` : file);

async function write(root, { changed }) {
  const errors = [];
  const built = [];
  const code = changed.filter(isCode);
  const swc = code.length ? await import('@swc/core') : undefined;
  const options = JSON.parse(readFileSync(join(root, '.swcrc'), 'utf8'));
  delete options.$schema;
  const one = async (file) => {
    const output = join(root, 'dist', outputOf(file));
    mkdirSync(dirname(output), { recursive: true });
    try {
      if (isCode(file)) await compile(swc, options, join(root, file), output);
      else replace(output, (temporary) => copyFileSync(join(root, file), temporary));
      built.push(file);
    } catch (error) {
      errors.push({ file, message: String(error.message ?? error).trim() });
    }
  };
  await Promise.all(changed.map(one));
  return { built, errors };
}

async function compile(swc, options, source, output) {
  const sourceFileName = relative(dirname(output), source).replaceAll('\\', '/');
  const made = await swc.transform(readFileSync(source, 'utf8'), { ...options, swcrc: false, filename: source, sourceFileName });
  const name = output.slice(output.replaceAll('\\', '/').lastIndexOf('/') + 1);
  replace(`${output}.map`, (temporary) => writeFileSync(temporary, made.map ?? ''));
  replace(output, (temporary) => writeFileSync(temporary, `${made.code}//# sourceMappingURL=${name}.map\n`));
}

/** A reader sees the whole old file or the whole new one. */
function replace(file, fill) {
  const temporary = join(dirname(file), `.${process.pid}.${file.length}.${Math.random().toString(36).slice(2)}`);
  try {
    fill(temporary);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function noted(root) {
  try {
    return JSON.parse(readFileSync(join(root, 'dist/.build.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

function note(root, { key, files }, errors) {
  const failed = new Set(errors.map(({ file }) => file));
  const done = Object.fromEntries(Object.entries(files).filter(([file]) => !failed.has(file)));
  replace(join(root, 'dist/.build.json'), (temporary) => writeFileSync(temporary, JSON.stringify({ key, files: done })));
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
  const { built, removed, errors, ms } = await build(root, { force: process.argv.includes('--force') });
  for (const { file, message } of errors) process.stderr.write(`${file}\n${message}\n`);
  if (errors.length) process.exitCode = 1;
  else if (built.length || removed.length || process.argv.includes('--say'))
    process.stderr.write(
      `mesh: built ${built.length} files${removed.length ? `, removed ${removed.length}` : ''} in ${(ms / 1000).toFixed(1)} s\n`,
    );
}
