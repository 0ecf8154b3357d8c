import { setTimeout as pause } from 'node:timers/promises';
import { environment } from '#config';
import { answer, columns } from '../operate/print.js';
import { asAdmin, type Admin, type Where } from './admin.js';

/** So long a group is watched at what it was asked to handle again, ms: many events are handled in a tenth of it. */
const WATCH_MS = 3_000;
const LOOK_MS = 100;
/** Of a reason, in a table. */
const REASON_CHARS = 60;

/** An event that its group cannot handle. */
export interface ParkedEvent {
  id: number;
  group: string;
  event: string;
  key: string;
  reason: string;
  tries: number;
  since: string;
  /** Later events of its key that wait. */
  behind: number;
  /** It was asked for, and is not handled yet. */
  isDue: boolean;
}

const PARKED = `SELECT id::int, grp AS "group", name AS event, key, reason, tries, parked_at AS since, behind, is_due AS "isDue"
  FROM bus.parked_events($1)`;

/** What is parked, the oldest first. */
export const parkedEvents = (admin: Admin, group?: string): Promise<ParkedEvent[]> => admin.query(PARKED, [group ?? null]);

/** `mesh events parked`. */
export async function listParked(
  { group, json }: { group?: string; json?: boolean },
  where: Where = environment(),
): Promise<void> {
  const found = await asAdmin(where, (admin) => parkedEvents(admin, group));
  answer(json, found, () => (found.length ? parkedText(found) : `nothing is parked${group ? ` for ${group}` : ''}`));
}

/** A row for each parked event. */
export function parkedText(found: readonly ParkedEvent[]): string {
  const short = (text: string) =>
    (text.length > REASON_CHARS ? `${text.slice(0, REASON_CHARS - 1)}…` : text).replaceAll('\n', ' ');
  const rows = found.map((one) => [
    ...[one.id, one.group, one.event, one.key, short(one.reason), one.tries],
    ...[new Date(one.since).toISOString().slice(0, 19) + 'Z', one.behind],
  ]);
  const table = columns(['id', 'group', 'event', 'key', 'reason', 'tries', 'since', 'behind it'], rows);
  return `${table}\n\nonce mended: npx mesh events redrive <id>; to give one up: npx mesh events drop <id> --yes`;
}

/** Which events are to be handled again. */
export interface RedriveWish {
  id?: number;
  group?: string;
  all?: boolean;
  json?: boolean;
}

/** What came of them. */
export interface Redriven {
  asked: number;
  handled: number;
  /** Parked again, or still tried. */
  left: ParkedEvent[];
}

/** `mesh events redrive`. @returns the exit code: 1 when some were not handled */
export async function redrive(wish: RedriveWish, where: Where = environment()): Promise<number> {
  const { id, group, all, json } = wish;
  if ([id, group, all].filter((each) => each !== undefined).length !== 1)
    throw new Error('say which: an id of npx mesh events parked, --group <group>, or --all');
  const result = await asAdmin(where, async (admin): Promise<Redriven> => {
    const before = (await parkedEvents(admin, group)).filter((one) => id === undefined || one.id === id);
    if (id !== undefined && before.length === 0) throw new Error(`no parked event has the id ${id} (npx mesh events parked)`);
    const [found] = await admin.query<{ keys: number }>('SELECT bus.redrive($1, $2) AS keys', [id ?? null, group ?? null]);
    const asked = found?.keys ?? 0;
    const left = asked === 0 ? [] : await watched(admin, new Set(before.map((one) => one.id)));
    return { asked, handled: asked - left.length, left };
  });
  answer(json, result, () => redrivenText(result));
  return result.left.length > 0 ? 1 : 0;
}

async function watched(admin: Admin, ids: ReadonlySet<number>): Promise<ParkedEvent[]> {
  for (const until = Date.now() + WATCH_MS; ; await pause(LOOK_MS)) {
    const left = (await parkedEvents(admin)).filter(({ id }) => ids.has(id));
    if (!left.some(({ isDue }) => isDue) || Date.now() > until) return left;
  }
}

/** What was done, in sentences. */
export function redrivenText({ asked, handled, left }: Redriven): string {
  if (asked === 0) return 'nothing is parked';
  const waiting = left.filter(({ isDue }) => isDue);
  const failed = left.filter(({ isDue }) => !isDue);
  const events = (n: number) => `${n} ${n === 1 ? 'event' : 'events'}`;
  return [
    `${events(asked)} asked for again, with all that waits behind: ${handled} handled, ${failed.length} parked again, ${waiting.length} still tried`,
    ...failed.map(({ id, reason }) => `  ${id}: ${reason}`),
    ...waiting.map(({ id, group }) => `  ${id}: ${group} has not handled it yet (npx mesh status tells whether it runs; npx mesh events parked what becomes of it)`), // prettier-ignore
  ].join('\n');
}

/** `mesh events drop <id>`. @throws Error without `--yes`, or when nothing is parked under that id */
export async function drop(
  id: number,
  { yes, json }: { yes?: boolean; json?: boolean },
  where: Where = environment(),
): Promise<void> {
  const dropped = await asAdmin(where, async (admin) => {
    const found = (await parkedEvents(admin)).find((one) => one.id === id);
    if (!found) throw new Error(`no parked event has the id ${id} (npx mesh events parked)`);
    if (!yes) throw new Error(`${found.group} would never handle ${found.event} of ${found.key}; nothing was dropped (to do it: npx mesh events drop ${id} --yes)`); // prettier-ignore
    const [done] = await admin.query<{ done: boolean }>('SELECT bus.drop_parked($1) AS done', [id]);
    if (!done?.done) throw new Error(`${id} was handled in this very moment; nothing was dropped`);
    return found;
  });
  const { group, event, key, behind } = dropped;
  answer(json, dropped, () => `dropped: ${group} will never handle ${event} of ${key}${behind ? `; the ${behind} that waited behind it go on` : ''}`); // prettier-ignore
}
