import { concerned } from './watch.js';

const sources = [
  { name: 'gateway', source: 'apps/gateway/gateway.ts' },
  { name: 'movie-command', source: 'apps/movie/movie.command.ts' },
  { name: 'movie-query', source: 'apps/movie/movie.query.ts' },
];

describe('what an edit concerns', () => {
  it('is both sides of the resource it is in', () => {
    expect(concerned('apps/movie/movie.rules.ts', sources)).toEqual(['movie-command', 'movie-query']);
  });

  it('is every process when it is in a room', () => {
    expect(concerned('libs/bus/bus.ts', sources)).toEqual(['gateway', 'movie-command', 'movie-query']);
  });

  it('is none when only tests or the launcher use it', () => {
    expect(concerned('libs/testing/testing.ts', sources)).toEqual([]);
    expect(concerned('apps/mesh/mesh.ts', sources)).toEqual([]);
  });
});
