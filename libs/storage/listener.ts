import pg from 'pg';
import { runWithout } from '#context';
import type { Log } from '#log';
import { openClient } from '#postgres';
import { backoffMs, rest } from './backoff.js';
import type { StorageConfig } from './storage-section.js';

/**
 * What a listener is called with: what was said on its channel, or '' when the connection was made anew and anything may
 * have been missed.
 */
export type Listen = (payload: string) => void;

/** The one connection of a process that hears notifications. It is made when first needed, and again whenever it breaks. */
export class Listener {
  private readonly channels = new Map<string, Set<Listen>>();
  private readonly stop = new AbortController();
  private client?: pg.Client;
  private making?: Promise<void>;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: { url: string; name: string; log: Log; config: StorageConfig }) {}

  /** Call `listen` for each notification on `channel`. While the database is away this waits for it behind the scenes. */
  async add(channel: string, listen: Listen): Promise<() => Promise<void>> {
    const known = this.channels.get(channel);
    const listeners = known ?? new Set();
    this.channels.set(channel, listeners.add(listen));
    if (this.client && !known) await this.say(`LISTEN ${pg.escapeIdentifier(channel)}`);
    else if (!this.client) await this.connected();
    return async () => {
      listeners.delete(listen);
      if (listeners.size > 0 || this.channels.get(channel) !== listeners) return;
      this.channels.delete(channel);
      await this.say(`UNLISTEN ${pg.escapeIdentifier(channel)}`);
    };
  }

  async close(): Promise<void> {
    this.stop.abort();
    await this.making;
    await this.client?.end();
    this.client = undefined;
  }

  /** Resolves after the first try, made or not: the rest goes on behind. */
  private connected(): Promise<void> {
    this.making ??= this.connect().finally(() => (this.making = undefined));
    return this.making;
  }

  private async connect(): Promise<void> {
    try {
      await this.open();
    } catch (error) {
      this.options.log.debug('no connection for notifications', { error });
      void this.reconnect();
    }
  }

  private async open(): Promise<void> {
    const { url, name, config } = this.options;
    const client = await openClient(url, {
      name: `${name}-listen`,
      connectTimeoutMs: config.connectTimeoutMs,
      onLost: () => this.lose(client),
    });
    client.on('notification', ({ channel, payload = '' }) => this.tell(channel, payload));
    for (const channel of this.channels.keys()) await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
    if (this.stop.signal.aborted) return void (await client.end());
    this.client = client;
  }

  private lose(client: pg.Client) {
    if (this.client !== client) return;
    this.client = undefined;
    client.end().catch(() => undefined); // it is broken already; this frees its socket
    if (!this.stop.signal.aborted) void this.reconnect();
  }

  private async reconnect(): Promise<void> {
    for (let attempt = 0; !this.stop.signal.aborted; attempt++) {
      await rest(backoffMs(attempt, this.options.config), this.stop.signal);
      if (this.client || this.stop.signal.aborted) return;
      this.making ??= this.open().finally(() => (this.making = undefined));
      try {
        await this.making;
      } catch {
        continue; // said once when it broke
      }
      for (const channel of this.channels.keys()) this.tell(channel, '');
      return;
    }
  }

  private tell(channel: string, payload: string) {
    runWithout(() => this.channels.get(channel)?.forEach((listen) => listen(payload)));
  }

  /** One statement at a time; when it fails the connection is on its way out, and the next one says everything again. */
  private say(sql: string): Promise<unknown> {
    this.turn = this.turn.then(() => this.client?.query(sql)).catch(() => undefined);
    return this.turn;
  }
}
