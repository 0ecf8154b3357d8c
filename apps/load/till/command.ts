import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { TillResult } from './till.js';
import { BOUNDS } from './verdict.js';

/** Bounds keep a slip of the finger from loading this machine for hours. */
const upTo =
  (most: number) =>
  (text: string): number => {
    if (!/^\d+$/.test(text) || Number(text) < 1 || Number(text) > most)
      throw new InvalidArgumentError(`It must be a whole number, 1 to ${most}.`);
    return Number(text);
  };

/** `purchase.jointHolds=50`, again and again. */
function setting(text: string, before: Record<string, number>): Record<string, number> {
  const [, key, value] = /^([\w.]+)=(\d+)$/.exec(text) ?? [];
  if (!key) throw new InvalidArgumentError('It must be key=number, such as purchase.jointHolds=50.');
  return { ...before, [key]: Number(value) };
}

const { jointPercent, singlePercent, crowdPercent, p99Ms } = BOUNDS;
const AFTER = `
The limit is pgbench: claim, purchase and event of one seat in one prepared statement, on the same server, by as many clients. Buyers,
process and PostgreSQL share this machine's cores, so look at the ratios; blocks take turns so that noise meets all of them.

Exit code 1 below ${jointPercent} % of the limit jointly, ${singlePercent} % one by one, ${crowdPercent} % of what is refused before the database, or from ${p99Ms} ms at p99
at half of the load; 2 without pgbench.

Examples:
  npx mesh bench till
  npx mesh bench till --rounds 5 --seconds 8 --out till.json
  npx mesh bench till --set purchase.jointHolds=50 --profile profiles`;

interface Wish {
  clients: number;
  rounds: number;
  seconds: number;
  paced: number;
  pgbench?: string;
  profile?: string;
  set: Record<string, number>;
  out?: string;
  json?: boolean;
}

/** `bench till`: seats held a second beside what PostgreSQL can do. It has a PostgreSQL and a purchase-command of its own. */
export function addBenchCommands(program: Command): void {
  const bench = program
    .command('bench')
    .description('how fast something is beside the limit of this machine; no running mesh is touched');
  bench
    .command('till')
    .description('seats held a second beside the limit of PostgreSQL, and how long a buyer waits')
    .option('--clients <count>', 'at a time', upTo(150), 64)
    .option('--rounds <count>', 'in which the limit and the till take turns', upTo(100), 3)
    .option('--seconds <count>', 'each block lasts', upTo(60), 5)
    .option('--paced <seconds>', 'the load at half lasts', upTo(600), 10)
    .addOption(new Option('--pgbench <file>', 'the program, when it is not found by itself').env('PGBENCH'))
    .option('--profile <folder>', "for V8's profile of purchase-command")
    .option('--set <key=number>', 'a setting to try', setting, {})
    .option('--out <file>', 'all that was measured, as JSON')
    .addOption(new Option('--json', 'as JSON lines'))
    .addHelpText('after', AFTER)
    .action(async (wish: Wish) => {
      process.exitCode = await run(wish);
    });
}

async function run({ paced: pacedSeconds, set: over, out, json, ...rest }: Wish): Promise<number> {
  const [{ benchTill }, { PgbenchMissing }, { Progress }] = await Promise.all([
    import('./till.js'),
    import('./limit.js'),
    import('../report/report.js'),
  ]);
  try {
    const startedAt = new Date().toISOString();
    const result = { bench: 'till', startedAt, ...(await benchTill({ ...rest, pacedSeconds, over }, new Progress(json))) };
    if (out !== undefined) {
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`);
    }
    for (const line of json ? [JSON.stringify(result)] : lines(result)) process.stdout.write(`${line}\n`);
    return result.isEnough ? 0 : 1;
  } catch (error) {
    if (!(error instanceof PgbenchMissing)) throw error;
    process.stderr.write(`mesh: ${error.message}\n`);
    return 2;
  }
}

function lines(result: TillResult): string[] {
  const { perSecond, rounds, clients, paced, machine, limitSpreadPercent, faults } = result;
  const { joint, single, crowd, refused, limit } = perSecond;
  const times = Object.entries(result.ms).map(
    ([kind, ms]) => `  ${kind}: ${ms.count} answers, p50 ${ms.p50} ms, p90 ${ms.p90} ms, p99 ${ms.p99} ms, most ${ms.max} ms; ${result.cpuMicros[kind]} µs of a core each, and the buyers ${result.buyersPercent[kind]} % of one`,
  ); // prettier-ignore
  return [
    `on ${machine.cores} × ${machine.cpu}, shared by buyers, process and PostgreSQL; load before ${machine.loadBefore.toFixed(1)}; ${rounds.length} rounds, ${clients} clients, the limit's rounds lie ${limitSpreadPercent} % apart`,
    `limit: ${limit} seats/s by pgbench`,
    `jointly: ${joint} holds/s, ${result.jointPercent} % (at least ${jointPercent})`,
    `one by one: ${single} holds/s, ${result.singlePercent} % (at least ${singlePercent})`,
    `a crowd at one screening: ${crowd} answers/s, ${result.crowdPercent} % of ${refused} refused before the database (at least ${crowdPercent})`,
    `at half of it, ${paced.perSecond}/s by the clock: p50 ${paced.ms.p50} ms, p99 ${paced.ms.p99} ms (below ${p99Ms})`,
    ...times,
    ...faults,
    result.isEnough ? 'passed' : 'FAILED',
  ]; // prettier-ignore
}
