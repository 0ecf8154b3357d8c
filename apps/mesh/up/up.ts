import type { ChildProcess } from 'node:child_process';
import { environment, type Environment } from '#config';
import { prepareDatabase } from '#postgres';
import { join } from 'node:path';
import { JsonScreen, LiveScreen, PlainScreen, type Screen } from '../screen/screen.js';
import { Launcher } from './launcher.js';
import { outlive } from '../machine/orphans.js';
import { planOf, takenPorts, type Plan, type UpOptions } from './plan.js';
import { Runtime } from '../machine/runtime.js';

/** Something that goes on beside a running mesh. @returns a function that ends it */
export type Accompany = (launcher: Launcher, plan: Plan, env: Environment, screen: Screen) => Promise<() => void>;

/** What a start may be given. */
export interface Beside {
  /** A Node process that was begun before all else and becomes the first host. */
  early?: ChildProcess;
  /** What goes on beside the mesh, such as following the sources. */
  accompany?: Accompany;
}

/** One press of Ctrl-C arrives twice, from the terminal and from npm; two signals this far apart are two presses, ms. */
const SAME_PRESS_MS = 500;
/** What a shell expects of a program that a signal ended. @source POSIX.1-2024, "Exit Status for Commands" */
const EXIT = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Starts the mesh, stays in front, and stops it.
 *
 * @param node  the Node that the processes run in
 * @param beside  what there is besides
 * @returns the exit code: 0 after a drain, 1 when it could not start, 130 or 143 when it was killed by a second signal
 */
export async function up(options: UpOptions, node: string, { early, accompany }: Beside = {}): Promise<number> {
  const env = environment();
  const screen = screenFor(options);
  const plan = await planOf(options, env, node);
  const runtime = await Runtime.take(env.dataDir, firstContent(plan, env), (_dead, children) =>
    outlive(children, (text) => screen.note(text)),
  );
  try {
    const taken = await takenPorts(plan, env.bind);
    if (taken.length === 0) return await run(new Launcher(plan, env, runtime, screen, early), plan, env, screen, accompany);
    for (const { what, mend } of taken) screen.note(`${what}. ${mend}`);
    return 1;
  } finally {
    runtime.release();
    screen.close();
  }
}

async function run(launcher: Launcher, plan: Plan, env: Environment, screen: Screen, accompany?: Accompany): Promise<number> {
  listenToSignals(launcher, screen);
  if (plan.databaseUrl) prepareOutside(plan.databaseUrl, plan, env, screen);
  const running = launcher.run();
  const end = await accompany?.(launcher, plan, env, screen);
  const code = await running;
  end?.();
  return code;
}

/** The screen that fits: JSON when asked, a live table in a terminal that can, else plain lines. */
function screenFor({ json }: UpOptions): Screen {
  const { stdout } = process;
  if (json) return new JsonScreen(stdout);
  // hasColors knows NO_COLOR and terminals that can do nothing.
  if (!stdout.isTTY || !stdout.hasColors()) return new PlainScreen(stdout);
  return new LiveScreen(stdout, () => ({ colour: true, width: stdout.columns, height: stdout.rows }));
}

const firstContent = ({ addresses, processes, leftOut }: Plan, { profile }: Environment) => ({
  startedAt: new Date().toISOString(),
  ...addresses,
  ...(leftOut.length > 0 ? { only: processes } : {}),
  profile,
  children: [],
});

function listenToSignals(launcher: Launcher, screen: Screen) {
  let firstAtMs: number | undefined;
  const hear = (code: number) => {
    const nowMs = Date.now();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      void launcher.stop();
    } else if (nowMs - firstAtMs >= SAME_PRESS_MS) void launcher.kill(code);
  };
  for (const [signal, code] of Object.entries(EXIT)) process.on(signal, () => hear(code));
  if (process.channel) {
    // The front script in its own Node was killed: nobody is in front any more.
    process.on('disconnect', () => void launcher.stop());
    process.channel.unref();
  }
  process.on('uncaughtException', (error) => {
    screen.note(error.stack ?? error.message);
    void launcher.kill(1);
  });
  // Whoever read our lines has gone; the mesh itself has not.
  process.stdout.on('error', () => undefined);
}

/** A database given from outside is prepared when that role may do so; the processes wait for it meanwhile and say so. */
function prepareOutside(url: string, { processes }: Plan, { dataDir }: Environment, screen: Screen) {
  prepareDatabase(url, { processes, secretsDir: join(dataDir, 'secrets') }).catch((error: unknown) => {
    screen.note(
      `the database of DATABASE_URL could not be prepared (${(error as Error).message}); with a role that may: npx mesh db prepare`,
    );
  });
}
