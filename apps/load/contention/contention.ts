import { seeded } from '../check/figures.js';
import type { Finding, Progress } from '../report/report.js';
import { Callers } from '../shop/http.js';
import { OwnMesh } from '../shop/mesh.js';
import { endOnSignal } from '../shop/open.js';
import { Staff } from '../shop/staff.js';
import { GatewaySeller } from './gateway.js';
import { CLAIMS, controlRoom, databaseRoom, judged, type RoomOptions, type RunResult, screeningsFor } from './rooms.js';

/** How the drill goes. */
export interface ContentionOptions {
  /** At the database. */
  attempts: number;
  /** Through the gateway. */
  gateway: number;
  buyers: number;
  seats: number;
  seed: number;
}

/** Of the attempts at the gateway so many of a hundred are for one seat. */
const SINGLE_PERCENT = 30;

/** The same crowd at the public door: baskets, then single seats. */
async function gatewayRoom(mesh: OwnMesh, options: RoomOptions, attempts: number, progress: Progress): Promise<RunResult[]> {
  const singles = Math.round((attempts * SINGLE_PERCENT) / 100);
  const staff = new Staff(mesh.gateway, mesh.secret);
  const results: RunResult[] = [];
  for (const [name, count, basket] of [
    ['gateway: baskets', attempts - singles, 6],
    ['gateway: single seats', singles, 1],
  ] as const) {
    if (count === 0) continue;
    progress.show('setting up screenings');
    const wanted = screeningsFor(count, options.seats, basket).length;
    const { screenings } = await staff.stage({ seats: options.seats, screenings: wanted });
    const run = { name, attempts: count, basket, screenings, claims: CLAIMS, hasPurchases: true };
    results.push(await judged(run, new GatewaySeller(new Callers(mesh.gateway, options.buyers)), options));
  }
  staff.close();
  return results;
}

function line({
  run,
  attempts,
  attemptsPerSecond,
  outcomes,
  deadlocks,
  doubleSales,
  partialBaskets,
  impossibleSeats,
  ms,
}: RunResult): string {
  const came = Object.entries(outcomes).sort(([, a], [, b]) => b - a).map(([outcome, count]) => `${count} ${outcome}`).join(', '); // prettier-ignore
  return `${run}: ${attempts} attempts, ${attemptsPerSecond}/s, p50 ${ms.p50} ms, p99 ${ms.p99} ms; ${came}; ${deadlocks} deadlocks, ${doubleSales} double sales, ${partialBaskets} partial baskets, ${impossibleSeats} impossible seats`; // prettier-ignore
}

/** What is wrong with a run that must be right. Of refusals only those that say that seats are taken are to be expected. */
function faultsOf({ run, faults, deadlocks, outcomes }: RunResult): string[] {
  const odd = Object.entries(outcomes).filter(([outcome]) => outcome !== 'held' && outcome !== 'taken');
  return [
    ...faults.map((fault) => `${run}: ${fault}`),
    ...(deadlocks > 0 ? [`${run}: deadlocks: ${deadlocks}`] : []),
    ...odd.map(([outcome, count]) => `${run}: ${count} × ${outcome}`),
  ];
}

const sum = (runs: readonly RunResult[], of: (run: RunResult) => number) => runs.reduce((total, run) => total + of(run), 0);

/** Buyers crowd at few seats: at the database, at the gateway, and at a seller that does it wrongly, which must be seen. */
export async function contentionDrill(options: ContentionOptions, progress: Progress): Promise<Finding> {
  const { attempts, gateway, buyers, seats, seed } = options;
  progress.show('starting a mesh of its own');
  const mesh = await OwnMesh.start();
  const ignore = endOnSignal(() => mesh.stop());
  try {
    const say = (what: string, done: number, of: number) => progress.show(`${what}: ${done} of ${of}`);
    const room: RoomOptions = {
      ...{ adminUrl: mesh.adminUrl, url: mesh.databaseUrl('purchase-command'), attempts, buyers, seats, luck: seeded(seed), say },
    };
    const runs: RunResult[] = [];
    const show = (run: RunResult) => progress.line(line(run), { ...run });
    if (attempts > 0) runs.push(...(await databaseRoom({ ...room, judged: show })));
    if (gateway > 0) for (const run of await gatewayRoom(mesh, room, gateway, progress)) (show(run), runs.push(run));
    const control = await controlRoom({ ...room, attempts: Math.max(2000, Math.round(attempts / 10)) });
    show(control);
    const isBlind = control.doubleSales === 0 || control.impossibleSeats === 0;
    const blindness = isBlind
      ? ['control: seats were not seen to be sold twice by a seller that does so: the checkers are blind']
      : [];
    const failures = sum(runs, (run) => run.doubleSales + run.partialBaskets + run.impossibleSeats + run.deadlocks);
    const n = sum(runs, (run) => run.attempts);
    const ms = Object.fromEntries(runs.map((run) => [run.run, run.ms]));
    return { n, ms, failures, faults: [...runs.flatMap(faultsOf), ...blindness], details: { buyers, seats, runs, control } };
  } finally {
    progress.show('stopping the mesh');
    ignore();
    await mesh.stop();
  }
}
