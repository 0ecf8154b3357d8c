import { resolve } from 'node:path';
import { nameFaults, processFiles } from '#house';

const root = resolve(import.meta.dirname, '../..');

describe('a process has one name', () => {
  it('in its file, nest-cli.json, docker-compose.yml and config/', () => {
    expect(nameFaults(root)).toEqual([]);
  });

  it('and the mesh has processes', () => {
    expect(processFiles(root).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['gateway', 'movie-command', 'movie-query']),
    );
  });
});
