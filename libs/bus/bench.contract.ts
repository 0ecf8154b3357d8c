import { randomBytes, randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BusConfig, type BusContext, type BusEvent, BusServer, type EventSource, publish } from '#bus';
import { fileSettings, type Flat } from '#config';
import { type Log, silentLog } from '#log';
import { Metrics } from '#metrics';
import { openStorage, type Storage, StorageConfig } from '#storage';
import { startTestDatabase, type TestDatabase, until } from '#testing';

/** Does something with one event. */
export type Handler = (body: unknown, context: BusContext) => Promise<void>;
/** Makes a bench over one log of events. */
export type OpenBench = () => Promise<Bench>;

/** A log of events that is put to the test. */
export interface LogUnderTest {
  /** Send events as an emitter's relay does. */
  send(events: readonly BusEvent[]): Promise<void>;
  /** How a process reads it; through its own storage's database by default. */
  source?(storage: Storage, config: BusConfig): EventSource;
  close?(): Promise<void>;
}

interface Consumer {
  on: Record<string, Handler>;
  instance?: string;
  broadcast?: boolean;
  over?: Flat;
  log?: Log;
  metrics?: Metrics;
  /** Told with each handler, as the second argument of `@EventPattern`. */
  extras?: Record<string, unknown>;
}

const section = <T extends object>(cls: new () => T, over: Flat = {}): T => {
  const settings = fileSettings({ process: 'seen-query', profile: 'test', sections: [cls], log: silentLog, over });
  settings.close();
  return settings.section(cls);
};

/** The storage of a process, without entities and migrations of its own. */
export const storageOf = (database: TestDatabase, process: string): Promise<Storage> =>
  openStorage({
    process,
    url: database.url(process),
    entities: [],
    migrations: [],
    log: silentLog,
    config: section(StorageConfig),
  });

/** An emitter, `seen-command`, a consumer, `seen-query`, and a log between them. */
export class Bench {
  private servers: BusServer[] = [];
  /** A log elsewhere keeps its topics from one run to the next. */
  private readonly run = randomBytes(4).toString('hex');

  private constructor(
    readonly database: TestDatabase,
    /** The emitter's storage. */
    readonly writer: Storage,
    /** The consumer's storage. */
    readonly reader: Storage,
    private readonly log: LogUnderTest,
  ) {}

  /** @param logOf  makes the log, of the emitter's storage */
  static async open(logOf: (writer: Storage) => LogUnderTest | Promise<LogUnderTest>): Promise<Bench> {
    const database = await startTestDatabase(['seen-command', 'seen-query']);
    const [writer, reader] = await Promise.all([storageOf(database, 'seen-command'), storageOf(database, 'seen-query')]);
    // Without any key, so that an effect that happens twice is seen twice.
    await reader.query('CREATE TABLE seen (n bigint GENERATED ALWAYS AS IDENTITY, id uuid, name text, key text, version int)');
    return new Bench(database, writer, reader, await logOf(writer));
  }

  async close(): Promise<void> {
    await this.closeServers();
    await this.log.close?.();
    await Promise.all([this.writer.close(), this.reader.close()]);
    await this.database.stop();
  }

  async closeServers(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()));
    this.servers = [];
  }

  async clear(): Promise<void> {
    await this.reader.query('TRUNCATE seen');
  }

  /** The name of an event of a topic that nobody else has. */
  name(what: string): string {
    return `${what}-${this.run}.${what}`;
  }

  event(name: string, key: string, version = 1, body: unknown = { version }): BusEvent {
    return { id: randomUUID(), name, key, version, body, at: new Date().toISOString() };
  }

  send(...events: readonly BusEvent[]): Promise<void> {
    return this.log.send(events);
  }

  server({ instance, over, log = silentLog, metrics = new Metrics('seen-query') }: Omit<Consumer, 'on'>): BusServer {
    const config = section(BusConfig, over);
    const source = this.log.source?.(this.reader, config);
    return new BusServer({ storage: this.reader, process: 'seen-query', instance, log, metrics, config, source });
  }

  /** An instance of the consumer. */
  consume(consumer: Consumer): BusServer {
    const server = this.server(consumer);
    const { on, broadcast, extras } = consumer;
    for (const [name, handle] of Object.entries(on)) server.addHandler(name, handle as never, true, { broadcast, ...extras });
    server.listen(() => undefined);
    this.servers.push(server);
    return server;
  }

  /** Leave a trace of an event, in the transaction of its place. */
  readonly note: Handler = async (_body, { event: { id, name, key, version }, tx }) => {
    await tx.query('INSERT INTO seen (id, name, key, version) VALUES ($1, $2, $3, $4)', [id, name, key, version]);
  };

  seen(): Promise<{ id: string; key: string; version: number }[]> {
    return this.reader.query('SELECT id, key, version FROM seen ORDER BY n');
  }

  async untilSeen(events: number): Promise<void> {
    await until(`${events} are handled`, async () => (await this.seen()).length >= events);
  }
}

/** The log in the emitter's own database, filled as a relay fills it. */
export const inPostgres = (writer: Storage): LogUnderTest => ({
  send: (events) =>
    writer.background({ statementTimeoutMs: 30_000, lockTimeoutMs: 10_000, isDurable: false }, (tx) => publish(tx, events)),
});

/** A log whose warnings and errors can be looked at. */
export function listeningLog(): { log: Log; warned: unknown[] } {
  const warned: unknown[] = [];
  const note = (...said: unknown[]) => void warned.push(said);
  return { log: Object.assign(Object.create(silentLog) as Log, { warn: note, error: note }), warned };
}

/** Each key's versions are there from 1 on, in order and without a gap. */
export function expectInOrder(rows: readonly { key: string; version: number }[]): void {
  const last = new Map<string, number>();
  for (const { key, version } of rows) {
    expect(`${key}/${version}`).toBe(`${key}/${(last.get(key) ?? 0) + 1}`);
    last.set(key, version);
  }
}

/** No event is there twice. */
export const expectOnce = (rows: readonly { id: string }[]): void =>
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);

/** Bytes in use once the garbage is gone. */
export function collected(): number {
  setFlagsFromString('--expose_gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
