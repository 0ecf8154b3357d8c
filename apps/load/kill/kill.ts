import { setTimeout as sleep } from 'node:timers/promises';
import { openClient } from '#postgres';
import { below, some } from '../check/figures.js';
import type { Finding, Progress } from '../report/report.js';
import { close } from '../shop/closing.js';
import type { OwnMesh } from '../shop/mesh.js';
import { type OpenShop, openShop } from '../shop/open.js';
import { Shopper, sideBySide } from '../shop/shopper.js';

/** Who is killed. */
export type Victim = 'purchase-command' | 'gateway' | 'provider' | 'postgresql';
export const VICTIMS: readonly Victim[] = ['purchase-command', 'gateway', 'provider', 'postgresql'];

/** How the drill goes. */
export interface KillOptions {
  times: number;
  victims: readonly Victim[];
  buyers: number;
  seed: number;
  /** Processes share three Node processes beside the victims': less memory, the same faults. */
  isGrouped?: boolean;
  history?: string;
}

/** As short as a chain may have it: holds lapse while the drill goes on. */
const HOLD_SECONDS = 60;
const SEATS = 120;
const CUSTOMERS = 4;
/** Of a hundred requests that are not answered so many are repeated only at the end. */
const FORGETFUL = 30;
/** Between a victim's return and the next death, at most, ms. */
const KILLED_WITHIN_MS = 3000;
/** For a victim to be back, ms: its launcher waits up to 30 s with one that dies again and again. */
const BACK_WITHIN_MS = 120_000;
const LOOK_MS = 50;
const GROUPS = ['--fold', 'gateway;purchase-command;provider'];

/** What the sandbox provider does with a payment, and how often of a hundred. */
const METHODS: readonly [string, number][] = [
  ['approve', 50],
  ['decline', 12],
  ['redirect', 12],
  ['twice', 12],
  ['slow', 7],
  ['late', 4],
  ['silent', 3],
];

/** One of the provider's scenarios, by weight. */
export function methodOf(luck: () => number): string {
  let left = luck() * 100;
  for (const [scenario, weight] of METHODS) if ((left -= weight) < 0) return `sandbox:${scenario}`;
  return 'sandbox:approve';
}

/** Somebody who buys, cancels, gives back and goes away without paying, again and again. */
async function buyer({ shop, stage, somebody }: OpenShop, isOver: () => boolean, done: () => void): Promise<void> {
  const { luck } = shop;
  while (!isOver()) {
    const shopper = new Shopper(shop, somebody());
    const screening = stage.screenings[below(luck, stage.screenings.length)]!;
    const seats = luck() < 0.3 ? some(luck, stage.seats, 1 + below(luck, 4)) : sideBySide(luck, stage.seats, 6);
    const mine = await shopper.hold(screening, seats);
    done();
    if (!mine) continue;
    const wish = luck();
    if (wish < 0.1) await shopper.cancel(mine);
    else if (wish < 0.85) {
      let outcome = await shopper.pay(mine, methodOf(luck));
      if (outcome === 'payment-declined') outcome = await shopper.pay(mine, 'sandbox:approve');
      // Seats come back, so that there is always something to be had.
      if (outcome === 'paid' && luck() < 0.4) await shopper.refund(mine);
    }
    done();
  }
}

/** Kill it, and wait until it is back. @returns how long that took, ms */
async function strike(mesh: OwnMesh, victim: Victim): Promise<number> {
  const pid = await mesh.pidOf(victim);
  if (pid === undefined) throw new Error(`${victim} does not run`);
  const startedMs = performance.now();
  process.kill(pid, 'SIGKILL');
  for (const end = startedMs + BACK_WITHIN_MS; ; await sleep(LOOK_MS)) {
    if (await isBack(mesh, victim, pid).catch(() => false)) return performance.now() - startedMs;
    if (performance.now() > end) throw new Error(`${victim} is not back after ${BACK_WITHIN_MS / 1000} s`);
  }
}

async function isBack(mesh: OwnMesh, victim: Victim, before: number): Promise<boolean> {
  const standings = await mesh.standings();
  if (victim !== 'postgresql')
    return standings.some(({ name, pid, state }) => name === victim && pid !== before && state === 'ready');
  const pid = await mesh.pidOf(victim);
  // Those that need it may not have noticed yet: it must answer, too.
  const db = await openClient(mesh.adminUrl, { name: 'drill-kill' });
  await db.end();
  const sellers = standings.filter(({ name }) => ['purchase-command', 'provider'].includes(name));
  return pid !== undefined && pid !== before && sellers.every(({ state }) => state === 'ready');
}

/** Kill what sells, each so many times, while people buy; then all that they were told must be true, and no money be anywhere else. */
export async function killDrill(options: KillOptions, progress: Progress): Promise<Finding> {
  const { times, victims, buyers, seed, isGrouped, history } = options;
  const fold = isGrouped ? GROUPS : ['--unfold'];
  const people = { customers: CUSTOMERS, sockets: buyers * 2, forgetful: FORGETFUL, history };
  const screenings = Math.max(3, Math.ceil((times * victims.length) / 4));
  const open = await openShop({ seed, fold, seats: SEATS, screenings, holdSeconds: HOLD_SECONDS, ...people }, progress);
  try {
    let isOver = false;
    let made = 0;
    const buying = Array.from({ length: buyers }, () => buyer(open, () => isOver, () => made++)); // prettier-ignore
    const backMs: Record<string, number[]> = {};
    const struck = strikes(open, { times, victims }, progress, { made: () => made, backMs });
    await Promise.race([struck, Promise.all(buying)]).catch(() => undefined);
    await struck.finally(() => (isOver = true));
    progress.show('waiting for the last buyers');
    await Promise.all(buying);
    const unanswered = open.shop.unanswered.length;
    const closing = await close(open.shop, {
      adminUrl: open.mesh.adminUrl,
      holdMs: HOLD_SECONDS * 1000,
      say: (text) => progress.show(text),
    });
    const { faults, ...rest } = closing;
    return { n: closing.acknowledged, ms: open.figures(), faults, details: { kills: times * victims.length, buyers, unanswered, backMs, ...rest } }; // prettier-ignore
  } finally {
    progress.show('stopping the mesh');
    await open.close();
  }
}

async function strikes(
  { mesh, shop }: OpenShop,
  { times, victims }: Pick<KillOptions, 'times' | 'victims'>,
  progress: Progress,
  { made, backMs }: { made: () => number; backMs: Record<string, number[]> },
) {
  const rounds = Array.from({ length: times * victims.length }, (_, i) => victims[i % victims.length]!);
  for (const [i, victim] of rounds.entries()) {
    const afterMs = below(shop.luck, KILLED_WITHIN_MS);
    progress.show(`round ${i + 1} of ${rounds.length}: ${victim} dies in ${afterMs} ms; ${made()} purchases`);
    await sleep(afterMs);
    const ms = Math.round(await strike(mesh, victim));
    (backMs[victim] ??= []).push(ms);
    const facts = { round: i + 1, of: rounds.length, victim, backMs: ms, purchases: made(), unanswered: shop.unanswered.length };
    progress.line(`round ${i + 1} of ${rounds.length}: ${victim} killed, back in ${ms} ms; ${made()} purchases, ${shop.unanswered.length} requests unanswered`, facts); // prettier-ignore
  }
}
