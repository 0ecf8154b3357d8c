import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface NewOptions {
  /** The project's folder. */
  root: string;
  /** What many of it are called, where English does not form it by rule. */
  plural?: string;
  /** When its migrations are written, ms since the epoch. */
  atMs?: number;
}

/** What was written, each path from the project's folder. */
export interface NewResource {
  files: string[];
  /** Where it is reached. */
  route: string;
}

const NAME = /^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$/;
/** So that no line of the templates grows too long, characters. */
const LONGEST = 24;
/** Names that the templates themselves use, or the language. */
const USED =
  /^(Row|ViewRow|Column|Entity|Index|Controller|Allow|Public|Object|String|Number|Boolean|Array|Date|Map|Set|Promise|Error|Symbol|Function)$/;
const SIDES = ['command', 'query'] as const;

/** English by rule: box, boxes; city, cities; day, days. */
export function pluralOf(name: string): string {
  if (/(s|x|z|ch|sh)$/.test(name)) return `${name}es`;
  return /[^aeiou]y$/.test(name) ? name.replace(/y$/, 'ies') : `${name}s`;
}

const pascal = (name: string) => name.replace(/(^|-)([a-z])/g, (_, _dash, letter: string) => letter.toUpperCase());
const read = (root: string, file: string) => readFileSync(join(root, file), 'utf8');

interface NestCli {
  projects: Record<string, { root: string; sourceRoot: string; entryFile: string }>;
}
const nestOf = (root: string) => JSON.parse(read(root, 'nest-cli.json')) as NestCli;

/** Every plural that a controller answers by, with the file that says so. */
function plurals(root: string): Map<string, string> {
  const files = globSync('apps/*/*.ts', { cwd: root }).filter((file) => !file.endsWith('.spec.ts'));
  return new Map(
    files.flatMap((file) =>
      [...read(root, file).matchAll(/@Controller\('([\w-]+)'\)/g)].map(([, plural]) => [plural!, file] as const),
    ),
  );
}

/** @throws Error saying what is wrong with the name, and what would do */
function check(name: string, plural: string, root: string): void {
  for (const word of [name, plural]) {
    if (!NAME.test(word) || word.length > LONGEST)
      throw new Error(
        `'${word}' is no name of a resource: small letters and digits, words joined by -, at most ${LONGEST} characters: gift-card`,
      );
  }
  if (/-(command|query)$/.test(name))
    throw new Error(`'${name}' names one side of a resource: leave '${/-(\w+)$/.exec(name)![0]}' out`);
  if (USED.test(pascal(name)))
    throw new Error(`'${name}' would be the class ${pascal(name)}, which means something else in the code: find another word`);
  if (name === plural) throw new Error(`one and many are both '${name}': say what many are called with --plural`);
  if (existsSync(join(root, 'apps', name))) throw new Error(`there is an apps/${name} already`);
  const listed = Object.keys(nestOf(root).projects);
  const taken = [name, ...SIDES.map((side) => `${name}-${side}`)].find((process) => listed.includes(process));
  if (taken) throw new Error(`there is a process ${taken} already`);
  const owner = plurals(root).get(plural);
  if (owner) throw new Error(`/api/${plural} is answered by ${owner} already: say another with --plural`);
}

/** The block of a process in docker-compose.yml, behind the last one that is there. */
function composeWith(compose: string, name: string): string {
  const blocks = [...compose.matchAll(/^ {2}[\w-]+:\n(?: {4}.*\n)*? {4}command: node dist\/apps\/(?!mesh\/).*\n(?: {4}.*\n)*/gm)];
  const last = blocks.at(-1);
  if (!last) throw new Error('docker-compose.yml has no process to put another one behind');
  const end = last.index + last[0].length;
  const added = SIDES.map(
    (side) => `
  ${name}-${side}:
    <<: *process
    command: node dist/apps/${name}/${name}.${side}.js
    environment: { <<: *mesh, MESH_ADDRESS: ${name}-${side} }
`,
  );
  return compose.slice(0, end) + added.join('') + compose.slice(end);
}

/** nest-cli.json with both processes, told as its other ones are. */
function nestWith(root: string, name: string): string {
  const nest = nestOf(root);
  const folder = `apps/${name}`;
  for (const side of SIDES) {
    const own = { root: folder, sourceRoot: folder, entryFile: `${name}.${side}` };
    nest.projects[`${name}-${side}`] = { ...Object.values(nest.projects).at(-1), ...own };
  }
  nest.projects = Object.fromEntries(Object.entries(nest.projects).sort(([a], [b]) => a.localeCompare(b)));
  return `${JSON.stringify(nest, null, 2)}\n`;
}

/**
 * Make a resource: both sides, their events, tables and test, and the process's name wherever it must stand. It starts, is routed
 * and documented, and passes its test as it is.
 *
 * @param name  singular, small letters, words joined by `-`
 * @throws Error when the name cannot be used, or is taken; nothing is written then
 */
export function newResource(name: string, { root, plural = pluralOf(name), atMs = Date.now() }: NewOptions): NewResource {
  check(name, plural, root);
  const words: Readonly<Record<string, string>> = {
    ...{ __name__: name, __Name__: pascal(name), __plural__: plural, __table__: name.replaceAll('-', '_'), __at__: String(atMs) },
  };
  const filled = (template: string) =>
    read(root, `apps/mesh/templates/${template}.ts.txt`).replace(/__(name|Name|plural|table|at)__/g, (word) => words[word]!);
  const own = ['events', 'command', 'query', 'spec'].map((role) => [`apps/${name}/${name}.${role}.ts`, filled(role)]);
  const migrations = SIDES.map((side) => [`apps/${name}/migrations/${atMs}-${plural}.${side}.ts`, filled(`migration.${side}`)]);
  const config = SIDES.map((side) => [
    `config/${name}-${side}.yml`,
    `# What ${name}-${side} has otherwise than config/application.yml.\n{}\n`,
  ]);
  const lists = [
    ['nest-cli.json', nestWith(root, name)],
    ['docker-compose.yml', composeWith(read(root, 'docker-compose.yml'), name)],
  ];
  const files = [...own, ...migrations, ...config, ...lists] as [string, string][];
  for (const [file, text] of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return { files: files.map(([file]) => file), route: `/api/${plural}` };
}
