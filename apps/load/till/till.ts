import { availableParallelism, cpus, loadavg } from 'node:os';
import { Child } from '../child.js';
import type { Percentiles } from '../check/figures.js';
import type { Progress } from '../report/report.js';
import { endOnSignal } from '../shop/open.js';
import type { Rush, RushResult } from './buyers.js';
import { findPgbench, Limit } from './limit.js';
import { OwnProcess } from './process.js';
import { NO_SEAT, SEATS, Stage } from './stage.js';
import { median, type Round, spreadPercent, type Verdict, verdictOf } from './verdict.js';

/** How the bench goes. */
export interface TillOptions {
  /** Buyers at a time, and connections of pgbench. */
  clients: number;
  /** Turns of the limit and of all else. */
  rounds: number;
  /** Of each block. */
  seconds: number;
  /** Of the load at half. */
  pacedSeconds: number;
  pgbench?: string;
  /** A folder for V8's profile of the process. */
  profile?: string;
  /** Settings to try. */
  over: Record<string, number>;
}

/** What was measured, and on what. */
export interface TillResult extends Verdict {
  rounds: Round[];
  clients: number;
  paced: { perSecond: number; ms: Percentiles };
  /** Of each kind the times of its last round, ms. */
  ms: Record<string, Percentiles>;
  /** How far the limit's rounds lie apart, percent. */
  limitSpreadPercent: number;
  /** Of a core that the buyers took, percent, by kind. */
  buyersPercent: Record<string, number>;
  /** Of processor time that the process took for an answer, by kind: it hardly depends on what else the machine does. µs */
  cpuMicros: Record<string, number>;
  machine: { cpu: string; cores: number; loadBefore: number };
}

const ONE_BY_ONE = { 'purchase.jointHolds': 1, 'purchase.holdsAtOnce': 32 };
/** Of each kind: code is compiled, tables are cached. */
const WARM_SECONDS = 4;
/** More seats than these are not sold in a second. */
const MOST_PER_SECOND = 4000;

const KINDS = ['joint', 'crowd', 'refused', 'single'] as const;
type Kind = (typeof KINDS)[number];
/** What every answer of a kind must be. */
const EXPECTED: Record<Kind, readonly number[]> = { joint: [201], single: [201], crowd: [201, 409], refused: [400] };

class Bench {
  private readonly odd: string[] = [];
  private readonly ms: Record<string, Percentiles> = {};
  private readonly own: Record<string, number> = {};
  private readonly cpu: Record<string, number[]> = {};
  private sold = 0;
  private turn = 0;

  constructor(
    private readonly options: TillOptions,
    private readonly buyers: Child,
    private readonly process: OwnProcess,
    private readonly limit: Limit,
    private readonly screenings: readonly string[],
    private readonly crowded: readonly string[],
    private readonly progress: Progress,
  ) {}

  async warm(): Promise<void> {
    this.progress.show('warming up');
    await this.limit.measure(this.options.clients, WARM_SECONDS);
    for (const kind of [...KINDS, 'joint'] as const) await this.block(kind, WARM_SECONDS);
  }

  async round(at: number): Promise<Round> {
    const { rounds, clients, seconds } = this.options;
    const name = `round ${at} of ${rounds}`;
    this.progress.show(`${name}: limit`);
    const round = { limit: await this.limit.measure(clients, seconds) } as Round;
    for (const kind of KINDS) {
      this.progress.show(`${name}: ${kind}`);
      round[kind] = await this.block(kind, seconds);
    }
    const percent = (part: number, of: number) => Math.round((100 * part) / of);
    const { limit, joint, single, crowd, refused } = round;
    this.progress.line(
      `${name}: limit ${Math.round(limit)}/s; jointly ${Math.round(joint)}/s, ${percent(joint, limit)} %; one by one ${Math.round(single)}/s, ${percent(single, limit)} %; crowd ${Math.round(crowd)}/s of ${Math.round(refused)}/s refused, ${percent(crowd, refused)} %`,
      { round: at, ...round },
    ); // prettier-ignore
    return round;
  }

  /** Open loop. */
  async paced(perSecond: number): Promise<TillResult['paced']> {
    const { pacedSeconds, clients } = this.options;
    this.progress.show(`${perSecond} a second by the clock`);
    await this.process.set(this.options.over);
    const wish = { clients: 4 * clients, ms: 1000 * pacedSeconds, screenings: this.screenings, seats: SEATS, from: this.sold, perSecond };
    const { ms } = this.judge('paced', await this.rush('paced', wish), [201]);
    return { perSecond, ms };
  } // prettier-ignore

  result(rounds: Round[], paced: TillResult['paced'], loadBefore: number): TillResult {
    const machine = { cpu: cpus()[0]?.model ?? '', cores: availableParallelism(), loadBefore };
    const limitSpreadPercent = spreadPercent(rounds.map(({ limit }) => limit));
    const verdict = verdictOf(rounds, paced.ms, this.odd);
    const cpuMicros = Object.fromEntries(Object.entries(this.cpu).map(([kind, all]) => [kind, Math.round(median(all))]));
    return { ...verdict, rounds, clients: this.options.clients, paced, ms: this.ms, limitSpreadPercent, buyersPercent: this.own, cpuMicros, machine }; // prettier-ignore
  }

  /** @returns answers a second */
  private async block(kind: Kind, seconds: number): Promise<number> {
    const { clients, over } = this.options;
    await this.process.set(kind === 'single' ? { ...ONE_BY_ONE, ...over } : over);
    const isCrowd = kind === 'crowd' || kind === 'refused';
    const screenings = isCrowd ? [this.crowded[this.turn++ % this.crowded.length]!] : this.screenings;
    const seats = kind === 'refused' ? [NO_SEAT] : SEATS;
    const result = await this.rush(kind, { clients, ms: 1000 * seconds, screenings, seats, from: isCrowd ? 0 : this.sold });
    if (!isCrowd) this.sold += result.answers;
    this.judge(kind, result, EXPECTED[kind]);
    return result.answers / result.seconds;
  }

  private judge(kind: string, result: RushResult, expected: readonly number[]): RushResult {
    this.ms[kind] = result.ms;
    this.own[kind] = result.ownPercent;
    for (const [status, count] of Object.entries(result.statuses))
      if (!expected.includes(Number(status))) this.odd.push(`${kind}: ${count} × ${status}, the last: ${result.refusal}`);
    return result;
  }

  private async rush(kind: string, wish: Rush): Promise<RushResult> {
    const before = await this.process.cpuSeconds();
    const { result, error } = await this.buyers.ask({ said: 'rush', wish }, 'over');
    if (error) throw new Error(`buyers: ${String(error)}`);
    const { answers } = result as RushResult;
    (this.cpu[kind] ??= []).push((((await this.process.cpuSeconds()) - before) * 1e6) / answers);
    return result as RushResult;
  }
}

/** Measure the till beside the limit of the machine, on a PostgreSQL and with a purchase-command of the bench's own. */
export async function benchTill(options: TillOptions, progress: Progress): Promise<TillResult> {
  const pgbench = findPgbench(options.pgbench);
  const loadBefore = loadavg()[0]!;
  progress.show('starting a PostgreSQL of its own');
  const stage = await Stage.open();
  const opened: (() => Promise<unknown>)[] = [() => stage.close()];
  const close = async () => {
    for (const end of opened.splice(0).reverse()) await end();
  };
  const ignore = endOnSignal(close);
  try {
    progress.show('starting purchase-command');
    const process = await OwnProcess.start({ dataDir: stage.home, databaseUrl: stage.url, profile: options.profile });
    opened.push(() => process.stop());
    const { rounds, seconds, pacedSeconds } = options;
    const screenings = await stage.sell(Math.ceil(((2 * rounds * seconds + 3 * WARM_SECONDS + pacedSeconds) * MOST_PER_SECOND) / SEATS.length));
    const crowded = await stage.sell(2 * (rounds + 1));
    const sample = await stage.prepareLimit();
    const limit = new Limit({ pgbench, url: stage.url, dir: stage.home, screenings: screenings.length, sample });
    const buyers = new Child('till/buyers', { url: process.url });
    opened.push(() => buyers.kill());
    await buyers.heard('ready');
    const bench = new Bench(options, buyers, process, limit, screenings, crowded, progress);
    await bench.warm();
    const done: Round[] = [];
    for (let at = 1; at <= rounds; at++) done.push(await bench.round(at));
    const half = Math.round(median(done.map(({ joint }) => joint)) / 2);
    return bench.result(done, await bench.paced(half), loadBefore);
  } finally {
    progress.show('stopping');
    ignore();
    await close();
    progress.clear();
  }
} // prettier-ignore
