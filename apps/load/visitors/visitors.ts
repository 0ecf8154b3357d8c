import { setTimeout as sleep } from 'node:timers/promises';
import { environment } from '#config';
import { percentilesOf, seeded } from '../check/figures.js';
import type { Finding, Progress } from '../report/report.js';
import { Callers, checkOwn } from '../shop/http.js';
import { OwnMesh } from '../shop/mesh.js';
import { endOnSignal } from '../shop/open.js';
import { Staff } from '../shop/staff.js';
import { exponential, kindOf, PROFILE, STEPS, type StepName } from './profile.js';
import { programmeOf, type Seen, Visitor } from './visitor.js';

/** How the drill goes. */
export interface VisitorOptions {
  /** Visitors that come, a second. */
  rate: number;
  minutes: number;
  seed: number;
  /** On a mesh of its own in place of the one that runs. */
  own?: boolean;
  /** Of a hundred requests so many may go wrong. */
  errorsPercent: number;
}

const MINUTE_MS = 60_000;
/** Of the generator itself: more at once than this means that nothing is answered any more. */
const MOST_AT_ONCE = 3000;
const SOCKETS = 256;

/** What was seen, step by step. */
class Tally {
  readonly times: Partial<Record<StepName, number[]>> = {};
  readonly statuses: Record<string, Record<string, number>> = {};
  readonly faults = new Map<string, number>();
  requests = 0;
  wrong = 0;

  note({ step, ms, status, fault }: Seen): void {
    this.requests++;
    (this.times[step] ??= []).push(ms);
    const route = `${STEPS[step].method} ${STEPS[step].route}`;
    const counts = (this.statuses[route] ??= {});
    counts[status] = (counts[status] ?? 0) + 1;
    if (fault === undefined) return;
    this.wrong++;
    const name = `${route}: ${fault}`;
    this.faults.set(name, (this.faults.get(name) ?? 0) + 1);
  }
}

interface Run {
  visitors: number;
  turnedAway: number;
  /** How late the generator itself was at most, ms: when this is much, it was too slow for the rate. */
  latestMs: number;
}

/** Let visitors come by chance, whether those before them have left or not. */
async function arrive(callers: Callers, tally: Tally, { rate, minutes, seed }: VisitorOptions, progress: Progress): Promise<Run> {
  const luck = seeded(seed);
  const visit = {
    callers,
    luck,
    profile: PROFILE,
    programme: await programmeOf(callers),
    seen: (seen: Seen) => tally.note(seen),
  };
  const run: Run = { visitors: 0, turnedAway: 0, latestMs: 0 };
  const inside = new Set<Promise<void>>();
  const startedMs = performance.now();
  for (let dueMs = exponential(luck, 1000 / rate); dueMs < minutes * MINUTE_MS; dueMs += exponential(luck, 1000 / rate)) {
    const waitMs = startedMs + dueMs - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    run.latestMs = Math.max(run.latestMs, -waitMs);
    run.visitors++;
    if (inside.size >= MOST_AT_ONCE) run.turnedAway++;
    else {
      const coming = new Visitor(visit).come(kindOf(luck, PROFILE.kinds)).finally(() => inside.delete(coming));
      inside.add(coming);
    }
    progress.show(`${Math.round(dueMs / 1000)} s: ${run.visitors} visitors, ${inside.size} inside, ${tally.requests} requests, ${tally.wrong} wrong`); // prettier-ignore
  }
  progress.show(`waiting for ${inside.size} visitors to leave`);
  await Promise.all(inside);
  return { ...run, latestMs: Math.round(run.latestMs) };
}

/** The mesh that runs here, or one of its own with a cinema in it. */
async function door(own: boolean | undefined, progress: Progress): Promise<{ url: string; close: () => Promise<void> }> {
  if (!own) {
    const { runtime } = environment();
    if (!runtime) throw new Error('no mesh runs from this folder: npm start, or --own for one that goes with the drill');
    checkOwn(runtime.gateway);
    return { url: runtime.gateway, close: () => Promise.resolve() };
  }
  progress.show('starting a mesh of its own');
  const mesh = await OwnMesh.start();
  const ignore = endOnSignal(() => mesh.stop());
  const close = () => (ignore(), mesh.stop());
  const staff = new Staff(mesh.gateway, mesh.secret);
  try {
    await staff.stage({ seats: 300, screenings: 40 });
    return { url: mesh.gateway, close };
  } catch (error) {
    await close();
    throw error;
  } finally {
    staff.close();
  }
}

/** Visitors browse, search, look at seats, buy and give up, at a rate that does not depend on how they are served. */
export async function visitorDrill(options: VisitorOptions, progress: Progress): Promise<Finding> {
  const { url, close } = await door(options.own, progress);
  const callers = new Callers(url, SOCKETS);
  const tally = new Tally();
  try {
    const run = await arrive(callers, tally, options, progress);
    const routes = Object.entries(tally.statuses).sort();
    for (const [route, statuses] of routes)
      progress.line(`${route}: ${Object.entries(statuses).map(([status, times]) => `${times} × ${status}`).join(', ')}`, { route, statuses }); // prettier-ignore
    progress.line(`${run.visitors} visitors, ${run.turnedAway} turned away; the generator was ${run.latestMs} ms late at most`, { ...run }); // prettier-ignore
    const failures = tally.wrong + run.turnedAway;
    const isTooMuch = failures * 100 > options.errorsPercent * tally.requests || tally.requests === 0;
    const told = [...tally.faults].sort(([, a], [, b]) => b - a).map(([fault, times]) => `${times} × ${fault}`);
    if (!isTooMuch) for (const fault of told) progress.line(`  ${fault}`, { fault });
    const ms = Object.fromEntries(Object.entries(tally.times).map(([step, times]) => [step, percentilesOf(times)]));
    return {
      n: tally.requests,
      failures,
      ms,
      faults: isTooMuch ? told : [],
      details: { ...run, routes: tally.statuses, profile: PROFILE },
    };
  } finally {
    callers.close();
    await close();
  }
}
