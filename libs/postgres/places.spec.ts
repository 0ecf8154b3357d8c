import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openClient, removePostgres, startPostgres } from '#postgres';
import { packageRoot } from './binaries.js';
import { isRoot } from './files.js';

const asRoot = isRoot() && process.platform === 'linux' ? it : it.skip;
let home: string;

async function answers(url: string): Promise<boolean> {
  const client = await openClient(url);
  const { rowCount } = await client.query('SELECT 1');
  await client.end();
  return rowCount === 1;
}

const copyPackage = (to: string) => cpSync(packageRoot(), to, { recursive: true, verbatimSymlinks: true });

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'cinemanzana-places-'));
  chmodSync(home, 0o711);
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

it('restores what npm install --ignore-scripts leaves out: links and x bits', async () => {
  const copy = join(home, 'package');
  copyPackage(copy);
  for (const { target } of JSON.parse(readFileSync(join(copy, 'native/pg-symlinks.json'), 'utf8')) as { target: string }[])
    rmSync(join(copy, target), { force: true });
  for (const program of readdirSync(join(copy, 'native/bin'))) chmodSync(join(copy, 'native/bin', program), 0o644);
  const postgres = await startPostgres({ dir: join(home, 'postgres'), durable: false, binariesFrom: copy });
  expect(await answers(postgres.url('postgres'))).toBe(true);
  await postgres.stop();
});

asRoot('moves data and programs out of folders that only root may enter, and removes them with the rest', async () => {
  const closed = join(home, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const copy = join(closed, 'package');
  copyPackage(copy);
  const inside = join(closed, 'postgres');
  const postgres = await startPostgres({ dir: inside, durable: false, binariesFrom: copy });
  const { dataDir } = postgres;
  const programs = readlinkSync(`/proc/${postgres.pid}/exe`);
  expect(programs.startsWith(home)).toBe(false);
  expect(dataDir.startsWith(home)).toBe(false);
  expect(readFileSync(join(inside, 'moved'), 'utf8').trim()).toBe(dataDir);
  expect(await answers(postgres.url('postgres'))).toBe(true);
  await expect(removePostgres(inside)).rejects.toThrow('runs PostgreSQL');
  await postgres.stop();
  // Deleted by hand, the folder takes its data along, wherever they are.
  rmSync(inside, { recursive: true });
  const anew = await startPostgres({ dir: inside, durable: false, binariesFrom: copy });
  expect(await answers(anew.url('postgres'))).toBe(true);
  await anew.stop();
  await removePostgres(inside);
  expect([existsSync(dirname(dataDir)), existsSync(inside)]).toEqual([false, false]);
});
