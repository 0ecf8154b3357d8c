// A process with an outbox and its relay: writes rows with their events, as it is told to.
import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { silentLog as log } from '#log';
import { Metrics } from '#metrics';
import { emit, OutboxConfig, outboxTables, Relay } from '#outbox';
import { openClient } from '#postgres';
import { openStorage, type Storage, StorageConfig } from '#storage';
import { SIDES } from './arena.js';
import { given, hear, type Message, tell } from './child.js';
import { section } from './sections.js';

const options = given();
const process = SIDES.command;
const storage = await openStorage({
  process,
  url: options.url,
  ...outboxTables,
  log,
  config: section(StorageConfig, process, options),
});
const relay = new Relay({
  storage,
  process,
  log,
  metrics: new Metrics(process),
  config: section(OutboxConfig, process, options),
});
relay.start();

/** What a film's state is long, characters. */
const BODY = 'x'.repeat(200);
/** After a write that failed, ms. */
const RETRY_MS = 20;

/** Change a thing and say so, as a command does. @returns its new version */
async function write(to: Storage, key: string): Promise<number> {
  return to.transaction(async (tx) => {
    const [row] = await tx.query<{ version: number }[]>(
      `INSERT INTO thing AS t VALUES ($1, 1, 'a title', $2)
       ON CONFLICT (key) DO UPDATE SET version = t.version + 1 RETURNING version`,
      [key, BODY],
    );
    const { version } = row!;
    await emit(tx, { name: 'made.changed', key, version, body: { title: 'a title', body: BODY } });
    return version;
  });
}

/** Write without an end, over and over the same keys, and tell of each acknowledged write. */
async function keepWriting(writer: number, keys: number, isOver: () => boolean) {
  while (!isOver()) {
    const key = `w${writer}-${randomInt(keys)}`;
    try {
      const version = await write(storage, key);
      tell({ said: 'acknowledged', key, version });
    } catch {
      await pause(RETRY_MS); // PostgreSQL was killed: whether this one is in is not known to its writer
    }
  }
}

/** One row a commit, as fast as one connection can. */
async function plain({ rows, keys }: { rows: number; keys: string }) {
  const db = await openClient(options.url);
  await db.query('SET search_path TO made_command');
  const startedAt = globalThis.process.hrtime.bigint();
  for (let n = 0; n < rows; n++)
    await db.query({
      name: 'plain',
      text: 'INSERT INTO plain (key, version, title, body) VALUES ($1, $2, $3, $4)',
      values: [`${keys}${n}`, 1, 'a title', BODY],
    });
  await db.end();
  tell({ said: 'written', startedAt });
}

/** As many at a time as requests would be, each in a transaction of its own. */
async function events({ rows, keys, writers }: { rows: number; keys: string; writers: number }) {
  const startedAt = globalThis.process.hrtime.bigint();
  const writer = async (first: number) => {
    for (let n = first; n < rows; n += writers) await write(storage, `${keys}${n}`);
  };
  await Promise.all(Array.from({ length: writers }, (_, first) => writer(first)));
  tell({ said: 'written', startedAt });
}

/** One at a time, spaced by chance, so that each meets a bus that has nothing to do. */
async function single({ rows, keys, spacedMs }: { rows: number; keys: string; spacedMs: number }) {
  for (let n = 0; n < rows; n++) {
    await pause(randomInt(Math.ceil(spacedMs / 4), spacedMs));
    await write(storage, `${keys}${n}`);
    tell({ said: 'committed', key: `${keys}${n}`, at: globalThis.process.hrtime.bigint() });
  }
  tell({ said: 'written' });
}

/** Writers that go on until they are told to end. */
class Writers {
  private isOver = false;
  private readonly writing: Promise<unknown>;

  constructor(writers: number, keys: number) {
    const each = Array.from({ length: writers }, (_, writer) => keepWriting(writer, keys, () => this.isOver));
    this.writing = Promise.all(each);
  }

  async end(): Promise<void> {
    this.isOver = true;
    await this.writing;
    tell({ said: 'ended' });
  }
}

const running: { writers?: Writers } = { writers: undefined };
const does: Record<string, (message: Message) => void> = {
  begin: ({ writers, keys }) => (running.writers = new Writers(writers as number, keys as number)),
  end: () => void running.writers?.end(),
  plain: (message) => void plain(message as never),
  events: (message) => void events(message as never),
  single: (message) => void single(message as never),
};
hear((message) => does[message.said]?.(message));
tell({ said: 'ready' });
