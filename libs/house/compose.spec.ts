import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { processFiles } from '#house';

interface Service {
  image: string;
  command?: string;
  build?: { context: string; dockerfile: string };
  environment?: Record<string, string>;
  healthcheck?: { test: string[] };
  mem_limit?: string;
  ports?: string[];
  volumes?: string[];
}
interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, object>;
}

const root = resolve(import.meta.dirname, '../..');
const file = join(root, 'docker-compose.yml');
const text = readFileSync(file, 'utf8');
const { services, volumes } = parse(text, { merge: true }) as Compose;
const processes = processFiles(root).map(({ name }) => name);
const engines = ['postgres', 'consul-1', 'consul-2', 'consul-3', 'kafka', 'elasticsearch', 'kibana', 'prometheus', 'grafana'];
/** They do their work and end. */
const ONCE = ['keys', 'prepare'];
const every = Object.entries(services);

/** docker-compose by either of its names, if this machine has it. */
function composeTool(): [string, string[]] | undefined {
  for (const [command, args] of [
    ['docker-compose', []],
    ['docker', ['compose']],
  ] as const) {
    try {
      execFileSync(command, [...args, 'version'], { stdio: 'ignore' });
      return [command, [...args]];
    } catch {
      continue;
    }
  }
  return undefined;
}

describe('docker-compose.yml', () => {
  it('brings every process, every real engine, and two tasks that run once', () => {
    expect(Object.keys(services).sort()).toEqual([...processes, ...engines, ...ONCE].sort());
  });

  it.each(processes)('runs %s from the one image, by one line', (name) => {
    const { image, command, build, healthcheck } = services[name]!;
    expect({ image, build }).toEqual({ image: 'cinemanzana', build: { context: '.', dockerfile: '.docker/Dockerfile' } });
    expect(command).toMatch(/^node dist\/apps\/\S+\.js$/);
    expect(healthcheck?.test.at(-1)).toBe(services[name]!.environment!.PORT);
    expect(services[name]!.environment!.MESH_ADDRESS).toBe(name);
  });

  it('builds that image from a file that is there', () => {
    expect(existsSync(join(root, '.docker/Dockerfile'))).toBe(true);
  });

  it('lets only the gateway out of all processes, and everything on loopback alone', () => {
    const open = every.filter(([, { ports }]) => ports);
    expect(open.map(([name]) => name).filter((name) => processes.includes(name))).toEqual(['gateway']);
    for (const [, { ports }] of open) for (const port of ports!) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  it('bounds the memory of each, and asks each that stays whether it is well', () => {
    for (const [name, service] of every) {
      expect([name, service.mem_limit]).toEqual([name, expect.stringMatching(/^\d+[mg]$/)]);
      if (!ONCE.includes(name))
        expect([name, service.healthcheck?.test]).toEqual([name, expect.arrayContaining([expect.any(String)])]);
    }
  });

  it('holds no password: they are made into a volume', () => {
    const secrets = every
      .flatMap(([, { environment = {} }]) => Object.entries(environment))
      .filter(([key]) => /PASSWORD|SECRET|TOKEN|_KEY/.test(key));
    expect(secrets.length).toBeGreaterThan(0);
    for (const [key, value] of secrets)
      expect([key, value]).toEqual([expect.stringMatching(/_FILE$/), expect.stringMatching(/^\/keys\//)]);
    expect(text).not.toMatch(/:\/\/[^/\s:]+:[^/\s@]+@/);
  });

  it('names every volume once, and uses it', () => {
    const used = every.flatMap(([, service]) => service.volumes ?? []).map((mount) => mount.split(':')[0]!);
    expect(Object.keys(volumes).sort()).toEqual([...new Set(used.filter((source) => !source.startsWith('.')))].sort());
    for (const source of used.filter((source) => source.startsWith('.')))
      expect([source, existsSync(join(root, source))]).toEqual([source, true]);
  });

  const tool = composeTool();
  (tool ? it : it.skip)(`is what docker-compose can read${tool ? '' : ' (not installed here)'}`, () => {
    const [command, args] = tool!;
    const read = execFileSync(command, [...args, '-f', file, 'config', '--services'], { encoding: 'utf8', stdio: 'pipe' });
    expect(read.trim().split('\n').sort()).toEqual(Object.keys(services).sort());
  });
});
