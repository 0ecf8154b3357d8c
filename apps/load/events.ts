import { setTimeout as pause } from 'node:timers/promises';
import { Arena, SIDES } from './arena.js';
import { Child, type ChildOptions, type Message } from './child.js';
import type { ConsumerOptions } from './consumer.js';

/** How the bench goes. */
export interface BenchOptions {
  /** Rows of each block; blocks of the limit and of the bus take turns, so that both meet the same machine. */
  rows: number;
  blocks: number;
  /** Requests that write at a time; a process has three connections. */
  writers: number;
  /** Single events for the wake-up, and how far apart at most, ms. */
  singles: number;
  spacedMs: number;
  over?: ChildOptions['over'];
  say?: (line: string) => void;
}

/** What was measured. */
export interface BenchResult {
  /** What one connection inserts, a row a commit, and another reads, in plain SQL. */
  limitPerSecond: number;
  /** From commit to the commit of the projection, a commit each. */
  eventsPerSecond: number;
  /** The second of the first. */
  percentOfLimit: number;
  /** From the commit to the projection's, of an event that comes alone, ms. */
  wakeUpMs: { p50: number; p99: number; max: number; events: number };
}

const NS_PER_SECOND = 1e9;

/** The smallest value that so many percent of the others do not exceed. */
function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN;
}

class Bench {
  private readonly projectedAt = new Map<string, bigint>();
  private producer!: Child;
  private consumer!: Child;
  private past = 0;
  private block = 0;

  constructor(
    private readonly arena: Arena,
    private readonly over: ChildOptions['over'],
    private readonly writers: number,
  ) {}

  async start(): Promise<void> {
    const consumer: ConsumerOptions = { url: this.arena.url(SIDES.query), over: this.over, does: 'view' };
    this.consumer = new Child('consumer', consumer, (message) => this.projected(message));
    this.producer = new Child('producer', { url: this.arena.url(SIDES.command), over: this.over });
    await Promise.all([this.producer.heard('ready'), this.consumer.heard('ready')]);
  }

  /** @returns seconds from the first insert to the last row that was read */
  async plain(rows: number): Promise<number> {
    const keys = `p${++this.block}-`;
    const read = this.consumer.ask({ said: 'plain', rows, from: this.past }, 'read');
    const { startedAt } = await this.producer.ask({ said: 'plain', rows, keys }, 'written');
    const { at, past } = await read;
    this.past = past as number;
    return Number((at as bigint) - (startedAt as bigint)) / NS_PER_SECOND;
  }

  /** @returns seconds from the first write to the last projection's commit */
  async events(rows: number): Promise<number> {
    const keys = `e${++this.block}-`;
    const { startedAt } = await this.producer.ask({ said: 'events', rows, keys, writers: this.writers }, 'written');
    const last = await this.all(keys, rows);
    return Number(last - (startedAt as bigint)) / NS_PER_SECOND;
  }

  /** @returns ms from each commit to its projection's */
  async singles(rows: number, spacedMs: number): Promise<number[]> {
    const keys = `s${++this.block}-`;
    const committedAt = new Map<string, bigint>();
    this.producer.onMessage = ({ said, key, at }) => void (said === 'committed' && committedAt.set(key as string, at as bigint));
    await this.producer.ask({ said: 'single', rows, keys, spacedMs }, 'written');
    await this.all(keys, rows);
    return [...committedAt].map(([key, at]) => Number(this.projectedAt.get(key)! - at) / 1e6);
  }

  async end(): Promise<void> {
    await Promise.allSettled([this.producer?.kill(), this.consumer?.kill()]);
  }

  private projected({ said, keys, at }: Message) {
    if (said === 'projected') for (const key of keys as string[]) this.projectedAt.set(key, at as bigint);
  }

  private async all(keys: string, rows: number): Promise<bigint> {
    for (;;) {
      const found = [...this.projectedAt].filter(([key]) => key.startsWith(keys)).map(([, at]) => at);
      if (found.length === rows) return found.reduce((last, at) => (at > last ? at : last), 0n);
      await pause(20);
    }
  }
}

/** Warm both ways before anything counts: code is compiled, tables are cached. */
const WARM_ROWS = 300;

/** Measure the bus beside the limit of the machine, in one run on one PostgreSQL whose every commit is on disk. */
export async function benchEvents({
  rows,
  blocks,
  writers,
  singles,
  spacedMs,
  over,
  say = () => undefined,
}: BenchOptions): Promise<BenchResult> {
  const arena = await Arena.open();
  const bench = new Bench(arena, over, writers);
  const seconds = { plain: 0, events: 0 };
  try {
    await bench.start();
    await bench.plain(WARM_ROWS);
    await bench.events(WARM_ROWS);
    for (let block = 1; block <= blocks; block++) {
      const plain = await bench.plain(rows);
      const events = await bench.events(rows);
      seconds.plain += plain;
      seconds.events += events;
      say(`block ${block} of ${blocks}: plain ${Math.round(rows / plain)} rows/s, bus ${Math.round(rows / events)} events/s, ${Math.round((plain / events) * 100)} %`); // prettier-ignore
    }
    const tookMs = (await bench.singles(singles, spacedMs)).sort((a, b) => a - b);
    const tenths = (ms: number) => Math.round(ms * 10) / 10;
    return {
      limitPerSecond: Math.round((rows * blocks) / seconds.plain),
      eventsPerSecond: Math.round((rows * blocks) / seconds.events),
      percentOfLimit: Math.round((seconds.plain / seconds.events) * 100),
      wakeUpMs: { p50: tenths(percentile(tookMs, 50)), p99: tenths(percentile(tookMs, 99)), max: tenths(tookMs.at(-1) ?? NaN), events: singles }, // prettier-ignore
    };
  } finally {
    await bench.end();
    await arena.close();
  }
}
