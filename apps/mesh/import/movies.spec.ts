import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '#config';
import type { ServiceDefinition } from '#service';
import { startTestMesh, type TestMesh, until } from '#testing';
import type { ImportOptions } from './batches.js';
import { importMovies } from './movies.js';

/** As the launcher does it: by the file's name, since no app imports another. */
const load = async (side: string) => {
  const module = (await import(join(projectRoot, `apps/movie/movie.${side.toLowerCase()}.ts`))) as Record<
    string,
    ServiceDefinition
  >;
  return module[`Movie${side}`]!;
};

let mesh: TestMesh, options: ImportOptions, dir: string;
beforeAll(async () => {
  mesh = await startTestMesh({ processes: [await load('Command'), await load('Query')] });
  // The gateway passes paths as they are, so the process itself may stand for it.
  const token = (await mesh.bearer('chain-admin')).replace('Bearer ', '');
  options = { gatewayUrl: mesh.url('movie-command'), token: () => Promise.resolve(token) };
  dir = mkdtempSync(join(tmpdir(), 'films-'));
});
afterAll(async () => {
  await mesh.stop();
  rmSync(dir, { recursive: true });
});

const fileOf = (name: string, text: string) => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const list = async (q: string) =>
  (await mesh.http('movie-query').get(`/api/movies?${q}`).expect(200)).body.items as { title: string }[];

describe('an import', () => {
  it('tells line and field of a bad record and goes on', async () => {
    const film = (over: object) => JSON.stringify({ Title: 'One', 'Release Date': 'Jun 12 1998', ...over });
    const lines = [
      film({ Title: 'First' }),
      film({ Title: 'Long', 'Running Time min': 601 }),
      film({ Title: 'Undated', 'Release Date': 'soon' }),
      film({ Title: null }),
      '{"Title": "Broken", }',
      '{"__proto__": {}, "title": "Evil", "releaseOn": "2001-01-01"}',
      '{"title": "Ours", "releaseOn": "2001-01-01", "stars": 5}',
      film({ Title: 'Last' }),
    ];
    const result = await importMovies(fileOf('films.json', `[\n${lines.join(',\n')}\n]`), options);
    expect(result).toMatchObject({ read: 8, created: 2, existed: 0 });
    expect(result.failed.map(({ line, field }) => [line, field])).toEqual([
      [3, 'Running Time min'],
      [4, 'Release Date'],
      [4, 'Release Date'],
      [5, 'Title'],
      [6, ''],
      [7, '__proto__'],
      [8, 'stars'],
    ]);
    expect(result.failed.map(({ detail }) => detail)).toContain('must not be greater than 600');
  });

  it('takes CSV, and when it comes twice changes nothing', async () => {
    const csv = fileOf(
      'films.csv',
      'title,releaseOn,minutes,genres\nPersona,1966-08-31,83,Drama;Thriller\nCrisis,1946-02-25,,\n',
    );
    expect(await importMovies(csv, options)).toEqual({ read: 2, created: 2, existed: 0, failed: [] });
    expect(await importMovies(csv, options)).toEqual({ read: 2, created: 0, existed: 2, failed: [] });
  });

  it('that is a trial writes nothing', async () => {
    const file = fileOf('trial.json', '[{"title":"Trial","releaseOn":"1962-12-21"},{"title":"Error"}]');
    const result = await importMovies(file, { ...options, dryRun: true });
    expect(result).toEqual({ read: 2, created: 0, existed: 0, failed: [{ line: 1, field: 'releaseOn', detail: 'is required' }] });
    expect(await importMovies(file, options)).toMatchObject({ created: 1 });
  });

  it('is refused to who may not', async () => {
    await expect(importMovies('vega', { ...options, token: () => Promise.resolve('none') })).rejects.toThrow(/access token/);
  });

  it('takes the public set of 3,201 films, telling how far it is, and takes it again without doubling', async () => {
    const steps: number[] = [];
    const onProgress = ({ done, total }: { done: number; total: number }) => {
      expect(total).toBe(3201);
      steps.push(done);
    };
    expect(await importMovies('vega', { ...options, onProgress })).toEqual({ read: 3201, created: 3201, existed: 0, failed: [] });
    expect(steps[0]).toBeLessThan(100);
    expect(steps.at(-1)).toBe(3201);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(await importMovies('vega', options)).toEqual({ read: 3201, created: 0, existed: 3201, failed: [] });
  });

  it('is found by its readers', async () => {
    const first = async (q: string) => (await list(`q=${q}`))[0]?.title;
    await until('the films are projected', async () => (await first('shawshenk')) === 'The Shawshank Redemption');
    await until('Amélie too', async () => (await first('amelie')) === "Le Fabuleux destin d'Amélie Poulain");
  });
});
