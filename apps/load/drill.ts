import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Admin, Arena, SIDES } from './arena.js';
import { Child } from './child.js';
import type { ConsumerOptions } from './consumer.js';
import { type Fault, faultsIn } from './verdict.js';

/** Whose process is killed. */
export type Victim = 'relay' | 'consumer' | 'postgres';
export const VICTIMS: readonly Victim[] = ['relay', 'consumer', 'postgres'];

/** How the drill goes. */
export interface DrillOptions {
  /** How often each is killed. */
  times: number;
  victims?: readonly Victim[];
  writers?: number;
  /** Different keys of each writer; few, so that each has many versions. */
  keys?: number;
  /** Let the consumer do this wrong, to see that it is seen. */
  breaks?: Fault;
  /** Told of each round, and at the end. */
  say?: (line: string, facts: Record<string, unknown>) => void;
}

/** What came of it. */
export interface DrillResult {
  rounds: number;
  acknowledged: number;
  effects: number;
  /** What is wrong, by key; empty when each acknowledged event has its effect once and in order. */
  faults: string[];
  seconds: number;
}

/** The latest moment of a round at which somebody is killed, ms. */
const KILLED_WITHIN_MS = 300;
/** What was acknowledged until then has its effect so long after the victim is back, ms. */
const CAUGHT_UP_WITHIN_MS = 15_000;
const LOOK_MS = 25;
/** Between two tries to get back what backs off: half of what it rests at most, ms. */
const QUICK = { 'outbox.retryMaxMs': 500, 'bus.retryMaxMs': 500, 'storage.retryMaxMs': 500 };

class Drill {
  readonly acknowledged = new Map<string, number>();
  count = 0;
  private producer!: Child;
  private consumer!: Child;

  constructor(
    private readonly arena: Arena,
    private readonly options: DrillOptions,
  ) {}

  async start(): Promise<void> {
    await Promise.all([this.startProducer(), this.startConsumer()]);
  }

  /** Kill it, and have it back. @returns how long until it was, ms */
  async strike(victim: Victim): Promise<number> {
    const startedMs = performance.now();
    if (victim === 'postgres') await this.arena.crash();
    if (victim === 'relay') await this.producer.kill().then(() => this.startProducer());
    if (victim === 'consumer') await this.consumer.kill().then(() => this.startConsumer());
    return performance.now() - startedMs;
  }

  /** Wait until all that is acknowledged now has its effect, while more comes. @returns how long, ms; undefined when it has not in time */
  async caughtUp(): Promise<number | undefined> {
    const startedMs = performance.now();
    const due = new Map(this.acknowledged);
    while (performance.now() - startedMs < CAUGHT_UP_WITHIN_MS) {
      const counted = await this.arena.asAdmin((db) => pairs(db, 'SELECT key, events FROM made_query.counter'));
      if ([...due].every(([key, version]) => (counted.get(key) ?? 0) >= version)) return performance.now() - startedMs;
      await pause(LOOK_MS);
    }
    return undefined;
  }

  /** End the writing, and wait until nothing moves any more. */
  async settle(): Promise<void> {
    await this.producer.ask({ said: 'end' }, 'ended');
    for (let last = -1, still = 0; still < 8; await pause(LOOK_MS)) {
      const now = await this.arena.asAdmin(async (db) => {
        const sql = `SELECT (SELECT count(*) FROM made_command.outbox) AS waiting, (SELECT coalesce(max(seq), 0) FROM bus.event) AS last,
          (SELECT coalesce(max(seq), 0) FROM bus.place) AS place, (SELECT count(*) FROM made_query.journal) AS effects`;
        return ((await db.query(sql)).rows as { waiting: string; last: string; place: string; effects: string }[])[0]!;
      });
      const isDone = now.waiting === '0' && now.last === now.place && Number(now.effects) === last;
      still = isDone ? still + 1 : 0;
      last = Number(now.effects);
    }
  }

  async judge(): Promise<{ faults: string[]; effects: number }> {
    return this.arena.asAdmin(async (db) => {
      const stored = await pairs(db, 'SELECT key, version FROM made_command.thing');
      const counted = await pairs(db, 'SELECT key, events FROM made_query.counter');
      const { rows } = await db.query('SELECT key, version FROM made_query.journal ORDER BY seq');
      const journal = rows as { key: string; version: number }[];
      return { faults: faultsIn({ acknowledged: this.acknowledged, stored, counted, journal }), effects: journal.length };
    });
  }

  async end(): Promise<void> {
    await Promise.allSettled([this.producer?.kill(), this.consumer?.kill()]);
  }

  private async startProducer() {
    const { writers = 2, keys = 20 } = this.options;
    this.producer = new Child('producer', { url: this.arena.url(SIDES.command), over: QUICK }, ({ said, key, version }) => {
      if (said !== 'acknowledged') return;
      this.count += 1;
      this.acknowledged.set(key as string, Math.max(version as number, this.acknowledged.get(key as string) ?? 0));
    });
    await this.producer.heard('ready');
    this.producer.say({ said: 'begin', writers, keys });
  }

  private async startConsumer() {
    const options: ConsumerOptions = {
      url: this.arena.url(SIDES.query),
      over: QUICK,
      does: 'count',
      breaks: this.options.breaks,
    };
    this.consumer = new Child('consumer', options);
    await this.consumer.heard('ready');
  }
}

async function pairs(db: Admin, sql: string): Promise<Map<string, number>> {
  const { rows } = await db.query({ text: sql, rowMode: 'array' });
  return new Map(rows as unknown as [string, number][]);
}

/**
 * Kill the relay's process, the consumer's and PostgreSQL, each so many times at moments of chance, while writers go on; then
 * compare what writers were told with what came of it.
 */
export async function drill(options: DrillOptions): Promise<DrillResult> {
  const { times, victims = VICTIMS, say = () => undefined } = options;
  const startedMs = performance.now();
  const arena = await Arena.open();
  const run = new Drill(arena, options);
  const late: string[] = [];
  try {
    await run.start();
    const rounds = Array.from({ length: times * victims.length }, (_, i) => victims[i % victims.length]!);
    for (const [i, victim] of rounds.entries()) {
      // What is done wrong must have had the time to happen.
      const afterMs = options.breaks ? 5 * KILLED_WITHIN_MS : randomInt(KILLED_WITHIN_MS);
      await pause(afterMs);
      const before = run.count;
      const backMs = await run.strike(victim);
      const caughtUpMs = options.breaks ? 0 : await run.caughtUp();
      if (caughtUpMs === undefined)
        late.push(`late: ${CAUGHT_UP_WITHIN_MS / 1000} s after round ${i + 1} (${victim}) effects were missing`);
      const facts = {
        round: i + 1,
        victim,
        afterMs,
        acknowledged: before,
        backMs: Math.round(backMs),
        caughtUpMs: Math.round(caughtUpMs ?? -1),
      };
      say(`round ${i + 1} of ${rounds.length}: ${victim} killed after ${afterMs} ms and ${before} acknowledged, back in ${facts.backMs} ms, all handled ${facts.caughtUpMs} ms later`, facts); // prettier-ignore
    }
    await run.settle();
    const { faults, effects } = await run.judge();
    const seconds = Number(((performance.now() - startedMs) / 1000).toFixed(1));
    return { rounds: rounds.length, acknowledged: run.count, effects, faults: [...late, ...faults], seconds };
  } finally {
    await run.end();
    await arena.close();
  }
}
