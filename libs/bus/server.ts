import { Catch, type ExceptionFilter, type INestApplication } from '@nestjs/common';
import { type CustomTransportStrategy, type MessageHandler, type NestMicroservice, Server } from '@nestjs/microservices';
import { hostname } from 'node:os';
import { finalize, isObservable, lastValueFrom, type Observable, throwError } from 'rxjs';
import { environment } from '#config';
import { runWithout } from '#context';
import type { Log } from '#log';
import type { Metrics } from '#metrics';
import { backoffMs, type Storage } from '#storage';
import type { Handle } from './reading/batch.js';
import type { BusConfig } from './bus-section.js';
import type { BusContext } from './event.js';
import { PostgresLog } from './postgres/log.js';
import { Rebuilder } from './rebuild/rebuild.js';
import type { EventSource } from './source.js';
import { Subscription } from './reading/subscription.js';

/** What the bus of a process needs. */
export interface BusServerOptions {
  storage: Storage;
  /** The process's name: its instances share what they subscribe to. */
  process: string;
  /** The same after a restart, and another for each instance: whose place a broadcast subscription keeps. Host and slot by default. */
  instance?: string;
  log: Log;
  metrics: Metrics;
  config: BusConfig;
  /** Where events come from; the log in the storage's own database by default. */
  source?: EventSource;
}

/** Lets a handler's error reach the bus as it is; Nest's own filter would log it and hand on "Internal server error". */
@Catch()
class HandlerErrors implements ExceptionFilter<unknown> {
  catch(error: unknown): Observable<never> {
    return throwError(() => error);
  }
}

/**
 * Nest's `@EventPattern` over the log of events. The handler gets the body as its payload and a `BusContext`;
 * what it writes in `context.tx`, or through `Storage`, commits together with the consumer's place, so its effect is once.
 * An event whose handler throws is tried again with back-off, and what is behind it in its partition waits. When that does
 * not help and the event itself is to blame, it is parked: its key waits, all others go on.
 *
 * `@EventPattern(name)` shares the events among the instances of a process; `@EventPattern(name, { broadcast: true })`
 * gives them to each instance. Both begin with the first event that is kept.
 *
 * `@EventPattern(name, { views: ['movie_view'] })` says which tables a shared handler fills, all of them, and that it does nothing
 * else: these tables can then be built again from the log while they serve. It names no schema in its statements.
 *
 * `isJoint: true` says that a handler leaves all that it does to `BusContext.together`.
 */
export class BusServer extends Server implements CustomTransportStrategy {
  override readonly propagatesEventHandlerErrors = true;
  private readonly shared = new Map<string, Handle[]>();
  private readonly broadcast = new Map<string, Handle[]>();
  private readonly source: EventSource;
  /** Those of the shared ones that fill views, and the views' tables. */
  private readonly filling = new Map<string, Handle[]>();
  private readonly views = new Set<string>();
  private subscriptions: Subscription[] = [];
  private rebuilder?: Rebuilder;
  private upkeep?: NodeJS.Timeout;

  constructor(private readonly options: BusServerOptions) {
    super();
    this.source = options.source ?? new PostgresLog(options.storage, options.config);
  }

  /**
   * Let `app`'s handlers be called by `server` once its microservices are started. The filters, guards and pipes of HTTP
   * stay out of it: there is no caller, and an error must reach the bus as it is.
   */
  static join(app: INestApplication, server: BusServer): void {
    const options = { inheritAppConfig: false, deferInitialization: true };
    const joined = app.connectMicroservice({ strategy: server }, options) as NestMicroservice;
    // Nest binds filters while it registers the handlers, which it does at once unless told to leave it to us.
    joined.useGlobalFilters(new HandlerErrors());
    joined.registerListeners();
    joined.setIsInitialized(true);
    joined.setIsInitHookCalled(true);
  }

  override addHandler(
    pattern: string,
    callback: MessageHandler,
    isEventHandler = false,
    extras: Record<string, unknown> = {},
  ): void {
    const name = this.normalizePattern(pattern);
    if (!isEventHandler) throw new Error(`the bus carries events, not requests: '${name}' wants @EventPattern`);
    const handlers = extras.broadcast === true ? this.broadcast : this.shared;
    const call = (context: BusContext) => this.call(callback, context);
    const handle: Handle = Object.assign(call, { isJoint: extras.isJoint === true });
    handlers.set(name, [...(handlers.get(name) ?? []), handle]);
    if (handlers === this.shared) this.fills(name, handle, extras.views as readonly string[] | undefined);
    this.messageHandlers.set(name, Object.assign(callback, { isEventHandler, extras }));
  }

  listen(listening: (error?: unknown) => void): void {
    const { process, instance = `${hostname()}-${environment().slot}`, config } = this.options;
    const groups = new Map([
      [process, this.shared],
      [`${process}:${instance}`, this.broadcast],
    ]);
    this.subscriptions = [...groups]
      .filter(([, handlers]) => handlers.size > 0)
      .map(([group, handlers]) => new Subscription({ ...this.options, source: this.source, group, handlers }));
    for (const subscription of this.subscriptions) subscription.start();
    if (this.filling.size > 0) this.rebuilder = this.openRebuilder(process, instance);
    // By chance earlier, so that processes started together do not all ask at once.
    const everyMs = backoffMs(0, { retryMinMs: config.compactEveryMs, retryMaxMs: config.compactEveryMs });
    this.upkeep = runWithout(() => setInterval(() => void this.keepUp(), everyMs));
    listening();
  }

  /** Finish what is under way, no longer than `drainMs`; events that come later wait in the log. */
  async close(): Promise<void> {
    clearInterval(this.upkeep);
    await this.rebuilder?.close();
    await Promise.all(this.subscriptions.map((subscription) => subscription.close()));
    this.subscriptions = [];
  }

  /** How many events wait to be handled, by topic; counted to 10,000 a partition. @throws Problem `storage-unavailable` (503) */
  async lag(): Promise<Record<string, number>> {
    const total: Record<string, number> = {};
    for (const lag of await Promise.all(this.subscriptions.map((subscription) => subscription.lag())))
      for (const [topic, events] of Object.entries(lag)) total[topic] = (total[topic] ?? 0) + events;
    return total;
  }

  /**
   * Remove events older than `keepDays` that are not the last of their key.
   *
   * @returns how many; 0 also while another process is at it
   * @throws Problem `storage-unavailable` (503)
   */
  compact(): Promise<number> {
    return this.source.compact?.(this.options.config.keepDays) ?? Promise.resolve(0);
  }

  /** Part of Nest's interface; the bus has no events of its own. */
  on(): never {
    throw new Error('the bus tells nothing but what it delivers');
  }

  /** The storage that carries the bus. */
  unwrap<T>(): T {
    return this.options.storage as T;
  }

  private fills(name: string, handle: Handle, views: readonly string[] = []) {
    if (views.length === 0) return;
    this.filling.set(name, [...(this.filling.get(name) ?? []), handle]);
    for (const table of views) this.views.add(table);
  }

  private openRebuilder(process: string, instance: string): Rebuilder {
    const { storage, log, config } = this.options;
    const [handlers, tables] = [this.filling, [...this.views]];
    const rebuilder = new Rebuilder({ storage, source: this.source, process, instance, handlers, tables, log, config });
    rebuilder.start();
    return rebuilder;
  }

  private async keepUp() {
    try {
      for (const subscription of this.subscriptions) await subscription.seen();
      const events = await this.compact();
      if (events > 0) this.options.log.info('old events removed', { events });
    } catch (error) {
      this.options.log.warn('old events stay for now', { error });
    }
  }

  /** Nest hands back a promise of a stream; the event is handled when that has ended, and fails with its error. */
  private async call(callback: MessageHandler, context: BusContext): Promise<void> {
    const handled = this.runWithProcessingHooks(context, async (end) => {
      const result: unknown = await callback(context.event.body, context);
      if (isObservable(result)) await lastValueFrom(result.pipe(finalize(end)), { defaultValue: undefined });
      else end();
    });
    await (handled as unknown as Promise<void>);
  }
}
