import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, extname, join } from 'node:path';

export { nameFaults, processFiles, type ProcessFile } from './names.js';
export { meshTables, withTables } from './page.js';

const floors = createRequire(import.meta.url)('./floors.cjs') as string[][];

/** Rooms without a floor: tests stand on all of them. */
const FLOORLESS = ['testing', 'house'];

const TOP_LEVEL = new Set([
  ...['package.json', 'package-lock.json', 'nest-cli.json', 'tsconfig.json', 'docker-compose.yml', 'README.md', 'LICENSE'],
  ...['apps', 'libs', 'config', 'observability'],
  ...['dist', 'node_modules', 'coverage'], // made, and never committed
]);

const MAX_FILES = 12;
const CODE = new Set(['.ts', '.mjs', '.cjs', '.js']);
const NO_SUBJECT = /^(utils?|common|shared|helpers?|base|misc|index)$/;
const NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;

interface Folder {
  path: string;
  files: string[];
}

function folders(root: string, path: string): Folder[] {
  const absolute = join(root, path);
  if (!existsSync(absolute)) return [];
  const entries = readdirSync(absolute, { withFileTypes: true }).filter(({ name }) => name !== 'node_modules');
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const below = entries.filter((entry) => entry.isDirectory()).flatMap(({ name }) => folders(root, `${path}/${name}`));
  return [{ path, files }, ...below];
}

const topFaults = (root: string): string[] =>
  readdirSync(root)
    .filter((name) => !name.startsWith('.') && !name.endsWith('.log') && !TOP_LEVEL.has(name))
    .map((name) => `top-level: ${name}: nothing new stands at the top; it belongs in apps/, libs/, config/ or observability/`);

function folderFaults({ path, files }: Folder): string[] {
  const faults: string[] = [];
  const code = files.filter((name) => CODE.has(extname(name)));
  // A migration that has run is never merged into another, so their folder may grow.
  if (files.length > MAX_FILES && basename(path) !== 'migrations') {
    faults.push(`twelve-files: ${path}: ${files.length} files in one folder, at most ${MAX_FILES}: split it by subject`);
  }
  for (const name of [basename(path), ...code.map((file) => basename(file, extname(file)))]) {
    const subject = name.split('.')[0] ?? '';
    if (NO_SUBJECT.test(subject)) faults.push(`says-what-it-is: ${path}: "${name}" does not say what it is for`);
    if (!NAME.test(name)) faults.push(`subject-role: ${path}: "${name}" is not written subject.role, in lower case`);
  }
  return faults;
}

function roomFaults(root: string): string[] {
  const libs = join(root, 'libs');
  const rooms = existsSync(libs) ? readdirSync(libs, { withFileTypes: true }).filter((entry) => entry.isDirectory()) : [];
  return rooms.flatMap(({ name }) => [
    ...(existsSync(join(libs, name, `${name}.ts`))
      ? []
      : [`one-door: libs/${name}: a room is entered by libs/${name}/${name}.ts`]),
    ...([...floors.flat(), ...FLOORLESS].includes(name)
      ? []
      : [
          `on-a-floor: libs/${name}: say in libs/house/floors.cjs on which floor it stands, and in libs/README.md what it is for`,
        ]),
  ]);
}

/**
 * What is wrong with how the files lie: the rules that need no parser. Each fault is `rule: place: what to do`.
 *
 * @param root  the tree to judge, absolute
 */
export function treeFaults(root: string): string[] {
  const code = ['apps', 'libs'].flatMap((top) => folders(root, top));
  return [...topFaults(root), ...code.flatMap(folderFaults), ...roomFaults(root)];
}
