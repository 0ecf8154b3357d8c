import type pg from 'pg';
import { runWithout } from '#context';
import { openClient } from '#postgres';
import { isUnavailable, storageFault, tooSlow } from './faults.js';
import { manners, type Tidings } from './source.js';
import type { StorageConfig } from './storage-section.js';

export interface LanesOptions {
  process: string;
  url: string;
  config: StorageConfig;
  tidings: Tidings;
}

/** A statement that waits for its rows. */
interface Waiting {
  sql: string;
  params: unknown[];
  answer: (rows: unknown[]) => void;
  refuse: (error: unknown) => void;
}

/** A prepared statement that its connection does not know. */
const NO_SUCH_STATEMENT = '26000';

/** A connection on which statements follow each other without waiting for answers. It is made when it is needed, and again when it broke. */
class Lane {
  underWay = 0;
  private client?: Promise<pg.Client>;
  private next: Waiting[] = [];
  private readonly names = new Map<string, string>();
  private isUsed = false;
  private idle?: NodeJS.Timeout;

  constructor(private readonly options: LanesOptions) {}

  ask(waiting: Waiting): void {
    this.underWay++;
    this.isUsed = true;
    // What comes in one turn of the event loop leaves in one write: a write costs as much as all else that is done for a statement.
    if (this.next.push(waiting) === 1) runWithout(() => setImmediate(() => void this.send()));
  }

  async close(): Promise<void> {
    clearTimeout(this.idle);
    const { client } = this;
    this.client = undefined;
    await (await client?.catch(() => undefined))?.end();
  }

  private async send(): Promise<void> {
    const together = this.next;
    this.next = [];
    try {
      const client = await (this.client ??= this.open());
      client.connection.stream.cork();
      for (const each of together) void this.query(client, each);
      client.connection.stream.uncork();
    } catch (error) {
      for (const { refuse } of together) this.over(() => refuse(error));
    }
  }

  private async query(client: pg.Client, { sql, params, answer, refuse }: Waiting): Promise<void> {
    try {
      const { rows } = await client.query({ name: this.nameOf(sql), text: sql, values: params });
      this.over(() => answer(rows));
    } catch (error) {
      if ((error as { code?: unknown }).code === NO_SUCH_STATEMENT && this.client) this.lose(this.client);
      this.over(() => refuse(error));
    }
  }

  /** Short, since PostgreSQL cuts names. */
  private nameOf(sql: string): string {
    const name = this.names.get(sql) ?? `lane${this.names.size}`;
    this.names.set(sql, name);
    return name;
  }

  private over(told: () => void): void {
    this.underWay--;
    told();
  }

  private open(): Promise<pg.Client> {
    const made = this.connect(() => this.lose(made));
    made.catch(() => this.lose(made)); // whoever waits for it is told
    return made;
  }

  private async connect(onLost: () => void): Promise<pg.Client> {
    const { process: name, url, config } = this.options;
    const client = await openClient(url, { name, connectTimeoutMs: config.connectTimeoutMs, isPipelined: true, onLost });
    await client.query(manners(name, config));
    this.look();
    return client;
  }

  /** Whatever was under way on it is told by its own. */
  private lose(made: Promise<pg.Client>): void {
    if (this.client !== made) return;
    this.client = undefined;
    clearTimeout(this.idle);
    made.then((client) => client.end()).catch(() => undefined); // it is broken already; this frees its socket
  }

  /** Now and then whether it is needed at all. */
  private look(): void {
    clearTimeout(this.idle);
    this.isUsed = false;
    this.idle = setTimeout(
      () => (this.isUsed || this.underWay > 0 ? this.look() : void this.close()),
      this.options.config.idleMs,
    );
    this.idle.unref();
  }
}

/**
 * The connections for statements that are transactions of their own and come in crowds: many under way on each, each prepared once.
 * They spare what a pool does for a statement, and most of the waking and sleeping between two processes that answer each other.
 */
export class Lanes {
  private readonly lanes: Lane[] = [];

  constructor(private readonly options: LanesOptions) {}

  /** The rows of one statement, whose text is always the same. @throws Problem `storage-unavailable`, `storage-slow` (503) */
  async query<T>(sql: string, params: unknown[]): Promise<T[]> {
    const { config, tidings } = this.options;
    const lane = this.emptiest();
    if (lane.underWay >= config.maxWaiting) throw tooSlow();
    try {
      const rows = await new Promise((answer, refuse) => lane.ask({ sql, params, answer, refuse }));
      tidings.heard();
      return rows as T[];
    } catch (error) {
      const fault = storageFault(error);
      if (isUnavailable(fault)) tidings.lost(error);
      throw fault;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.close()));
  }

  private emptiest(): Lane {
    let least = this.lanes[0];
    for (const lane of this.lanes) if (lane.underWay < least!.underWay) least = lane;
    if (least && (least.underWay === 0 || this.lanes.length >= this.options.config.lanes)) return least;
    const another = new Lane(this.options);
    this.lanes.push(another);
    return another;
  }
}
