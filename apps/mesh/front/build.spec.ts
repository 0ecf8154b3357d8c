import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

interface Built {
  built: string[];
  removed: string[];
  errors: { file: string; message: string }[];
}
interface Builder {
  build(root: string, options?: { force?: boolean }): Promise<Built>;
  isStale(root: string): boolean;
}

const project = resolve(import.meta.dirname, '../../..');

describe('the build', () => {
  let root: string;
  let builder: Builder;
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  const output = (file: string) => readFileSync(join(root, 'dist', file), 'utf8');

  beforeAll(async () => (builder = (await import(join(project, 'apps/mesh/build.mjs'))) as Builder));
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'mesh-build-'));
    symlinkSync(join(project, 'node_modules'), join(root, 'node_modules'));
    copyFileSync(join(project, '.swcrc'), join(root, '.swcrc'));
    write('apps/a/a.ts', 'export const a: number = 1;');
    write('libs/b/b.ts', 'export class B {}');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('writes the same tree as JavaScript, with maps that lead back to the source', async () => {
    expect((await builder.build(root)).built.sort()).toEqual(['apps/a/a.ts', 'libs/b/b.ts']);
    expect(output('apps/a/a.js')).toContain('export const a = 1;');
    expect(output('apps/a/a.js')).toContain('//# sourceMappingURL=a.js.map');
    expect(JSON.parse(output('apps/a/a.js.map'))).toMatchObject({ sources: ['../../../apps/a/a.ts'] });
  });

  it('does again only what has changed', async () => {
    await builder.build(root);
    expect(builder.isStale(root)).toBe(false);
    expect(await builder.build(root)).toMatchObject({ built: [], removed: [] });
    write('apps/a/a.ts', 'export const a: number = 22;');
    expect(builder.isStale(root)).toBe(true);
    expect((await builder.build(root)).built).toEqual(['apps/a/a.ts']);
    expect(output('apps/a/a.js')).toContain('a = 22');
  });

  it('makes again what was lost, and removes what has no source any more', async () => {
    await builder.build(root);
    rmSync(join(root, 'dist/libs/b/b.js'));
    rmSync(join(root, 'apps/a/a.ts'));
    expect(builder.isStale(root)).toBe(true);
    expect(await builder.build(root)).toMatchObject({ built: ['libs/b/b.ts'], removed: expect.arrayContaining(['apps/a/a.js']) });
    expect(existsSync(join(root, 'dist/apps/a/a.js'))).toBe(false);
  });

  it('copies what is no code, templates above all, and leaves tests and pages out', async () => {
    write('apps/a/templates/x.ts', 'not { code');
    write('apps/a/page.html', '<p>');
    write('apps/a/a.spec.ts', 'x');
    write('apps/a/README.md', 'x');
    await builder.build(root);
    expect(output('apps/a/templates/x.ts')).toBe('not { code');
    expect(readdirSync(join(root, 'dist/apps/a')).sort()).toEqual(['a.js', 'a.js.map', 'page.html', 'templates']);
  });

  it('names a file that does not compile, builds the others, and tries that one again', async () => {
    write('apps/a/a.ts', 'export const a = ;');
    const { built, errors } = await builder.build(root);
    expect(built).toEqual(['libs/b/b.ts']);
    expect(errors).toEqual([{ file: 'apps/a/a.ts', message: expect.stringContaining('Expression expected') }]);
    expect(builder.isStale(root)).toBe(true);
  });

  it('leaves nothing half done when two build at once', async () => {
    const both = await Promise.all([builder.build(root), builder.build(root)]);
    expect(both.flatMap(({ built }) => built).sort()).toEqual(['apps/a/a.ts', 'libs/b/b.ts']);
    expect(readdirSync(join(root, 'dist')).sort()).toEqual(['.build.json', 'apps', 'libs']);
  });
});
