import { below, percentilesOf, seeded } from '../check/figures.js';
import { Recorder } from '../check/history.js';
import type { Progress } from '../report/report.js';
import { Callers } from './http.js';
import { OwnMesh } from './mesh.js';
import { Customer, guest, type Person } from './people.js';
import type { Shop } from './shopper.js';
import { Staff, type Stage, type StageOptions } from './staff.js';

/** A mesh of its own with a cinema in it, open for shoppers. */
export interface OpenShop {
  mesh: OwnMesh;
  staff: Staff;
  stage: Stage;
  shop: Shop;
  /** Somebody to shop as: a guest, another one each time, or one of some customers. */
  somebody: () => Person;
  /** Percentiles of what was asked, by deed. */
  figures: () => Record<string, ReturnType<typeof percentilesOf>>;
  close: () => Promise<void>;
}

/** How it is opened. */
export interface ShopOptions extends StageOptions {
  seed: number;
  fold: readonly string[];
  customers: number;
  sockets: number;
  forgetful: number;
  /** A file for the history. */
  history?: string;
}

/** Between two tries of a request that was not answered: short, so that many meet what starts. */
const PATIENCE = { pauseMs: 150, untilMs: 90_000 };

/** Ends what a drill has started when it is told to stop. */
export function endOnSignal(end: () => Promise<void>): () => void {
  let ending: Promise<never> | undefined;
  // One press of Ctrl-C may arrive twice, by the terminal and by who started us.
  const stop = () => void (ending ??= end().finally(() => process.exit(130)) as Promise<never>);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  return () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
  };
}

/** Start a mesh, set up a cinema, and let people in. */
export async function openShop(options: ShopOptions, progress: Progress): Promise<OpenShop> {
  progress.show('starting a mesh of its own');
  const mesh = await OwnMesh.start(options.fold);
  const ignore = endOnSignal(() => mesh.stop());
  try {
    progress.show('setting up a cinema');
    const staff = new Staff(mesh.gateway, mesh.secret);
    const stage = await staff.stage(options);
    const making = Array.from({ length: options.customers }, () => Customer.register(mesh.gateway, mesh.dataDir));
    const customers = await Promise.all(making);
    const luck = seeded(options.seed);
    const times: Record<string, number[]> = {};
    let processes = 0;
    const shop: Shop = {
      callers: new Callers(mesh.gateway, options.sockets),
      recorder: new Recorder(options.history),
      ...{ patience: PATIENCE, luck, forgetful: options.forgetful, unanswered: [] },
      process: () => processes++,
      took: (f, ms) => void (times[f] ??= []).push(ms),
    };
    const close = async () => {
      ignore();
      staff.close();
      shop.callers.close();
      await shop.recorder.close();
      await mesh.stop();
    };
    const somebody = () => (customers.length > 0 && luck() < 0.4 ? customers[below(luck, customers.length)]! : guest());
    const figures = () => Object.fromEntries(Object.entries(times).map(([f, all]) => [f, percentilesOf(all)]));
    return { mesh, staff, stage, shop, somebody, figures, close };
  } catch (error) {
    ignore();
    await mesh.stop();
    throw error;
  }
}
