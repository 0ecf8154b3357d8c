import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Scope } from './config.js';
import type { LogWish } from '../observe/logs.js';

function lines(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

const json = () => new Option('--json', 'as JSON');

/** `status`, `doctor`, `logs`, `reset`: what is there, what is wrong, what was said, and away with it. */
export function addOperateCommands(program: Command): void {
  program
    .command('status')
    .description('what runs: state, memory, address, version and configuration of each instance')
    .addOption(json())
    .addHelpText('after', '\nExamples:\n  npx mesh status\n  npx mesh status --json')
    .action(async (options: { json?: boolean }) => process.exit(await (await import('../observe/status.js')).status(options)));
  program
    .command('doctor')
    .description('one sentence for each thing that is wrong: what, where, how to mend it')
    .addOption(json())
    .addHelpText('after', '\nExample:\n  npx mesh doctor || echo not well')
    .action(async (options: { json?: boolean }) => process.exit(await (await import('../observe/doctor.js')).doctor(options)));
  program
    .command('logs [process]')
    .description('what the processes said, in order of time')
    .option('-f, --follow', 'go on with what they say from now on')
    .addOption(new Option('--level <level>', 'the least level').choices(['debug', 'info', 'warn', 'error']))
    .option('--trace <id>', 'one request through all processes: the id of its urn:trace:…')
    .option('-n, --lines <count>', 'so many of the last lines', lines, 50)
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  npx mesh logs -f\n  npx mesh logs movie-command --level warn\n  npx mesh logs --trace 4bf92f3577b34da6a3ce929d0e0e4736',
    ) // prettier-ignore
    .action(async (process: string | undefined, options: LogWish) =>
      (await import('../observe/logs.js')).logs({ ...options, process }),
    );
  program
    .command('reset')
    .description("delete this folder's data: films, settings changed at run time, logs")
    .option('--yes', 'without asking')
    .addHelpText('after', '\nExample:\n  npx mesh reset --yes && npm start')
    .action(async (options: { yes?: boolean }) => process.exit(await (await import('./reset.js')).reset(options)));
}

/** `mesh config …`: what the processes read, and changing it while they run. */
export function addConfigCommands(program: Command): void {
  const config = program.command('config').description('what the processes read, and changing it while they run');
  const scoped = (command: Command) =>
    command
      .option('--for <process>', 'whom it concerns', 'application')
      .option('--profile <profile>', 'in which profile; default: all', 'default')
      .addOption(json());
  scoped(config.command('set <key> [value...]').description('change a value in every process, within two seconds'))
    .addHelpText(
      'after',
      '\nExamples:\n  npx mesh config set breaker.timeoutMs 500\n  npx mesh config set log.level=debug --for movie-query\n  npx mesh config set breaker.timeoutMs null     (as in the files again)',
    ) // prettier-ignore
    .action(async (key: string, values: string[], scope: Scope) => (await import('./config.js')).set([key, ...values], scope));
  scoped(config.command('get [key]').description('what is in force, and where it comes from'))
    .addHelpText('after', '\nExamples:\n  npx mesh config get breaker --for gateway\n  npx mesh config get --json')
    .action(async (key: string | undefined, scope: Scope) => (await import('./config.js')).get(key, scope));
  scoped(config.command('diff').description('what was changed at run time, beside what the files say')).action(
    async (scope: Scope) => (await import('./config.js')).diff(scope),
  );
  config
    .command('history')
    .description('the last changes: what, when, by whom')
    .option('-n, --limit <count>', 'so many', lines, 20)
    .addOption(json())
    .action(async (options: { json?: boolean; limit: number }) => (await import('./config.js')).history(options));
  config
    .command('rollback <revision>')
    .description('everything as it was right after that revision; 0: as in the files')
    .addOption(json())
    .addHelpText('after', '\nExample:\n  npx mesh config history && npx mesh config rollback 12')
    .action(async (revision: string, options: { json?: boolean }) => (await import('./config.js')).rollback(revision, options));
}
