import { InvalidArgumentError, type Command } from 'commander';
import { join } from 'node:path';
import { hostSource, spawnSpare } from '../supervise/source.js';
import type { UpOptions } from './plan.js';

/** Where the processes with a port of their own listen when nothing else is asked. */
export const DEFAULT_PORTS = { gateway: 8080, config: 8888, discovery: 8500 };
const HIGHEST_PORT = 65_535;

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

function port(text: string): number {
  const value = whole(text);
  if (value > HIGHEST_PORT) throw new InvalidArgumentError(`Ports end at ${HIGHEST_PORT}.`);
  return value;
}

/** The options that `up` and `dev` share. */
export function withUpOptions(command: Command): Command {
  return command
    .option('--port <port>', 'where the gateway listens; 0: any free one', port, DEFAULT_PORTS.gateway)
    .option('--config-port <port>', 'where the configuration server listens', port, DEFAULT_PORTS.config)
    .option('--discovery-port <port>', 'where the development agent listens', port, DEFAULT_PORTS.discovery)
    .option('--unfold', 'each process in a Node process of its own')
    .option('--fold <groups>', "groups of processes that share one: 'a,b;c', the rest together")
    .option(
      '--only <names>',
      "these resources or processes, 'movie,cinema', and what all stand on: a small mesh for a small machine",
    )
    .option('--json', 'one JSON object a line')
    .option('--no-demo', 'without the demonstration films')
    .option('--logs', "show the processes' log lines too")
    .option('--shuffle', 'start in a random order, which must not matter')
    .option('--since <ms>', 'when the installation was done, ms since the epoch', whole);
}

/** `mesh up`, and what speaks to a running one: `scale`. */
export function addUpCommand(program: Command, node: string): void {
  withUpOptions(program.command('up').description('start the mesh and stay in front; Ctrl-C drains and stops it (npm start)'))
    .addHelpText(
      'after',
      `
Examples:
  npm start
  npm start -- --port 9090
  npm start -- --unfold
  npx mesh up --fold 'gateway,config,discovery;movie-command'
  npm start -- --only movie
  npx mesh up --json --no-demo | jq .event`,
    )
    .action(async (options: UpOptions) => {
      // A host takes longest to load, so that begins before anything else.
      const early = spawnSpare(hostSource(node, join(import.meta.dirname, '../../../..')), 'rooms');
      process.once('exit', () => early.kill('SIGKILL')); // a start that fails leaves nothing
      const { up } = await import('./up.js');
      process.exit(await up(options, node, { early }));
    });
  program
    .command('scale <process=count...>')
    .description('run that many instances of a process')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  npx mesh scale movie-query=2')
    .action(async (wishes: string[], { json }: { json?: boolean }) => {
      const { scale } = await import('../operate/scale.js');
      await scale(wishes, json);
    });
}
