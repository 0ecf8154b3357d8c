import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openClient, startPostgres } from '#postgres';
import { isRoot, nobody, reachable } from './files.js';
import { isAlive } from './processes.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const onLinux = process.platform === 'linux' ? it : it.skip;
const asAnother = isRoot() && reachable(root, nobody()) ? it : it.skip;

let home: string;
let dir: string;

/** Another Node that starts PostgreSQL on `at`, and the postmaster's process id. */
async function launcher(
  at: string,
  options: { uid?: number; gid?: number } = {},
): Promise<{ child: ChildProcess; pid: number; url: string }> {
  const script = `import { startPostgres } from '#postgres';
    process.on('SIGINT', () => {});
    const { pid, url } = await startPostgres({ dir: ${JSON.stringify(at)}, durable: false }).then((p) => ({ pid: p.pid, url: p.url('postgres') }));
    console.log(JSON.stringify({ pid, url }));
    setInterval(() => {}, 1000);`;
  const hook = join(root, 'libs/testing/typescript.mjs');
  const args = ['--import', hook, '--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { ...options, cwd: root, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => ['{}'])])) as [string];
  return { child, ...(JSON.parse(line) as { pid: number; url: string }) };
}

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = await openClient(url);
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function goneWithin(pid: number, ms: number): Promise<boolean> {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(10)) if (!isAlive(pid)) return true;
  return false;
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'cinemanzana-launcher-'));
  chmodSync(home, 0o711);
  dir = join(home, 'postgres');
  const first = await startPostgres({ dir, durable: false });
  await ask(first.url('postgres'), 'CREATE TABLE kept AS SELECT 7 AS n');
  await first.stop();
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

it('keeps data, port and password over a restart, and its password to itself', async () => {
  const port = readFileSync(join(dir, 'port'), 'utf8').trim();
  const postgres = await startPostgres({ dir, durable: false });
  expect(String(postgres.port)).toBe(port);
  expect(await ask(postgres.url('postgres'), 'SELECT n FROM kept')).toEqual([{ n: 7 }]);
  expect(statSync(join(dir, 'password')).mode & 0o777).toBe(0o600);
  const wrong = postgres.url('postgres').replace(/mesh:[^@]+/, 'mesh:wrong');
  await expect(ask(wrong, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  await expect(startPostgres({ dir })).rejects.toThrow(`process ${process.pid} already runs PostgreSQL`);
  await postgres.stop();
  expect(isAlive(postgres.pid)).toBe(false);
});

it('says when the port it was given is taken, and takes another when its last one is', async () => {
  const port = Number(readFileSync(join(dir, 'port'), 'utf8'));
  const other = createServer().listen(port, '127.0.0.1');
  await once(other, 'listening');
  await expect(startPostgres({ dir, durable: false, port })).rejects.toThrow(`port ${port} for PostgreSQL is taken`);
  const postgres = await startPostgres({ dir, durable: false });
  expect(postgres.port).not.toBe(port);
  await postgres.stop();
  other.close();
});

it('stays up when Ctrl-C reaches the group of its launcher, ends when that is killed, and starts again with all its data', async () => {
  const { child, pid, url } = await launcher(dir);
  await ask(url, 'UPDATE kept SET n = 8');
  process.kill(-child.pid!, 'SIGINT');
  await sleep(100);
  expect(await ask(url, 'SELECT n FROM kept')).toEqual([{ n: 8 }]);
  process.kill(-child.pid!, 'SIGKILL');
  expect(await goneWithin(pid, 2_000)).toBe(true);
  const again = await startPostgres({ dir, durable: false });
  expect(await ask(again.url('postgres'), 'SELECT n FROM kept')).toEqual([{ n: 8 }]);
  await again.stop();
});

onLinux('stops an orphan cleanly, whose guard was killed with its launcher', async () => {
  const { child, pid } = await launcher(dir);
  const guard = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1]);
  process.kill(guard, 'SIGKILL');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(isAlive(pid)).toBe(true);
  const said: string[] = [];
  const again = await startPostgres({ dir, durable: false, onLog: (line) => void said.push(line) });
  expect(isAlive(pid)).toBe(false);
  expect(said.join('\n')).not.toContain('not properly shut down');
  await again.stop();
});

it('recovers after a power failure, and does not mind whose number the dead postmaster had', async () => {
  const postgres = await startPostgres({ dir, durable: false });
  await postgres.kill();
  const file = join(postgres.dataDir, 'postmaster.pid');
  const lines = readFileSync(file, 'utf8').split('\n');
  writeFileSync(file, [String(process.pid), ...lines.slice(1)].join('\n'));
  const again = await startPostgres({ dir, durable: false });
  expect(await ask(again.url('postgres'), 'SELECT n FROM kept')).toEqual([{ n: 8 }]);
  await again.stop();
});

asAnother('runs for an ordinary user as that user', async () => {
  const theirs = mkdtempSync(join(tmpdir(), 'cinemanzana-ordinary-'));
  chmodSync(theirs, 0o777);
  const { child, pid, url } = await launcher(join(theirs, 'postgres'), nobody());
  expect(await ask(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(statSync(join(theirs, 'postgres/data')).uid).toBe(nobody().uid);
  child.kill('SIGKILL');
  expect(await goneWithin(pid, 2_000)).toBe(true);
  rmSync(theirs, { recursive: true, force: true });
});
