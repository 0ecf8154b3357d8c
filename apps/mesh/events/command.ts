import { InvalidArgumentError, Option, type Command } from 'commander';

function id(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be an id of npx mesh events parked.');
  return Number(text);
}

const json = () => new Option('--json', 'as JSON');

/** `events …` and `rebuild`: what the consumers could not handle, and views made anew. */
export function addEventCommands(program: Command): void {
  const events = program.command('events').description('events that their consumers could not handle');
  events
    .command('parked')
    .description('which events wait, why, and how many wait behind them')
    .option('--group <group>', 'of this consumer only, such as movie-query')
    .addOption(json())
    .addHelpText('after', '\nExamples:\n  npx mesh events parked\n  npx mesh events parked --group movie-query --json')
    .action(async (options: { group?: string; json?: boolean }) => (await import('./parked.js')).listParked(options));
  events
    .command('redrive [id]')
    .description('have parked events handled again, each with all that waits behind it, in order')
    .option('--group <group>', 'all of this consumer')
    .option('--all', 'all there are')
    .addOption(json())
    .addHelpText('after', '\nExamples:\n  npx mesh events redrive 12\n  npx mesh events redrive --group movie-query')
    .action(async (text: string | undefined, options: { group?: string; all?: boolean; json?: boolean }) => {
      const wish = { ...options, ...(text === undefined ? {} : { id: id(text) }) };
      process.exitCode = await (await import('./parked.js')).redrive(wish);
    });
  events
    .command('drop <id>')
    .description('give a parked event up for good; what waits behind it goes on')
    .option('--yes', 'do it')
    .addOption(json())
    .addHelpText('after', '\nExample:\n  npx mesh events drop 12 --yes')
    .action(async (text: string, options: { yes?: boolean; json?: boolean }) =>
      (await import('./parked.js')).drop(id(text), options),
    );
  addCopyCommand(events);
  program
    .command('rebuild <process>')
    .description("build a process's views again from the log of events, while the old ones serve")
    .addOption(json())
    .addHelpText('after', '\nExample:\n  npx mesh rebuild movie-query')
    .action(async (name: string, options: { json?: boolean }) => {
      process.exitCode = await (await import('./rebuild.js')).rebuild(name, options);
    });
}

function addCopyCommand(events: Command): void {
  events
    .command('copy')
    .description('carry all events, and what each process has read of them, from the database to the Kafka of KAFKA_BROKERS')
    .option('--back', 'from Kafka to the database; every process must have read all of them')
    .addOption(json())
    .addHelpText(
      'after',
      '\nMay be run again after it was stopped. Then start the mesh with the same KAFKA_BROKERS.\n\nExample:\n  KAFKA_BROKERS=kafka:9092 npx mesh events copy',
    )
    .action(async (options: { back?: boolean; json?: boolean }) => void (await (await import('./copy.js')).copy(options)));
}
