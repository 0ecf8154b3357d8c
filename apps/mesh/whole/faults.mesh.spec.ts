import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, startWholeMesh, until, type WholeMesh } from '#testing';

interface Instance {
  process: string;
  slot: number;
  pid: number;
  state: string;
}

const instances = async (mesh: WholeMesh) =>
  (JSON.parse((await mesh.mesh('status', '--json')).stdout) as { instances: Instance[] }).instances;
const pidOf = async (mesh: WholeMesh, name: string) => (await instances(mesh)).find(({ process }) => process === name)!.pid;
const notes = (mesh: WholeMesh) => mesh.events.filter(({ event }) => event === 'note').map(({ text }) => text!);

/** The postmaster that serves this mesh: the one whose command line names its port. */
function postmaster(mesh: WholeMesh): number {
  const { port } = new URL(mesh.runtime.database!.url);
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words[0]?.endsWith('/postgres') && words.includes('-p') && words[words.indexOf('-p') + 1] === port;
    } catch {
      return false;
    }
  });
  return Number(found);
}

/** Writes one after the other until told to stop. @returns the ids that were acknowledged */
function acknowledged(mesh: WholeMesh) {
  let going = true;
  const ids: string[] = [];
  const done = (async () => {
    for (let n = 0; going; n++) {
      const answer = await mesh
        .write('POST', '/api/movies', { title: `Kept ${n}`, releaseOn: '2018-11-21' })
        .catch(() => undefined);
      if (answer?.status === 201) ids.push(String(answer.body.id));
      else await sleep(20);
    }
  })();
  return async () => {
    going = false;
    await done;
    return ids;
  };
}

const all = async (mesh: WholeMesh, ids: string[]) => {
  for (const id of ids) {
    const { status, body } = await mesh.http('GET', `/api/movies/${id}`, undefined, { 'min-version': '1' });
    expect([status, body]).toEqual([200, expect.objectContaining({ id })]);
  }
};

/** A resource and what all stand on: a fault is about these, whatever else there is. */
const SMALL = ['--only', 'movie', '--no-demo'];
const APART = ['--unfold', ...SMALL];

describe('a fault', () => {
  let dataDir: string, mesh: WholeMesh;
  beforeEach(() => (dataDir = mkdtempSync(join(tmpdir(), 'cinemanzana-fault-'))));
  afterEach(async () => {
    await mesh?.stop().catch(() => undefined);
    // Data that live outside of the folder are removed by the command that knows where.
    if (mesh) await mesh.mesh('reset', '--yes');
    rmSync(dataDir, { recursive: true, force: true });
  }, 40_000);

  it('that kills the folded process costs no acknowledged write, and it is started again', async () => {
    mesh = await startWholeMesh({ dataDir, fold: SMALL });
    const finish = acknowledged(mesh);
    await sleep(1500);
    const pid = await pidOf(mesh, 'movie-command');
    process.kill(pid, 'SIGKILL');
    await until('it said so', () => notes(mesh).some((text) => text.includes(`${pid}`) && text.includes('SIGKILL')));
    await sleep(300);
    await until(
      'all is ready again',
      async () => (await mesh.http('GET', '/api/movies?limit=1').catch(() => undefined))?.status === 200,
      15_000,
    );
    await sleep(500);
    const ids = await finish();
    expect(ids.length).toBeGreaterThan(10);
    await all(mesh, ids);
  }, 90_000);

  it('that kills the launcher leaves no orphan, and the next start has everything', async () => {
    mesh = await startWholeMesh({ dataDir, fold: SMALL });
    const finish = acknowledged(mesh);
    await sleep(1000);
    const pids = [...(await instances(mesh)).map(({ pid }) => pid), postmaster(mesh)];
    expect(pids.every((pid) => pid > 0)).toBe(true);
    mesh.signal('SIGKILL');
    await mesh.ended();
    const ids = await finish();
    await until('nothing of it is left', () => !pids.some(isAlive), 20_000);
    mesh = await startWholeMesh({ dataDir, fold: SMALL });
    expect(ids.length).toBeGreaterThan(10);
    await all(mesh, ids);
  }, 90_000);

  it('that kills PostgreSQL is answered with 503 and Retry-After, ends no process, and is over in 15 s', async () => {
    mesh = await startWholeMesh({ dataDir, fold: APART });
    const before = (await instances(mesh)).map(({ process, pid }) => `${process} ${pid}`).sort();
    const finish = acknowledged(mesh);
    await sleep(500);
    const killedAt = Date.now();
    process.kill(postmaster(mesh), 'SIGKILL');
    const seen = new Set<string>();
    const back = async () => {
      const answer = await mesh.http('GET', '/api/movies?limit=1');
      seen.add(`${answer.status} ${answer.headers.get('retry-after') !== null}`);
      return answer.status === 200 && Date.now() - killedAt > 1000;
    };
    await until('reads are back', back, 15_000);
    expect([...seen].filter((answer) => !['200 false', '503 true'].includes(answer))).toEqual([]);
    await until('all are ready', async () => (await instances(mesh)).every(({ state }) => state === 'ready'), 15_000);
    expect((await instances(mesh)).map(({ process, pid }) => `${process} ${pid}`).sort()).toEqual(before);
    await all(mesh, await finish());
  }, 90_000);

  it('is told by the doctor in one sentence with its cure, whichever part it is', async () => {
    mesh = await startWholeMesh({ dataDir, fold: APART });
    expect(await mesh.mesh('doctor')).toMatchObject({ code: 0, stdout: expect.stringContaining('well') });
    for (const name of ['config', 'discovery', 'gateway', 'movie-command', 'movie-query']) {
      const pid = await pidOf(mesh, name);
      process.kill(pid, 'SIGSTOP');
      const { code, stdout } = await mesh.mesh('doctor');
      process.kill(pid, 'SIGCONT');
      expect([name, code]).toEqual([name, 1]);
      const own = stdout.split('\n').filter((line) => line.includes(`${name} (process ${pid})`));
      expect([name, own.length]).toEqual([name, 1]);
      expect(own[0]).toMatch(new RegExp(`kill -CONT ${pid}`));
      await until(`${name} is well again`, async () => (await mesh.mesh('doctor')).code === 0, 15_000);
    }
    const { port } = new URL(mesh.runtime.database!.url);
    const pid = postmaster(mesh);
    execFileSync('pkill', ['-STOP', '-P', String(pid)]);
    process.kill(pid, 'SIGSTOP');
    const { stdout } = await mesh.mesh('doctor');
    execFileSync('pkill', ['-CONT', '-P', String(pid)]);
    process.kill(pid, 'SIGCONT');
    expect(stdout).toMatch(new RegExp(`PostgreSQL at .*${port}.*\\. .+`));
  }, 120_000);

  it('of the second Ctrl-C kills at once and leaves nothing', async () => {
    mesh = await startWholeMesh({ dataDir, fold: SMALL });
    const pids = [...(await instances(mesh)).map(({ pid }) => pid), postmaster(mesh)];
    // A request whose body never comes keeps the drain from ending.
    const { hostname, port } = new URL(mesh.api);
    const held = connect(Number(port), hostname).on('error', () => undefined);
    const head = [
      'POST /api/movies HTTP/1.1',
      'host: x',
      `authorization: Bearer ${await mesh.token()}`,
      'content-type: application/json',
    ];
    held.write(`${[...head, 'content-length: 100'].join('\r\n')}\r\n\r\n{`);
    await sleep(300);
    mesh.signal('SIGINT');
    mesh.signal('SIGINT'); // npm delivers one key press twice
    await sleep(700);
    expect(isAlive(mesh.pid)).toBe(true);
    mesh.signal('SIGINT');
    expect(await mesh.ended()).toBe(130);
    held.destroy();
    await until('nothing of it is left', () => !pids.some(isAlive), 5000);
    expect(readdirSync(dataDir)).not.toContain('mesh.json');
  }, 90_000);

  it('of a taken port is told with the process that has it and how to choose another', async () => {
    mesh = await startWholeMesh({ dataDir, fold: SMALL });
    const { port } = new URL(mesh.api);
    const elsewhere = mkdtempSync(join(tmpdir(), 'cinemanzana-fault-'));
    const other = await startWholeMesh({ dataDir: elsewhere, fold: ['--port', port] }).catch((error: Error) => error);
    rmSync(elsewhere, { recursive: true, force: true });
    expect(String(other)).toMatch(new RegExp(`port ${port}.*process \\d+.*--port`, 's'));
    const again = await startWholeMesh({ dataDir }).catch((error: Error) => error);
    expect(String(again)).toContain(String(mesh.pid));
  }, 90_000);
});
