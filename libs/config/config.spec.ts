import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsBoolean, IsInt, IsString, Max, Min } from 'class-validator';
import {
  ConfigError,
  environment,
  fileSettings,
  ConfigFiles,
  fileSources,
  flatten,
  loadSettings,
  merge,
  Section,
  type Settings,
  unflatten,
} from '#config';
import { silentLog } from '#log';

@Section('breaker')
class BreakerConfig {
  @IsInt() @Min(50) timeoutMs: number;
  @IsInt() @Min(1) @Max(100) errorPercent: number;
}

@Section('film')
class FilmConfig {
  @IsBoolean() open: boolean;
  @IsString({ each: true }) genres: string[];
}

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'config-'))));
afterEach(() => rmSync(dir, { recursive: true }));
const file = (name: string, text: string) => writeFileSync(join(dir, name), text);
const settings = (sections: (new () => object)[] = [BreakerConfig]) =>
  fileSettings({ process: 'gateway', profile: 'dev', sections, log: silentLog, dir });

describe('configuration files', () => {
  it('are taken profile over default, then application over shared', () => {
    file('application.yml', 'a: 1\nb: 1\nc: 1\nd: 1');
    file('gateway.yml', 'a: 2\nb: 2\nc: 2');
    file('application-dev.yml', 'a: 3\nb: 3');
    file('gateway-dev.yml', 'a: 4');
    const merged = merge(fileSources(dir, 'gateway', ['dev']));
    expect(Object.fromEntries([...merged].map(([key, { value }]) => [key, value]))).toEqual({ a: 4, b: 3, c: 2, d: 1 });
    expect(merged.get('b')!.origin).toBe('file:config/application-dev.yml');
  });

  it('are read again when they change, and only then', () => {
    const files = new ConfigFiles(dir);
    const source = () => files.sources('gateway', [])[0]!.source;
    file('gateway.yml', 'a: 1');
    expect(source()).toEqual({ a: 1 });
    file('gateway.yml', 'a: 2'); // as long, and hardly later
    expect(source()).toEqual({ a: 2 });
    utimesSync(join(dir, 'gateway.yml'), 1e9, 1e9);
    const known = source();
    expect(source()).toBe(known);
    file('gateway.yml', 'a: 3');
    expect(source()).toEqual({ a: 3 });
    rmSync(join(dir, 'gateway.yml'));
    expect(files.sources('gateway', [])).toEqual([]);
  });

  it('are flat on the wire and a tree again, a list being taken whole', () => {
    const tree = { film: { genres: ['a', 'b'], open: true }, n: 1 };
    expect(flatten(tree)).toEqual({ 'film.genres[0]': 'a', 'film.genres[1]': 'b', 'film.open': true, n: 1 });
    expect(unflatten(flatten(tree))).toEqual(tree);
    const merged = merge([
      { name: 'own', source: { 'g[0]': 'x' } },
      { name: 'shared', source: { 'g[0]': 'a', 'g[1]': 'b' } },
    ]);
    expect([...merged.keys()]).toEqual(['g[0]']);
  });

  it('cannot reach a prototype', () => {
    unflatten({ '__proto__.polluted': true, 'constructor.prototype.polluted': true });
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('stop the process with key, value, file and what is expected', () => {
    file('application.yml', 'config: { pollMs: 1000 }\nbreaker: { timeoutMs: fast, errorPercent: 101, errorPercentage: 5 }');
    expect(() => settings()).toThrow(ConfigError);
    try {
      settings();
    } catch (error) {
      const { message } = error as Error;
      expect(message).toMatch(/breaker\.timeoutMs is "fast" in file:config\/application\.yml: .*integer/);
      expect(message).toMatch(/breaker\.errorPercent is 101 .*must not be greater than 100/);
      expect(message).toMatch(/breaker\.errorPercentage .*should not exist/);
    }
    file('application.yml', 'config: { pollMs: 1000 }\nbreaker: { errorPercent: 50 }');
    expect(() => settings()).toThrow(/breaker\.timeoutMs is missing/);
  });

  it('may hold numbers and booleans as text, as .properties files do', () => {
    file(
      'application.yml',
      "config: { pollMs: '1000' }\nbreaker: { timeoutMs: '800', errorPercent: '50' }\nfilm: { open: 'false', genres: [x] }",
    );
    const read = settings([BreakerConfig, FilmConfig]);
    expect(read.section(BreakerConfig)).toEqual({ timeoutMs: 800, errorPercent: 50 });
    expect(read.section(FilmConfig)).toEqual({ open: false, genres: ['x'] });
  });
});

describe('settings from a server', () => {
  let server: Server, values: object, version: string, calls: number, running: Settings | undefined;
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const listen = (port = 0) => new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  const stop = () =>
    new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    });
  const load = (waiting: (why: string) => void = () => undefined, at = url()) =>
    loadSettings({
      process: 'gateway',
      profile: 'dev',
      sections: [BreakerConfig],
      log: silentLog,
      url: () => at,
      snapshotDir: dir,
      waiting,
    }).then((settings) => (running = settings));

  beforeEach(async () => {
    [values, version, calls] = [{ config: { pollMs: 100 }, breaker: { timeoutMs: 800, errorPercent: 50 } }, 'one', 0];
    server = createServer((req, res) => {
      calls++;
      if (req.headers['if-none-match'] === version) return void res.writeHead(304).end();
      res.writeHead(200, { etag: version });
      res.end(
        JSON.stringify({
          name: 'gateway',
          profiles: ['dev'],
          label: null,
          version,
          state: null,
          propertySources: [{ name: 's', source: flatten(values) }],
        }),
      );
    });
    await listen();
  });
  afterEach(async () => {
    running?.close();
    running = undefined;
    if (server.listening) await stop();
  });
  const until = async (test: () => boolean) => {
    for (let i = 0; i < 100 && !test(); i++) await sleep(20);
    expect(test()).toBe(true);
  };

  it('change in place, and listeners are told', async () => {
    const section = (await load()).section(BreakerConfig);
    let told = 0;
    running!.onChange(() => told++);
    [values, version] = [{ config: { pollMs: 100 }, breaker: { timeoutMs: 900, errorPercent: 50 } }, 'two'];
    await until(() => section.timeoutMs === 900);
    expect([told, running!.revision]).toEqual([1, 'two']);
  });

  it('keep what runs when a change is refused, and take the next good one', async () => {
    const section = (await load()).section(BreakerConfig);
    [values, version] = [{ config: { pollMs: 100 }, breaker: { timeoutMs: 1, errorPercent: 50 } }, 'bad'];
    const seen = calls;
    await until(() => calls > seen + 2);
    expect([section.timeoutMs, running!.revision]).toEqual([800, 'one']);
    [values, version] = [{ config: { pollMs: 100 }, breaker: { timeoutMs: 60, errorPercent: 50 } }, 'good'];
    await until(() => section.timeoutMs === 60);
  });

  it('come from the last good snapshot when the server is away, and from the server once it is back', async () => {
    await load();
    running!.close();
    const { port } = server.address() as AddressInfo;
    await stop();
    const again = await load(undefined, `http://127.0.0.1:${port}`);
    expect([again.origin, again.section(BreakerConfig).timeoutMs]).toEqual(['snapshot', 800]);
    await listen(port);
    await until(() => again.origin === 'server');
  });

  it('begin with the files where the server itself is to be found later, and follow it then', async () => {
    const { port } = server.address() as AddressInfo;
    await stop();
    const at = `http://127.0.0.1:${port}`;
    const options = { process: 'gateway', profile: 'dev', log: silentLog, url: () => at, snapshotDir: dir, beginWithFiles: true };
    running = await loadSettings({ ...options, sections: [] });
    expect(running.origin).toBe('files');
    await listen(port);
    await until(() => running!.origin === 'server');
    expect(running.revision).toBe('one');
  });

  it('are waited for, saying so, when there is no snapshot', async () => {
    const { port } = server.address() as AddressInfo;
    await stop();
    const why: string[] = [];
    const loading = load((text) => why.push(text), `http://127.0.0.1:${port}`);
    await until(() => why.length > 0);
    expect(why[0]).toContain(`http://127.0.0.1:${port}`);
    await listen(port);
    expect((await loading).origin).toBe('server');
  });
});

describe('the environment', () => {
  it('takes any secret from NAME or the file in NAME_FILE, read again on each use', () => {
    const path = join(dir, 'secret');
    writeFileSync(path, 'first\n');
    const { secret } = environment({ SMTP_PASSWORD_FILE: path, OTHER: 'plain' });
    expect([secret('SMTP_PASSWORD'), secret('OTHER'), secret('NONE')]).toEqual(['first', 'plain', undefined]);
    writeFileSync(path, 'second\n');
    expect(secret('SMTP_PASSWORD')).toBe('second');
    expect(() => environment({ A_FILE: join(dir, 'none') }).secret('A')).toThrow(/A_FILE names .*none/);
  });

  it('finds a running mesh by the file its launcher left', () => {
    writeFileSync(
      join(dir, 'mesh.json'),
      JSON.stringify({ consul: 'http://127.0.0.1:1', config: 'http://127.0.0.1:2', database: { url: 'postgres://x' } }),
    );
    const found = environment({ MESH_DATA: dir });
    expect(found).toMatchObject({ consulUrl: 'http://127.0.0.1:1', configUrl: 'http://127.0.0.1:2', databaseIsEmbedded: true });
    expect(environment({ MESH_DATA: dir, DATABASE_URL: 'postgres://y' })).toMatchObject({
      databaseUrl: 'postgres://y',
      databaseIsEmbedded: false,
    });
  });

  it('refuses a port that is no number', () => {
    expect(() => environment({ PORT: '80a' })).toThrow(/PORT must be a whole number/);
  });
});
