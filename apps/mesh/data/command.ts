import type { Command } from 'commander';
import { print } from '../operate/print.js';

const IMPORT_HELP = `
A file is a JSON list, a JSON object on each line, or CSV with names in its first line. What is there already is left alone, so a file
may come again; exit code 1 when a record was refused. Fields, those that may be left out with a question mark:
  cinemas      chain (by name), name, city, country, address, position.latitude, position.longitude, timeZone, currency, tax.name,
               tax.basisPoints, amenities? (parking;bar), priceCard.standard.adult, priceCard.premium.child? …
  auditoriums  cinema (by name), name, layout ('A ss.ss; B SSSS': s a seat, w a wheelchair place, c its companion's, h a house seat,
               x a broken one, . a gap, capitals premium), chain?
  screenings   cinema, auditorium, title, releaseOn?, start (2027-04-03T20:30 by the clocks there), language, subtitles?, format, chain?
  customers    email, name?, language? (es, en), phone?; they set a password as who has forgotten it
  sold         cinema, auditorium, start, seats (A1;A2), reference (of the seller), amountMinor? (of all), soldAt?, chain?

Examples:
  npx mesh import movies
  npx mesh import movies films.csv --dry-run
  npx mesh import sold tonight.csv`;

/** `new`: a resource of one's own. */
export function addNewCommand(program: Command): void {
  program
    .command('new <resource>')
    .description('make a resource: both sides, their events, tables and test; a running mesh runs it at once')
    .option('--plural <word>', 'what many are called, where English does not form it by rule')
    .addHelpText('after', '\nExamples:\n  npx mesh new gift-card\n  npx mesh new mouse --plural mice')
    .action(async (name: string, options: { plural?: string }) => (await import('./resource.js')).addResource(name, options));
}

/** `import`, `migration`, `db`: what is stored, and how. */
export function addDataCommands(program: Command): void {
  program
    .command('import <what> [file]')
    .description(
      'bring records in by the public API: movies (without a file the 3,201 films of the demonstration), cinemas, auditoriums, screenings, customers, sold (seats sold elsewhere); or demo: its chain with cinemas, screenings and accounts',
    )
    .option('--dry-run', 'only say what would be refused')
    .option('--json', 'progress and result as JSON lines')
    .addHelpText('after', IMPORT_HELP)
    .action(async (what: string, file: string | undefined, options: { dryRun?: boolean; json?: boolean }) => {
      if (what === 'demo') process.exitCode = await (await import('../demo/command.js')).importDemo(options);
      else process.exitCode = await (await import('../import/command.js')).importFile(what, file, options);
    });
  program
    .command('migration <name>')
    .description("write the difference between the entities and the running mesh's tables as a migration")
    .option('--process <process>', 'of this one only')
    .addHelpText('after', "\nExample:\n  npx mesh migration 'add minutes' --process movie-command")
    .action(async (name: string, options: { process?: string }) => {
      const files = await (await import('./database.js')).writeMigrations(name, options.process);
      print(files.length ? files.join('\n') : 'the tables are as the entities say');
    });
  program
    .command('db')
    .description('a database server of your own')
    .command('prepare')
    .description('make schemas, roles and extensions on the server of DATABASE_URL')
    .addHelpText('after', '\nExample:\n  DATABASE_URL=postgres://admin@db.example/cinemanzana npx mesh db prepare')
    .action(async () => print(await (await import('./database.js')).prepare()));
}
