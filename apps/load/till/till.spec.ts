import { once } from 'node:events';
import { createServer } from 'node:net';
import { Command } from 'commander';
import { addBenchCommands } from './command.js';
import { findPgbench, PgbenchMissing } from './limit.js';
import { median, type Round, spreadPercent, verdictOf } from './verdict.js';
import { Wire } from './wire.js';

const round = (over: Partial<Round> = {}): Round => ({
  limit: 1000,
  joint: 700,
  single: 400,
  crowd: 900,
  refused: 1000,
  ...over,
});

describe('the verdict', () => {
  it('is the middle of what the rounds say, each compared with its own limit', () => {
    // Of the disturbed rounds neither counts, though the second one's limit is the lowest.
    const rounds = [round(), round({ limit: 500, joint: 340 }), round({ joint: 100 })];
    expect(verdictOf(rounds, { p99: 12 })).toMatchObject({
      jointPercent: 68,
      singlePercent: 40,
      crowdPercent: 90,
      isEnough: true,
    });
    expect(verdictOf(rounds, { p99: 12 }).perSecond).toEqual(round({ joint: 340 }));
    expect([median([4, 1, 3]), median([4, 1, 3, 2]), spreadPercent([90, 100, 110])]).toEqual([3, 2.5, 20]);
  });

  it.each([
    [round({ joint: 599 }), 10, 'joint holds'],
    [round({ single: 299 }), 10, 'one by one'],
    [round({ crowd: 599 }), 10, 'a crowd'],
    [round(), 250, 'p99 is 250 ms'],
  ])('is against what stays below a bound', (is, p99, why) => {
    const { isEnough, faults } = verdictOf([is], { p99 });
    expect([isEnough, faults.length]).toEqual([false, 1]);
    expect(faults[0]).toContain(why);
  });

  it('is against answers that nobody expected, however fast they were', () => {
    expect(verdictOf([round()], { p99: 1 }, ['joint: 3 × 503']).isEnough).toBe(false);
  });
});

it('is told apart from a machine without pgbench', () => {
  expect(() => findPgbench('/nowhere/pgbench')).toThrow(PgbenchMissing);
});

it.each([['--clients', '0'], ['--seconds', '61'], ['--rounds', 'many'], ['--set', 'jointHolds']])('refuses %s %s', async (...option) => {
  const program = new Command('mesh').exitOverride().configureOutput({ writeErr: () => undefined });
  addBenchCommands(program);
  for (const command of [program, ...program.commands, ...program.commands[0]!.commands]) command.exitOverride().configureOutput({ writeErr: () => undefined });
  await expect(program.parseAsync(['bench', 'till', ...option], { from: 'user' })).rejects.toMatchObject({ code: 'commander.invalidArgument' });
}); // prettier-ignore

it('reads an answer however it is cut, and one after the other', async () => {
  const pieces = ['HTTP/1.1 201 Created\r\nContent-Le', 'ngth: 4\r\n\r\nab', 'cd'];
  const server = createServer((socket) => {
    socket.on('data', () => pieces.forEach((piece, n) => setTimeout(() => socket.write(piece), 5 * n)));
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const wire = await Wire.open((server.address() as { port: number }).port);
  const ask = () => new Promise((done, failed) => wire.ask('x', (...answer) => done(answer), failed));
  expect([await ask(), await ask()]).toEqual([[201, 'abcd'], [201, 'abcd']]); // prettier-ignore
  wire.close();
  server.close();
});
