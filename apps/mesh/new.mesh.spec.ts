import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '#config';
import { startWholeMesh, until, type WholeMesh } from '#testing';
import { newResource } from './new.js';

const run = promisify(execFile);
const TREE = [
  'apps',
  'libs',
  'config',
  'package.json',
  'package-lock.json',
  'nest-cli.json',
  'docker-compose.yml',
  'tsconfig.json',
  '.swcrc',
];

let root: string, mesh: WholeMesh;
const node = (...args: string[]) => run(process.execPath, args, { cwd: root });

describe('a new resource, as it is', () => {
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'new-mesh-'));
    for (const part of TREE) cpSync(join(projectRoot, part), join(root, part), { recursive: true });
    symlinkSync(join(projectRoot, 'node_modules'), join(root, 'node_modules'), 'dir');
    newResource('gift-card', { root });
    await node('apps/mesh/front.mjs', 'build');
    mesh = await startWholeMesh({ root });
  }, 60_000);
  afterAll(async () => {
    await mesh?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  it('starts, is routed, and is documented', async () => {
    const { status, headers, body } = await mesh.write('POST', '/api/gift-cards', { title: 'A year of films' });
    expect([status, headers.get('location')]).toEqual([201, `/api/gift-cards/${String(body.id)}`]);
    const path = `/api/gift-cards/${String(body.id)}`;
    expect((await mesh.http('GET', path, undefined, { 'min-version': '1' })).body).toEqual(body);
    const document = await mesh.http('GET', '/openapi.json');
    expect(Object.keys(document.body.paths as object)).toEqual(
      expect.arrayContaining(['/api/gift-cards', '/api/gift-cards/{id}']),
    );
    await until('it is listed', async () => (await mesh.http('GET', '/api/gift-cards')).body.items?.length === 1);
  });

  it('passes its own test', async () => {
    const { stderr } = await node('--experimental-vm-modules', 'node_modules/jest/bin/jest.js', 'apps/gift-card');
    expect(stderr).toMatch(/2 passed, 2 total/);
  }, 60_000);
});
