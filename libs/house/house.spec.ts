import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { nameFaults, treeFaults } from '#house';
import { plantedCode, plantedImports, soundCode, soundImports, type Planted } from './planted.js';

const root = resolve(import.meta.dirname, '../..');
const floors = createRequire(import.meta.url)('./floors.cjs') as string[][];
const rooms = floors.flat();

async function write(tree: string, files: Record<string, string>): Promise<void> {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(tree, file)), { recursive: true });
    await writeFile(join(tree, file), text);
  }
}

/** A tree of the project's own settings and packages that holds sound files and planted ones. */
async function plant(sound: Record<string, string>, planted: Planted[]): Promise<string> {
  const tree = await mkdtemp(join(tmpdir(), 'house-'));
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'), 'junction');
  for (const file of ['package.json', 'tsconfig.json']) await cp(join(root, file), join(tree, file));
  await write(tree, { ...sound, ...Object.fromEntries(planted.map(({ file, code }) => [file, code])) });
  return tree;
}

/** What a tool prints in the planted tree. Both tools leave with 1 when they find something, so the code says nothing here. */
const run = (tree: string, tool: string, args: string[]): Promise<string> =>
  new Promise((done) =>
    execFile(process.execPath, [join(root, 'node_modules', tool), ...args], { cwd: tree, maxBuffer: 2 ** 26 }, (_, out, err) =>
      done(out || err),
    ),
  );

/** `file: rule` of each fault, sorted. */
type Found = string[];

const foundImports = (json: string): Found => {
  const { summary } = JSON.parse(json) as { summary: { violations: { from: string; rule: { name: string } }[] } };
  return [...new Set(summary.violations.map(({ from, rule }) => `${from}: ${rule.name}`))].sort();
};

interface LintFile {
  filePath: string;
  messages: { ruleId: string | null; message: string }[];
}
const foundCode = (json: string, tree: string): Record<string, string> =>
  Object.fromEntries(
    (JSON.parse(json) as LintFile[])
      .filter(({ messages }) => messages.length)
      .map(({ filePath, messages }) => [
        relative(tree, filePath).replaceAll('\\', '/'),
        messages.map(({ ruleId, message }) => `${ruleId}: ${message}`).join('\n'),
      ]),
  );

const expected = (planted: Planted[]): Found => planted.map(({ file, rule }) => `${file}: ${rule}`).sort();

describe('the house finds what is planted, and nothing else', () => {
  const imports = plantedImports(rooms);
  let boundaries: string;
  let lint: Record<string, string>;

  beforeAll(async () => {
    const config = (name: string) => ['--config', join(root, 'libs/house', name), 'apps', 'libs'];
    const [importsTree, codeTree] = await Promise.all([plant(soundImports(rooms), imports), plant(soundCode, plantedCode)]);
    const [cruised, linted] = await Promise.all([
      run(importsTree, 'dependency-cruiser/bin/dependency-cruiser.mjs', [...config('boundaries.cjs'), '--output-type', 'json']),
      run(codeTree, 'eslint/bin/eslint.js', [...config('eslint.config.mjs'), '--format', 'json']),
    ]);
    boundaries = cruised;
    lint = foundCode(linted, codeTree);
    for (const tree of [importsTree, codeTree]) await rm(tree, { recursive: true });
  });

  it('in imports: each planted file breaks its rule, no other file breaks any', () => {
    expect(foundImports(boundaries)).toEqual(expected(imports));
  });

  it('with every boundary planted once', async () => {
    const { forbidden } = createRequire(import.meta.url)('./boundaries.cjs') as { forbidden: { name: string }[] };
    const named = new Set(imports.map(({ rule }) => rule));
    // Nothing stands above #staff, and no room stands beside it: there is nothing it could wrongly see.
    expect(forbidden.map(({ name }) => name).filter((name) => !named.has(name))).toEqual(['staff-looks-down']);
  });

  it('with every rule of the linter planted', async () => {
    const config = await readFile(join(root, 'libs/house/eslint.config.mjs'), 'utf8');
    const rules = new Set([...config.matchAll(/^ {2}'?([@\w/-]+)'?: \[?\s*'error'/gm)].map(([, rule]) => rule));
    expect([...rules].sort()).toEqual([...new Set(plantedCode.map(({ rule }) => rule))].sort());
  });

  it.each(plantedCode.map((planted) => [planted.file, planted] as const))('in code: %s', (file, { rule, says }) => {
    expect(lint[file]).toMatch(new RegExp(`^${rule}: .*${says ?? ''}`));
    expect(lint[file]?.split('\n')).toHaveLength(1);
  });

  it('in code: no other file', () => {
    const planted = new Set(plantedCode.map(({ file }) => file));
    expect(Object.entries(lint).filter(([file]) => !planted.has(file))).toEqual([]);
  });
});

describe('the house finds what lies wrongly', () => {
  const sound = {
    'package.json': '{}',
    'libs/log/log.ts': '',
    'apps/movie/movie.text.ts': '',
    'apps/movie/migrations/1-made.command.ts': '',
  };
  const faultsOf = async (files: Record<string, string>): Promise<string[]> => {
    const tree = await mkdtemp(join(tmpdir(), 'house-'));
    await write(tree, { ...sound, ...files });
    return Promise.resolve(treeFaults(tree)).finally(() => rm(tree, { recursive: true }));
  };
  const many = (folder: string) => Object.fromEntries(Array.from({ length: 13 }, (_, i) => [`${folder}/file-${i}.ts`, '']));

  it('and nothing in a sound tree, however many its migrations', async () => {
    expect(await faultsOf(many('apps/movie/migrations'))).toEqual([]);
  });

  it.each([
    ['top-level', { 'tools/build.sh': '' }],
    ['twelve-files', many('apps/movie/seats')],
    ['says-what-it-is', { 'libs/log/index.ts': '' }],
    ['says-what-it-is', { 'apps/movie/helpers/text.ts': '' }],
    ['subject-role', { 'apps/movie/MovieText.ts': '' }],
    ['one-door', { 'libs/outbox/relay.ts': '' }],
    ['on-a-floor', { 'libs/seats/seats.ts': '' }],
  ])('%s', async (rule, files) => {
    expect((await faultsOf(files)).map((fault) => fault.split(':')[0])).toEqual([rule]);
  });
});

const served = (name: string) => `export const X = service({ name: '${name}' });\n\nawait serve(import.meta, X);\n`;
const soundMesh: Record<string, string> = {
  'apps/movie/movie.command.ts': served('movie-command'),
  'apps/movie/movie.query.ts': served('movie-query'),
  'apps/movie/movie.events.ts': '',
  'apps/movie/movie.spec.ts': '',
  'config/application.yml': '',
  'config/movie-command.yml': '',
  'config/movie-query.yml': '',
  'nest-cli.json': JSON.stringify({
    projects: {
      'movie-command': { sourceRoot: 'apps/movie', entryFile: 'movie.command' },
      'movie-query': { sourceRoot: 'apps/movie', entryFile: 'movie.query' },
    },
  }),
  'docker-compose.yml':
    'services:\n  postgres: { image: postgres }\n' +
    '  movie-command: { command: node dist/apps/movie/movie.command.js }\n  movie-query: { command: node dist/apps/movie/movie.query.js }\n',
};

describe('the house finds a process with two names', () => {
  const faultsOf = async (change: Record<string, string>, without: string[] = []): Promise<string[]> => {
    const tree = await mkdtemp(join(tmpdir(), 'house-'));
    await write(
      tree,
      Object.fromEntries(Object.entries({ ...soundMesh, ...change }).filter(([file]) => !without.includes(file))),
    );
    return Promise.resolve(nameFaults(tree)).finally(() => rm(tree, { recursive: true }));
  };

  it('and nothing where all agree', async () => {
    expect(await faultsOf({})).toEqual([]);
  });

  it.each([
    ['does not say `name:', { 'apps/movie/movie.command.ts': served('movies') }],
    ['its last line is not', { 'apps/movie/movie.query.ts': `${served('movie-query')}console.log('late');\n` }],
    ['nest-cli.json says another file', { 'nest-cli.json': soundMesh['nest-cli.json']!.replace('movie.query', 'movie.view') }],
    ['nest-cli.json has no project', { 'nest-cli.json': soundMesh['nest-cli.json']!.replace(/,"movie-query":\{.*?\}/, '') }],
    [
      'docker-compose.yml starts another file',
      { 'docker-compose.yml': soundMesh['docker-compose.yml']!.replace('movie.query.js', 'movie.js') },
    ],
    [
      'docker-compose.yml has no service',
      { 'docker-compose.yml': soundMesh['docker-compose.yml']!.replace(/ {2}movie-query.*\n/, '') },
    ],
    ['config/ knows it, but no file', { 'config/seat-command.yml': '' }],
    [
      'nest-cli.json knows it, but no file',
      { 'nest-cli.json': soundMesh['nest-cli.json']!.replace('{"movie', '{"seat-query":{},"movie') },
    ],
  ])('%s', async (says, change) => {
    expect(await faultsOf(change)).toEqual([expect.stringContaining(says)]);
  });

  it.each([
    ['config/movie-query.yml is missing', 'config/movie-query.yml'],
    ['apps/movie/movie.spec.ts is missing', 'apps/movie/movie.spec.ts'],
    ['apps/movie/movie.events.ts is missing', 'apps/movie/movie.events.ts'],
  ])('%s', async (says, file) => {
    expect(await faultsOf({}, [file])).toEqual([expect.stringContaining(says)]);
  });
});

describe('this tree', () => {
  it('lies as the house says', () => {
    expect(treeFaults(root)).toEqual([]);
  });

  it('has a sentence in libs/README.md for every room, on its floor', async () => {
    const page = await readFile(join(root, 'libs/README.md'), 'utf8');
    const listed = [...page.matchAll(/^\| (\d+) \| `#([a-z-]+)` \| \S.* \|$/gm)].map(([, floor, room]) => [Number(floor), room]);
    expect(listed).toEqual(floors.flatMap((floor, i) => floor.map((room) => [i, room])));
  });
});
