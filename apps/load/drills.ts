import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Victim } from './kill/kill.js';
import type { Telling } from './report/report.js';

const LARGEST_SEED = 2 ** 31;

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** Bounds keep a slip of the finger from loading this machine for hours. */
const upTo = (most: number, least = 0) => (text: string): number => {
  const value = whole(text);
  if (value < least || value > most) throw new InvalidArgumentError(`It must be ${least} to ${most}.`);
  return value;
}; // prettier-ignore

/** What every drill takes. */
const common = (command: Command): Command =>
  command
    .option('--seed <number>', 'the same seed asks for the same; default: another each time', upTo(LARGEST_SEED))
    .option('--out <file>', 'where the report goes; default: drills/ in the data folder')
    .addOption(new Option('--json', 'as JSON lines'));

type Common = Partial<Telling>;
const telling = ({ seed = Math.floor(Math.random() * LARGEST_SEED), json, out }: Common): Telling => ({ seed, json, out });

const EXIT = 'Exit code 1 when something is wrong.';

/** `mesh drill …`: load and faults, and what must be true in spite of them. */
export function addDrillCommands(program: Command): void {
  const drill = program
    .command('drill')
    .description('load and faults, judged by checkers; on a mesh of its own that goes with it, but for visitors');
  addContention(drill);
  addKill(drill);
  addLedger(drill);
  addVisitors(drill);
}

function addContention(drill: Command) {
  common(drill.command('contention'))
    .description(
      'buyers crowd at few seats: no double sale, no partial basket, no deadlock; and a careless seller must be caught',
    )
    .option('--attempts <count>', 'at the database', upTo(10_000_000), 100_000)
    .option('--gateway <count>', 'through the gateway', upTo(10_000_000), 20_000)
    .option('--buyers <count>', 'at a time', upTo(96, 2), 64)
    .option('--seats <count>', 'of a screening', upTo(500, 1), 200)
    .addHelpText(
      'after',
      `\n${EXIT} A control that looks before it takes must sell seats twice, and be seen.\n\nExamples:\n  npx mesh drill contention\n  npx mesh drill contention --attempts 5000 --gateway 1000 --seed 7`,
    )
    .action(async (wish: Common & { attempts: number; gateway: number; buyers: number; seats: number }) => {
      const [{ tell }, { contentionDrill }] = await Promise.all([
        import('./report/report.js'),
        import('./contention/contention.js'),
      ]);
      const how = telling(wish);
      process.exitCode = await tell('contention', how, (progress) => contentionDrill({ ...wish, seed: how.seed }, progress));
    });
}

function addKill(drill: Command) {
  common(drill.command('kill'))
    .description('kill -9 purchase-command, gateway, provider and PostgreSQL while people buy: nothing acknowledged may be lost')
    .option('--times <count>', 'how often each is killed', upTo(1000, 1), 10)
    .addOption(
      new Option('--only <victim>', 'kill this one alone').choices(['purchase-command', 'gateway', 'provider', 'postgresql']),
    )
    .option('--buyers <count>', 'at a time', upTo(200, 1), 12)
    .option('--grouped', 'what is not killed shares a Node process: a third of the memory')
    .option('--history <file>', 'write down what was asked and answered, as Jepsen does')
    .addHelpText(
      'after',
      `\n${EXIT}\n\nExamples:\n  npx mesh drill kill --times 2 --grouped\n  npx mesh drill kill --only postgresql`,
    )
    .action(async (wish: Common & { times: number; only?: Victim; buyers: number; grouped?: boolean; history?: string }) => {
      const [{ tell }, { killDrill, VICTIMS }] = await Promise.all([import('./report/report.js'), import('./kill/kill.js')]);
      const how = telling(wish);
      const { times, only, buyers, grouped: isGrouped, history } = wish;
      const victims = only ? [only] : VICTIMS;
      process.exitCode = await tell('kill', how, (progress) => killDrill({ times, victims, buyers, isGrouped, history, seed: how.seed }, progress)); // prettier-ignore
    });
}

function addLedger(drill: Command) {
  common(drill.command('ledger'))
    .description(
      'purchases, declines, refunds, exchanges and cancelled screenings by chance; every sum must be zero all the time',
    )
    .option('--minutes <count>', 'how long', upTo(120, 1), 1)
    .option('--buyers <count>', 'at a time', upTo(200, 1), 12)
    .option('--history <file>', 'write down what was asked and answered, as Jepsen does')
    .addHelpText('after', `\n${EXIT}\n\nExample:\n  npx mesh drill ledger --minutes 5`)
    .action(async (wish: Common & { minutes: number; buyers: number; history?: string }) => {
      const [{ tell }, { ledgerDrill }] = await Promise.all([import('./report/report.js'), import('./ledger/ledger.js')]);
      const how = telling(wish);
      const { minutes, buyers, history } = wish;
      process.exitCode = await tell('ledger', how, (progress) =>
        ledgerDrill({ minutes, buyers, history, seed: how.seed }, progress),
      );
    });
}

function addVisitors(drill: Command) {
  common(drill.command('visitors'))
    .description('visitors browse, search, look at seats, buy and give up, in the mesh that runs here; they really buy')
    .option('--rate <count>', 'visitors that come, a second', upTo(500, 1), 20)
    .option('--minutes <count>', 'how long', upTo(120, 1), 1)
    .option('--errors-percent <count>', 'so many of a hundred requests may go wrong', upTo(100), 1)
    .option('--own', 'on a mesh of its own, which goes with it')
    .option('--profile', 'only print how visitors behave, as JSON, to drive the same by another tool')
    .addHelpText(
      'after',
      `\n${EXIT} Seats that others took are not wrong.\n\nExamples:\n  npx mesh drill visitors --rate 50 --minutes 5\n  npx mesh drill visitors --own\n  npx mesh drill visitors --profile | jq .kinds`,
    )
    .action(async (wish: Common & { rate: number; minutes: number; errorsPercent: number; own?: boolean; profile?: boolean }) => {
      if (wish.profile) {
        const { PROFILE } = await import('./visitors/profile.js');
        return void process.stdout.write(`${JSON.stringify(PROFILE, null, 2)}\n`);
      }
      const [{ tell }, { visitorDrill }] = await Promise.all([import('./report/report.js'), import('./visitors/visitors.js')]);
      const how = telling(wish);
      process.exitCode = await tell('visitors', how, (progress) => visitorDrill({ ...wish, seed: how.seed }, progress));
    });
}
