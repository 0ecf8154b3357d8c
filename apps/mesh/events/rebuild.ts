import { setTimeout as pause } from 'node:timers/promises';
import { environment, type Environment } from '#config';
import { answer, print } from '../operate/print.js';
import { projects } from '../up/projects.js';
import { asAdmin, type Admin } from './admin.js';

const LOOK_MS = 200;
/** An instance that runs begins within a second; it looks by itself once in its lease. ms */
const BEGIN_MS = 20_000;

/** How far a rebuild is. */
export interface RebuildStanding {
  process: string;
  state: 'asked' | 'running' | 'done' | 'failed';
  /** Events replayed. */
  done: number;
  /** Events there were to replay when it began; counted to 10,000 a partition. */
  ahead: number;
  note: string | null;
  /** Since it was asked for, ms. */
  tookMs: number;
}

const STANDING = `SELECT $1::text AS process, state, done::int, ahead::int, note,
  round(1000 * extract(epoch FROM coalesce(ended_at, clock_timestamp()) - asked_at))::int AS "tookMs" FROM bus.rebuild_of($1)`;

/**
 * `mesh rebuild <process>`: has a running process build its views again from the log, while the old ones serve.
 *
 * @returns the exit code: 1 when the old views stay
 */
export async function rebuild(
  process: string,
  { json }: { json?: boolean },
  env: Environment = environment(),
  beginMs = BEGIN_MS,
): Promise<number> {
  if (!projects(env.root).some(({ name }) => name === process))
    throw new Error(`there is no process '${process}' (npx mesh status)`);
  const end = await asAdmin(env, async (admin) => {
    const [asked] = await admin.query<{ begun: boolean }>('SELECT bus.ask_rebuild($1) AS begun', [process]);
    if (!asked?.begun && !json) print(`${process} is at it already; this is how far it is`);
    return followed(admin, process, beginMs, json);
  });
  answer(json, end, () => endText(end));
  return end.state === 'done' ? 0 : 1;
}

async function followed(admin: Admin, process: string, beginMs: number, json?: boolean): Promise<RebuildStanding> {
  const live = globalThis.process.stdout.isTTY && !json;
  let told = '';
  for (const until = Date.now() + beginMs; ; await pause(LOOK_MS)) {
    const [now] = await admin.query<RebuildStanding>(STANDING, [process]);
    if (!now) throw new Error(`nobody has asked ${process} to rebuild`);
    if (now.state === 'asked' && Date.now() > until && (await withdrawn(admin, process)))
      throw new Error(`no instance of ${process} began; nothing was changed. Is it running (npx mesh status), and has it views?`);
    if (live) globalThis.process.stdout.write(`\r\u001b[K${progressText(now)}`);
    if (now.state === 'done' || now.state === 'failed') {
      if (live) globalThis.process.stdout.write('\r\u001b[K');
      return now;
    }
    const text = JSON.stringify({ state: now.state, done: now.done, ahead: now.ahead });
    if (json && text !== told) print(text);
    told = text;
  }
}

async function withdrawn(admin: Admin, process: string): Promise<boolean> {
  const [row] = await admin.query<{ done: boolean }>('SELECT bus.withdraw_rebuild($1) AS done', [process]);
  return row?.done === true;
}

/** One line while it goes on. */
export const progressText = ({ process, state, done, ahead }: RebuildStanding): string =>
  state === 'asked' ? `${process} has not begun yet` : `${process}: ${done} of ${Math.max(done, ahead)} events`;

/** What came of it. */
export const endText = ({ process, state, done, note, tookMs }: RebuildStanding): string =>
  state === 'done'
    ? `${process}: ${done} events replayed in ${(tookMs / 1000).toFixed(1)} s; the new views serve`
    : `${process}: the old views stay: ${note ?? 'no reason was given'}`;
