import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Fault } from './verdict.js';
import type { Victim } from './drill.js';

function count(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1) throw new InvalidArgumentError('It must be a whole number above zero.');
  return Number(text);
}

/** `outbox.gatherMs=50`, again and again. */
function setting(text: string, before: Record<string, number>): Record<string, number> {
  const [, key, value] = /^([\w.]+)=(\d+)$/.exec(text) ?? [];
  if (!key) throw new InvalidArgumentError('It must be key=number, such as outbox.gatherMs=50.');
  return { ...before, [key]: Number(value) };
}

/** What must hold: the share of the limit, percent, and the wake-up at p99, ms. */
const REQUIRED = { percentOfLimit: 40, wakeUpMs: 20 };

const say = (line: string) => void process.stdout.write(`${line}\n`);
const json = () => new Option('--json', 'as JSON lines');

/** `load events` and `load drill`: how fast events are, and that none is lost. Each has a PostgreSQL of its own. */
export function addLoadCommands(program: Command): void {
  const load = program
    .command('load')
    .description('measures and drills, each on a PostgreSQL of its own; no running mesh is touched');
  addEvents(load);
  addDrill(load);
}

function addEvents(load: Command) {
  load
    .command('events')
    .description('events from commit to projection beside the limit of the machine, and the wake-up when idle')
    .option('--rows <count>', 'in each block', count, 2000)
    .option('--blocks <count>', 'of the limit and of the bus in turns', count, 3)
    .option('--writers <count>', 'requests that write at a time; a process has three connections', count, 3)
    .option('--singles <count>', 'single events for the wake-up', count, 200)
    .option('--spaced <ms>', 'how far apart those are at most', count, 60)
    .option('--set <key=number>', 'a setting to try', setting, {})
    .addOption(json())
    .addHelpText(
      'after',
      `\nExit code 1 below ${REQUIRED.percentOfLimit} % of the limit or above ${REQUIRED.wakeUpMs} ms at p99.\n\nExample:\n  npx mesh load events --rows 5000`,
    ) // prettier-ignore
    .action(
      async (wish: {
        rows: number;
        blocks: number;
        writers: number;
        singles: number;
        spaced: number;
        set: Record<string, number>;
        json?: boolean;
      }) => {
        const { benchEvents } = await import('./events.js');
        const result = await benchEvents({ ...wish, spacedMs: wish.spaced, over: wish.set, say: wish.json ? undefined : say });
        const { limitPerSecond, eventsPerSecond, percentOfLimit, wakeUpMs } = result;
        const isEnough = percentOfLimit >= REQUIRED.percentOfLimit && wakeUpMs.p99 <= REQUIRED.wakeUpMs;
        if (wish.json) say(JSON.stringify({ ...result, isEnough }));
        else {
          say(`limit ${limitPerSecond} rows/s, bus ${eventsPerSecond} events/s: ${percentOfLimit} % (at least ${REQUIRED.percentOfLimit})`); // prettier-ignore
          say(`wake-up of ${wakeUpMs.events} single events: p50 ${wakeUpMs.p50} ms, p99 ${wakeUpMs.p99} ms, most ${wakeUpMs.max} ms (p99 at most ${REQUIRED.wakeUpMs})`); // prettier-ignore
        }
        process.exitCode = isEnough ? 0 : 1;
      },
    );
}

function addDrill(load: Command) {
  load
    .command('drill')
    .description('kill the relay, the consumer and PostgreSQL under writes; each acknowledged event must have its effect once')
    .option('--times <count>', 'how often each is killed', count, 10)
    .addOption(new Option('--only <victim>', 'kill this one alone').choices(['relay', 'consumer', 'postgres']))
    .addOption(
      new Option('--break <fault>', 'let the consumer do this wrong: the drill must then fail').choices([
        'lost',
        'doubled',
        'swapped',
      ]),
    ) // prettier-ignore
    .addOption(json())
    .addHelpText(
      'after',
      '\nExit code 1 when an effect is missing, doubled or out of order.\n\nExamples:\n  npx mesh load drill --times 50\n  npx mesh load drill --times 1 --break lost',
    ) // prettier-ignore
    .action(async (wish: { times: number; only?: Victim; break?: Fault; json?: boolean }) => {
      const { drill } = await import('./drill.js');
      const { times, only } = wish;
      const tell = (line: string, facts: Record<string, unknown>) => say(wish.json ? JSON.stringify(facts) : line);
      const result = await drill({ times, victims: only && [only], breaks: wish.break, say: tell });
      const { rounds, acknowledged, effects, faults, seconds } = result;
      if (wish.json) say(JSON.stringify(result));
      else for (const fault of faults) say(fault);
      const sum = `${rounds} kills in ${seconds} s: ${acknowledged} acknowledged, ${effects} effects`;
      if (!wish.json) say(faults.length > 0 ? `FAILED: ${sum}, ${faults.length} faults` : `passed: ${sum}, each once and in order`); // prettier-ignore
      process.exitCode = faults.length > 0 ? 1 : 0;
    });
}
