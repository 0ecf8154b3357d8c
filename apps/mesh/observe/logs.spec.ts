import { isWanted, pretty } from './logs.js';

const line = {
  '@timestamp': '2026-01-01T10:00:00.123Z',
  'log.level': 'warn',
  'service.name': 'movie-query',
  'trace.id': 'abc',
  message: 'process degraded',
  mesh: { missing: ['the database'] },
};

describe('mesh logs', () => {
  it('picks lines by process, by trace, and from a level upward', () => {
    expect(isWanted(line, {})).toBe(true);
    expect(isWanted(line, { process: 'movie-query', level: 'warn', trace: 'abc' })).toBe(true);
    expect(isWanted(line, { process: 'movie' })).toBe(false);
    expect(isWanted(line, { level: 'error' })).toBe(false);
    expect(isWanted(line, { level: 'info' })).toBe(true);
    expect(isWanted(line, { trace: 'abd' })).toBe(false);
  });

  it('writes a line for people', () => {
    expect(pretty(line, false)).toBe('10:00:00.123 warn  movie-query  process degraded  missing=["the database"] trace.id=abc');
  });

  it('shows where an error came from', () => {
    expect(pretty({ ...line, 'error.message': 'no', 'error.stack_trace': 'Error: no\nat x' }, false)).toContain(
      '\n    Error: no\n    at x',
    );
  });
});
