// A process that handles events: counts them, which doing twice would show, and keeps a view.
import { setTimeout as pause } from 'node:timers/promises';
import { BusConfig, type BusContext, BusServer } from '#bus';
import { silentLog as log } from '#log';
import { Metrics } from '#metrics';
import { openClient } from '#postgres';
import { openStorage, StorageConfig } from '#storage';
import { SIDES } from './arena.js';
import { type ChildOptions, given, hear, tell } from './child.js';
import { section } from './sections.js';
import type { Fault } from './verdict.js';

/** What its handler does, and what it does wrong on purpose. */
export interface ConsumerOptions extends ChildOptions {
  does: 'count' | 'view';
  breaks?: Fault;
}

const options = given<ConsumerOptions>();
const process = SIDES.query;
const storage = await openStorage({
  ...{ process, url: options.url, entities: [], migrations: [], log },
  config: section(StorageConfig, process, options),
});

/** One event in so many is handled wrongly, when that is asked for. */
const WRONG_ONE_IN = 10;

async function note({ tx }: BusContext, { key, version }: { key: string; version: number }) {
  await tx.query('INSERT INTO counter AS c VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET events = c.events + 1', [key]);
  await tx.query('INSERT INTO journal (key, version) VALUES ($1, $2)', [key, version]);
}

/** Counts events, and does one in so many wrongly when that is asked for. */
class Counting {
  private seen = 0;
  private kept?: { key: string; version: number };

  async handle(context: BusContext): Promise<void> {
    const { key, version } = context.event;
    const isWrong = options.breaks !== undefined && ++this.seen % WRONG_ONE_IN === 0;
    if (isWrong && options.breaks === 'lost') return;
    // Kept back until the next one of its key has passed it.
    if (isWrong && options.breaks === 'swapped' && !this.kept) return void (this.kept = { key, version });
    await note(context, { key, version });
    if (isWrong && options.breaks === 'doubled') await note(context, { key, version });
    if (this.kept?.key !== key) return;
    await note(context, this.kept);
    this.kept = undefined;
  }
}

const VIEWED = 'load.viewed';

/** Keeps a view with the statement of a query side; what each commit has brought is told after it. */
async function view({ event, tx }: BusContext): Promise<void> {
  const { title, body } = event.body as { title: string; body: string };
  await tx.query(
    `INSERT INTO made_view AS v (title, body, id, version, removed) SELECT $1, $2, $3, $4, $5
     WHERE NOT EXISTS (SELECT 1 FROM made_view now WHERE now.id = $3 AND now.version >= $4)
     ON CONFLICT (id) DO UPDATE SET title = excluded.title, body = excluded.body, version = excluded.version, removed = excluded.removed
     WHERE v.version < excluded.version`,
    [title, body, event.key, event.version, false],
  );
  const { data } = tx.queryRunner!;
  data[VIEWED] = [...((data[VIEWED] as string[] | undefined) ?? []), event.key];
}

const bus = { process, instance: 'one', log, metrics: new Metrics(process), config: section(BusConfig, process, options) };
const server = new BusServer({ storage, ...bus });
const counting = new Counting();
const handle = (context: BusContext) => (options.does === 'count' ? counting.handle(context) : view(context));
server.addHandler('made.changed', ((_body: unknown, context: BusContext) => handle(context)) as never, true, {});
server.listen(() => undefined);

storage.onCommit(({ queryRunner }) => {
  const keys = queryRunner?.data[VIEWED] as string[] | undefined;
  if (keys) tell({ said: 'projected', keys, at: globalThis.process.hrtime.bigint() });
});

/** A moment between two looks that found nothing, ms. */
const LOOK_MS = 1;

/** Read plain rows in order as they come, so many from where the last ones ended. */
async function plain(from: number, rows: number) {
  const db = await openClient(options.url);
  let [past, read] = [from, 0];
  while (read < rows) {
    const found = await db.query<{ seq: string }>({
      name: 'plain',
      text: 'SELECT seq, key, version, title, body FROM made_command.plain WHERE seq > $1 ORDER BY seq LIMIT 1000',
      values: [past],
    });
    past = Number(found.rows.at(-1)?.seq ?? past);
    read += found.rows.length;
    if (found.rows.length === 0) await pause(LOOK_MS);
  }
  await db.end();
  tell({ said: 'read', at: globalThis.process.hrtime.bigint(), past });
}

hear(({ said, rows, from }) => {
  if (said === 'plain') void plain(from as number, rows as number);
});
tell({ said: 'ready' });
