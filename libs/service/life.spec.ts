import type { ProcessState } from './definition.js';
import { Life } from './life.js';

describe('the life of a process', () => {
  let told: string[], life: Life;
  beforeEach(() => {
    told = [];
    life = new Life('movie-query', 1, ({ state, waitingFor }: ProcessState) => told.push([state, ...waitingFor].join(': ')));
  });

  it('is told once for each change, and not between two waits', () => {
    life.wait('config', 'the configuration server');
    life.wait('config', 'the configuration server');
    life.met('config');
    life.wait('database', 'the database');
    life.missing([]);
    life.become('ready');
    expect(told).toEqual(['waiting: the configuration server', 'waiting: the database', 'ready']);
  });

  it('names what is missing while it is degraded, and nothing once it is ready again', () => {
    life.become('ready');
    life.missing(['the database: gone']);
    life.become('degraded');
    life.missing([]);
    life.become('ready');
    expect(told).toEqual(['ready', 'degraded: the database: gone', 'degraded', 'ready']);
  });

  it('answers what it waits for from the first moment', () => {
    expect(life.waitingFor).toEqual(['its start']);
    life.wait('config', 'the configuration server');
    expect(life.waitingFor).toEqual(['the configuration server']);
  });
});
