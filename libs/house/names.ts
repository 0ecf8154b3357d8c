import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';

/** A file that is a process: its last line serves what it defines. */
export interface ProcessFile {
  /** `movie-command`, of `apps/movie/movie.command.ts`. */
  name: string;
  /** From the root, with slashes. */
  file: string;
  source: string;
}

interface Nest {
  projects?: Record<string, { sourceRoot?: string; entryFile?: string }>;
}
interface Compose {
  services?: Record<string, { command?: string | string[] } | null>;
}

const SERVES = /^await serve\(import\.meta, \w+\);?$/m;
const PROFILES = /-(dev|test|production)$/;
/** Files of config/ that are nobody's own. */
const SHARED = new Set(['application', 'problems']);

/** Every process of the tree, by name. */
export function processFiles(root: string): ProcessFile[] {
  return globSync('apps/*/*.ts', { cwd: root })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => !file.endsWith('.spec.ts'))
    .map((file) => ({ name: basename(file, '.ts').replaceAll('.', '-'), file, source: readFileSync(join(root, file), 'utf8') }))
    .filter(({ source }) => SERVES.test(source))
    .sort((a, b) => a.name.localeCompare(b.name));
}

const read = (root: string, file: string): string => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '');

function processFaults(root: string, { name, file, source }: ProcessFile, nest: Nest, compose: Compose): string[] {
  const project = nest.projects?.[name];
  const command = [compose.services?.[name]?.command ?? []].flat().join(' ');
  const checks: [boolean, string][] = [
    [SERVES.test(source.trimEnd().split('\n').at(-1) ?? ''), `its last line is not \`await serve(import.meta, …)\``],
    [source.includes(`name: '${name}'`), `${file} does not say \`name: '${name}'\``],
    [project !== undefined, `nest-cli.json has no project "${name}"`],
    [!project || `${project.sourceRoot}/${project.entryFile}.ts` === file, `nest-cli.json says another file than ${file}`],
    [compose.services?.[name] !== undefined, `docker-compose.yml has no service "${name}"`],
    [
      !compose.services?.[name] || command.includes(`dist/${file.replace(/\.ts$/, '.js')}`),
      `docker-compose.yml starts another file than ${file}`,
    ],
    [existsSync(join(root, 'config', `${name}.yml`)), `config/${name}.yml is missing`],
  ];
  return checks.filter(([holds]) => !holds).map(([, fault]) => `one-name: ${name}: ${fault}`);
}

/** A resource is four files: what others may know, both sides, and their test. */
function resourceFaults(root: string, processes: ProcessFile[]): string[] {
  const subjects = new Set(
    processes.filter(({ file }) => /\.(command|query)\.ts$/.test(file)).map(({ file }) => file.replace(/\.\w+\.ts$/, '')),
  );
  return [...subjects].flatMap((subject) =>
    ['events', 'command', 'query', 'spec']
      .map((role) => `${subject}.${role}.ts`)
      .filter((file) => !existsSync(join(root, file)))
      .map((file) => `four-files: ${subject}: ${file} is missing`),
  );
}

/**
 * Where a process has more than one name, or is missing somewhere: its file, `name: '…'` in it, nest-cli.json,
 * docker-compose.yml and config/ must agree. Each fault is `rule: process: what is wrong`.
 *
 * @param root  the tree to judge, absolute
 */
export function nameFaults(root: string): string[] {
  const processes = processFiles(root);
  const names = new Set(processes.map(({ name }) => name));
  const nest = JSON.parse(read(root, 'nest-cli.json') || '{}') as Nest;
  const compose = (parse(read(root, 'docker-compose.yml')) ?? {}) as Compose;
  const config = existsSync(join(root, 'config'))
    ? readdirSync(join(root, 'config')).filter((file) => file.endsWith('.yml'))
    : [];
  const strangers = [
    ...Object.keys(nest.projects ?? {}).map((name) => [name, 'nest-cli.json'] as const),
    ...Object.entries(compose.services ?? {})
      .filter(([, service]) =>
        [service?.command ?? []]
          .flat()
          .join(' ')
          .match(/dist\/apps\/(?!mesh\/)/),
      )
      .map(([name]) => [name, 'docker-compose.yml'] as const),
    ...config
      .map((file) => basename(file, '.yml').replace(PROFILES, ''))
      .filter((name) => !SHARED.has(name))
      .map((name) => [name, 'config/'] as const),
  ].filter(([name]) => !names.has(name));
  return [
    ...processes.flatMap((process) => processFaults(root, process, nest, compose)),
    ...strangers.map(([name, where]) => `one-name: ${name}: ${where} knows it, but no file of apps/ serves it`),
    ...resourceFaults(root, processes),
  ];
}
