import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Info } from '#service';
import { isAlive, startWholeMesh, until, type WholeMesh } from '#testing';

/** What `mesh status --json` says of one instance. */
interface Status {
  process: string;
  slot: number;
  pid: number;
  state: string;
  url: string;
  revision: string;
}

const { projects } = JSON.parse(readFileSync('nest-cli.json', 'utf8')) as { projects: Record<string, unknown> };
const PROCESSES = Object.keys(projects).sort();
/** With a registry given from outside, ours is not started. */
const processesOf = ({ runtime }: WholeMesh, env: Record<string, string>) =>
  (runtime.only ?? PROCESSES).filter((name) => name !== 'discovery' || !env.CONSUL_HTTP_ADDR);

const status = async (mesh: WholeMesh): Promise<Status[]> => {
  const { stdout } = await mesh.mesh('status', '--json');
  return (JSON.parse(stdout) as { instances: Status[] }).instances;
};

/** Ask again and again until told to stop. @returns how many were asked, and how often something other than `wanted` came back */
export function underLoad(wanted: number, ask: () => Promise<{ status: number }>, askers = 4) {
  let [going, asked] = [true, 0];
  const wrong: Record<string, number> = {};
  const loop = async () => {
    while (going) {
      asked++;
      const said = await ask().then(
        ({ status: code }) => String(code),
        (error: Error) => String(error.cause ?? error),
      );
      if (said !== String(wanted)) wrong[said] = (wrong[said] ?? 0) + 1;
      await sleep(1);
    }
  };
  const done = Promise.all(Array.from({ length: askers }, loop));
  return async () => {
    going = false;
    await done;
    return { asked, wrong };
  };
}

/**
 * What the whole mesh does, however it is folded and whatever registry it uses.
 *
 * @param env  addresses of real servers in place of the embedded parts
 */
export function wholeMesh(fold: string[], env: Record<string, string> = {}): void {
  let mesh: WholeMesh;
  beforeAll(async () => (mesh = await startWholeMesh({ fold, env })), 120_000);
  afterAll(() => mesh?.stop(), 60_000);

  const create = (title: string) => mesh.write('POST', '/api/movies', { title, releaseOn: '2018-11-21' });

  it('has every process ready, and the first page of films readable', async () => {
    expect((await status(mesh)).map(({ process, state }) => `${process} ${state}`).sort()).toEqual(
      processesOf(mesh, env).map((name) => `${name} ready`),
    );
    const { status: code, body } = await mesh.http('GET', '/api/movies?limit=3');
    expect([code, body.items?.length]).toEqual([200, 3]);
  });

  /** How many films the query side lists, page by page. */
  const listed = async () => {
    const seen = new Set<string>();
    for (let cursor = ''; ;) {
      const { body } = await mesh.http('GET', `/api/movies?limit=100${cursor}`);
      for (const { id } of body.items ?? []) seen.add(id);
      if (!body.next) return seen.size;
      cursor = `&cursor=${encodeURIComponent(body.next)}`;
    }
  };

  it('goes on importing until all real films are there', async () => {
    const done = () => mesh.events.some((event) => event.event === 'films' && event.done === 3201 && event.total === 3201);
    await until('all films are read', done, 60_000);
    // The last events may still be on their way to the view.
    await until('all films are listed', async () => (await listed()) === 3201, 10_000);
  }, 75_000);

  it('is documented in one place', async () => {
    const { body } = await mesh.http('GET', '/openapi.json');
    expect(body).toMatchObject({
      openapi: expect.stringMatching(/^3\.1/),
      paths: { '/api/movies': { get: {}, post: {} }, '/api/movies/{id}': { patch: {} } },
    });
    const docs = await mesh.http('GET', '/docs');
    expect([docs.status, docs.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')]);
  });

  it('takes writes with a token only, and shows them to who asks for that version', async () => {
    expect((await mesh.http('POST', '/api/movies', { title: 'Roma', releaseOn: '2018-11-21' })).status).toBe(401);
    const made = await create('Roma');
    expect(made.status).toBe(201);
    const seen = await mesh.http('GET', made.headers.get('location')!, undefined, { 'min-version': '1' });
    expect([seen.status, seen.body.title, seen.headers.get('stale')]).toEqual([200, 'Roma', null]);
  });

  it('shows nothing of the platform at the public door', async () => {
    const inner: string[] = [
      '/metrics',
      '/health/live',
      '/health/ready',
      '/info',
      '/access',
      '/internal/revocations',
      '/hystrix.stream',
      '/v1/agent/self',
      '/config/dev',
      '/overrides/history',
      '/provider/payments',
      '/internal/accounts',
    ];
    for (const path of inner) expect([path, (await mesh.http('GET', path)).status]).toEqual([path, 404]);
  });

  it('takes a changed setting over in every process within 2 s', async () => {
    const before = await status(mesh);
    // The gateway's own facts are behind its door, where only the command looks.
    const urls = before.filter(({ process }) => process !== 'gateway').map(({ url }) => url);
    const revision = async (url: string) => ((await (await fetch(`${url}/info`)).json()) as Info).config.revision;
    const old = new Map(await Promise.all(urls.map(async (url) => [url, await revision(url)] as const)));
    expect(await mesh.mesh('config', 'set', 'breaker.errorPercent', '51')).toMatchObject({ code: 0, stderr: '' });
    // Those that have it are asked no more: thirty processes that answer all the time would have no time to look.
    const allHave = async () => {
      for (const [url, before] of old) if ((await revision(url)) !== before) old.delete(url);
      return old.size === 0;
    };
    expect(await until('all have it', allHave)).toBeLessThan(2000);
    const gateway = (seen: Status[]) => seen.find(({ process }) => process === 'gateway')!.revision;
    expect(gateway(await status(mesh))).not.toBe(gateway(before));
  }, 20_000);

  it('refuses a setting that its section refuses, naming key and type', async () => {
    const { code, stderr } = await mesh.mesh('config', 'set', 'breaker.errorPercent', 'many');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/breaker\.errorPercent.*integer/);
  });

  describe.each(['movie-query', 'movie-command'])('with a second %s', (name) => {
    const isQuery = name.endsWith('query');
    const read = () => mesh.http('GET', '/api/movies?limit=1');
    const write = () => create(`Load ${Math.random()}`);
    const second = async () => (await status(mesh)).find(({ process, slot }) => process === name && slot === 1);

    it('loses no request when that one is told to stop', async () => {
      expect((await mesh.mesh('scale', `${name}=2`)).code).toBe(0);
      await until('the second is ready', async () => (await second())?.state === 'ready', 20_000);
      const finish = underLoad(isQuery ? 200 : 201, isQuery ? read : write);
      await sleep(1000);
      expect((await mesh.mesh('scale', `${name}=1`)).code).toBe(0);
      await until('the second is gone', async () => !(await second()), 20_000);
      const { asked, wrong } = await finish();
      expect(wrong).toEqual({});
      expect(asked).toBeGreaterThan(100);
    }, 60_000);

    if (!isQuery) return;
    it('fails no read when that one is killed', async () => {
      await mesh.mesh('scale', `${name}=2`);
      await until('the second is ready', async () => (await second())?.state === 'ready', 20_000);
      await sleep(1000);
      const finish = underLoad(200, read);
      await sleep(500);
      process.kill((await second())!.pid, 'SIGKILL');
      await sleep(2000);
      const { asked, wrong } = await finish();
      expect(wrong).toEqual({});
      expect(asked).toBeGreaterThan(100);
      await mesh.mesh('scale', `${name}=1`);
    }, 60_000);
  });

  it('is stopped by Ctrl-C, answers what it accepted, and leaves nothing behind', async () => {
    const pids = [mesh.pid, ...(await status(mesh)).map(({ pid }) => pid)];
    const finish = underLoad(200, () => mesh.http('GET', '/api/movies?limit=1'));
    await sleep(200);
    mesh.signal('SIGINT');
    const code = await mesh.ended();
    const { wrong } = await finish();
    expect(code).toBe(0);
    // Once the door is closed a new connection is refused; a request that was accepted is never cut.
    expect(Object.keys(wrong).filter((said) => !/ECONNREFUSED|503/.test(said))).toEqual([]);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(readdirSync(mesh.dataDir)).not.toContain('mesh.json');
  }, 40_000);
}
