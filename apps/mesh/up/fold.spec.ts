import { describeFold, parseFold, unfold } from './fold.js';
import { onlyOf } from './plan.js';

const names = ['gateway', 'config', 'discovery', 'movie-command', 'movie-query'];

describe('--fold', () => {
  it('puts all in one process when nothing is asked', () => {
    expect(parseFold(undefined, names)).toEqual([names]);
  });

  it('makes one process for each group and one for all not named', () => {
    expect(parseFold('movie-command, movie-query ; gateway', names)).toEqual([
      ['movie-command', 'movie-query'],
      ['gateway'],
      ['config', 'discovery'],
    ]);
  });

  it('makes no empty process when all are named', () => {
    expect(parseFold('gateway,config;discovery,movie-command,movie-query;', names)).toHaveLength(2);
  });

  it('names a process that does not exist', () => {
    expect(() => parseFold('gateway;seat', names)).toThrow("no process 'seat'");
  });

  it('refuses a process named twice', () => {
    expect(() => parseFold('gateway;config,gateway', names)).toThrow("'gateway' is named twice");
  });

  it('is said in words', () => {
    expect(describeFold([names])).toBe('folded into one process');
    expect(describeFold(unfold(names))).toBe('each its own process');
    expect(describeFold(parseFold('gateway', names))).toBe(
      '2 processes: gateway; config + discovery + movie-command + movie-query',
    );
  });
});

describe('--only', () => {
  const all = [
    'config',
    'discovery',
    'gateway',
    'movie-command',
    'movie-query',
    'oauth',
    'provider',
    'user-command',
    'user-query',
  ];
  const platform = all.filter((name) => !name.startsWith('movie') && name !== 'provider');

  it('keeps what is named, both sides of a resource, and what all stand on', () => {
    expect(onlyOf('provider', all)).toEqual(all.filter((name) => !name.startsWith('movie')));
    expect(onlyOf('movie', all)).toEqual(all.filter((name) => name !== 'provider'));
    expect(onlyOf(' movie-query ,', all)).toEqual([...platform, 'movie-query'].sort());
  });

  it('refuses what is neither', () => {
    expect(() => onlyOf('movie,seat', all)).toThrow("no resource or process 'seat'");
  });
});
