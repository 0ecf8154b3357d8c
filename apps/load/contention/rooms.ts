import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import { openClient } from '#postgres';
import { basketFaults, type Basket, type ClaimRow } from '../check/basket.js';
import { type Percentiles, percentilesOf } from '../check/figures.js';
import { operationsOf, Recorder } from '../check/history.js';
import { seatFaults } from '../check/seat.js';
import { CarelessSeller } from './careless.js';
import { ClaimSeller, makeKnown } from './claims.js';
import { crowd, type CrowdResult, seatNames } from './crowd.js';
import type { Seller } from './seller.js';

/** What came of one run. */
export interface RunResult {
  run: string;
  attempts: number;
  attemptsPerSecond: number;
  outcomes: Record<string, number>;
  deadlocks: number;
  doubleSales: number;
  partialBaskets: number;
  /** Seats whose story cannot be true. */
  impossibleSeats: number;
  ms: Percentiles;
  /** The first of what is wrong, in sentences. */
  faults: string[];
  /** How much is wrong in all. */
  faultCount: number;
}

/** Who crowds. */
export interface RoomOptions {
  /** A superuser's address of the database of purchase-command, which is thrown away. */
  adminUrl: string;
  /** Of the role of purchase-command. */
  url: string;
  attempts: number;
  buyers: number;
  /** Of each screening. */
  seats: number;
  luck: () => number;
  say?: (what: string, done: number, of: number) => void;
  /** Told of each run when it is over. */
  judged?: (run: RunResult) => void;
}

/** More sentences than this tell nothing new. */
const MOST_TOLD = 20;
/** Attempts at one screening, for each of its seats: enough to sell it out and to be refused for a while. */
const PER_SEAT = { baskets: 2, single: 5 };

/** How a run is run, and where its claims are. */
export interface Run {
  name: string;
  attempts: number;
  /** A basket has one to so many seats. */
  basket: number;
  screenings: readonly string[];
  /** The table of claims with a condition: those that have not lapsed. */
  claims: string;
  /** Whether there are purchases beside the claims. */
  hasPurchases: boolean;
  /** Holds lapse during the run, which lasts so long: what buyers were told is no longer true at its end. ms */
  lapsingMs?: number;
}

/** The table of claims of purchase-command. */
export const CLAIMS = 'purchase_command.seat_claim WHERE until > now() AND';

const LIVE = `SELECT id AS purchase, screening, array(SELECT jsonb_path_query(lines, '$[*].seat') #>> '{}') AS seats
  FROM purchase_command.purchase WHERE screening = ANY($1) AND (state IN ('paying', 'paid') OR (state = 'held' AND "heldUntilAt" > now()))`;

/** Let the crowd at a seller, and judge what came of it. */
export async function judged(run: Run, seller: Seller, { adminUrl, buyers, seats, luck, say }: RoomOptions): Promise<RunResult> {
  const recorder = new Recorder();
  const admin = await openClient(adminUrl, { name: 'drill-judge' });
  try {
    const before = await deadlocksIn(admin);
    const { name, attempts, basket, screenings, lapsingMs: atLeastMs } = run;
    const done = (made: number) => say?.(name, made, attempts);
    const how = { buyers, attempts, atLeastMs, screenings, basket, luck, recorder, done };
    const told = await crowd(seller, { ...how, seats: seatNames(seats) });
    await seller.close();
    const deadlocks = (await deadlocksIn(admin)) - before;
    const stuck = seatFaults(operationsOf(recorder.history)).map(({ sentence }) => `impossible: ${sentence}`);
    return { ...summary(run, told, await storedFaults(admin, run, told), stuck), deadlocks };
  } finally {
    await admin.end();
  }
}

type Admin = Awaited<ReturnType<typeof openClient>>;

/** A backend tells its statistics when it ends. */
const STATISTICS_MS = 50;

async function deadlocksIn(admin: Admin): Promise<number> {
  await sleep(STATISTICS_MS);
  const { rows } = await admin.query('SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()');
  return (rows as { deadlocks: number }[])[0]!.deadlocks;
}

async function storedFaults(admin: Admin, run: Run, { told, unknown, asked }: CrowdResult) {
  const ask = async <T>(sql: string) => (await admin.query(sql, [run.screenings])).rows as T[];
  // Of one moment, or a hold would lapse between the two looks.
  await admin.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  const claims = await ask<ClaimRow>(`SELECT screening, seat, purchase FROM ${run.claims} screening = ANY($1)`);
  const live = run.hasPurchases ? await ask<Basket>(LIVE) : undefined;
  await admin.query('COMMIT');
  // Of what has lapsed meanwhile only its whole baskets can be judged.
  if (run.lapsingMs) return basketFaults({ told: live!, claims, live });
  return basketFaults({ told, unknown, claims, live, asked: run.basket === 1 ? asked : undefined });
}

function summary(run: Run, { seconds, outcomes, timesMs }: CrowdResult, wrong: ReturnType<typeof basketFaults>, stuck: string[]) {
  const count = (kind: string) => wrong.filter((fault) => fault.kind === kind).length;
  const faults = [...wrong.map(({ kind, sentence }) => `${kind}: ${sentence}`), ...stuck];
  return {
    run: run.name,
    attempts: timesMs.length,
    attemptsPerSecond: Math.round(timesMs.length / seconds),
    outcomes,
    doubleSales: count('double'),
    partialBaskets: count('partial'),
    impossibleSeats: stuck.length,
    ms: percentilesOf(timesMs),
    faults: faults.slice(0, MOST_TOLD),
    faultCount: faults.length,
  };
}

/** As many screenings as the attempts are enough for. */
export function screeningsFor(attempts: number, seats: number, basket: number): string[] {
  const each = seats * (basket === 1 ? PER_SEAT.single : PER_SEAT.baskets);
  return Array.from({ length: Math.max(1, Math.round(attempts / each)) }, () => uuid());
}

const HOLD_SECONDS = 480;
/** Of holds of a second: each seat is had by several, one after the other. */
const LAPSING_MS = 2500;
/** Statements that several instances of purchase-command have under way together, and the most requests that one takes. */
const TILLS = { connections: 4, joint: 100 };

/**
 * Buyers at the database itself, by the statement of purchase-command: baskets one by one and jointly, single seats, and holds that
 * lapse while others wait for them.
 */
export async function databaseRoom(options: RoomOptions): Promise<RunResult[]> {
  const { attempts, buyers, url } = options;
  const plan = [
    { name: 'baskets', share: 0.4, basket: 6, connections: buyers, joint: 1, holdSeconds: HOLD_SECONDS },
    { name: 'baskets in joint statements', share: 0.3, basket: 6, ...TILLS, holdSeconds: HOLD_SECONDS },
    { name: 'single seats', share: 0.2, basket: 1, connections: buyers, joint: 1, holdSeconds: HOLD_SECONDS },
    { name: 'baskets that lapse', share: 0.1, basket: 6, connections: buyers, joint: 1, holdSeconds: 1 },
  ];
  const results: RunResult[] = [];
  for (const { name, share, basket, connections, joint, holdSeconds } of plan) {
    const count = Math.max(1, Math.round(attempts * share));
    const lapsingMs = holdSeconds < HOLD_SECONDS ? LAPSING_MS : undefined;
    const screenings = lapsingMs ? [uuid()] : screeningsFor(count, options.seats, basket);
    await makeKnown(url, screenings);
    const seller = await ClaimSeller.open({ url, connections, joint, holdSeconds });
    const run = { name, attempts: count, basket, screenings, claims: CLAIMS, hasPurchases: true, lapsingMs };
    const result = await judged(run, seller, options);
    options.judged?.(result);
    results.push(result);
  }
  return results;
}

/** The same crowd at the careless seller: what the checkers must see. */
export async function controlRoom(options: RoomOptions): Promise<RunResult> {
  const seller = await CarelessSeller.open(options.adminUrl, options.buyers);
  const screenings = screeningsFor(options.attempts, options.seats, 6);
  const claims = 'careless.claim WHERE';
  const run = {
    name: 'control: looks, then takes',
    attempts: options.attempts,
    basket: 6,
    screenings,
    claims,
    hasPurchases: false,
  };
  return judged(run, seller, options);
}
