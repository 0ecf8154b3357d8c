import type { ServerResponse } from 'node:http';
import { Controller, Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Ctx, EventPattern } from '@nestjs/microservices';
import type { BusContext } from '#bus';
import { runWithout } from '#context';
import { Log } from '#log';
import { type Counter, Metrics } from '#metrics';
import { Problem } from '#problem';
import { Storage } from '#storage';
import type { PurchaseState } from '../../purchase/purchase.events.js';
import { SeatMaps } from './seat-map.js';
import { SeatsConfig } from './seats-section.js';
import { PURCHASE_EVENTS } from './seats.rules.js';
import { Viewer } from './viewer.js';
import { type Resumed, Watch } from './watch.js';

const CHANNEL = 'screening_seats';
const BEAT = Buffer.from(':\n\n');

/** Says in every instance, when an event is folded, whose seats to look at. It fills nothing, so a rebuild is silent. */
@Controller()
export class SeatNews {
  @EventPattern([...PURCHASE_EVENTS])
  async told(@Ctx() { event, tx }: BusContext<PurchaseState>): Promise<void> {
    await tx.query('SELECT pg_notify($1, $2)', [CHANNEL, event.body.screening]);
  }
}

/** The version that a `Last-Event-ID` names; undefined when it is none of ours. */
const versionOf = (header: string | undefined): number | undefined =>
  header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined;

/** Tells seat maps live to everybody who watches one. */
@Injectable()
export class SeatFeed implements OnModuleInit, OnModuleDestroy {
  private readonly watches = new Map<string, Watch>();
  private readonly viewers = new Set<Viewer>();
  private readonly dropped: Counter;
  private readonly timers: NodeJS.Timeout[] = [];
  private unlisten: () => Promise<void> = () => Promise.resolve();
  private isOver = false;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(SeatMaps) private readonly maps: SeatMaps,
    @Inject(SeatsConfig) private readonly config: SeatsConfig,
    @Inject(Log) private readonly log: Log,
    @Inject(Metrics) metrics: Metrics,
  ) {
    const open = metrics.gauge('screening_seat_viewers', 'Open streams of seat maps');
    Object.assign(open, { collect: () => open.set(this.viewers.size) });
    this.dropped = metrics.counter('screening_seat_viewers_dropped_total', 'Streams cut since nobody read them');
  }

  async onModuleInit(): Promise<void> {
    this.unlisten = await this.storage.listen(CHANNEL, (screening) => {
      if (screening === '') for (const watch of this.watches.values()) watch.wake();
      else this.watches.get(screening)?.wake();
    });
    runWithout(() => {
      this.timers.push(setInterval(() => this.beat(), this.config.heartbeatMs));
      this.timers.push(setInterval(() => void this.look(), this.config.lookMs));
    });
  }

  async onModuleDestroy(): Promise<void> {
    this.end();
    for (const timer of this.timers) clearInterval(timer);
    await this.unlisten();
  }

  /**
   * Prepare a stream of a screening's seats on `res`.
   *
   * @param lastEventId  of a reader that had a stream before
   * @returns what opens it: nothing is written before
   * @throws Problem `not-found` (404), `too-many-viewers`, `storage-unavailable` (503)
   */
  async join(screening: string, lastEventId: string | undefined, res: ServerResponse): Promise<() => void> {
    const { streams, slowBytes, retryMs } = this.config;
    if (this.isOver || this.viewers.size >= streams) throw full();
    const viewer = new Viewer(res, slowBytes, () => this.dropped.inc());
    const watch = this.watches.get(screening) ?? new Watch(screening, { maps: this.maps, config: this.config, log: this.log });
    this.watches.set(screening, watch);
    this.viewers.add(viewer);
    watch.viewers.add(viewer);
    const leave = () => this.leave(watch, viewer);
    res.once('close', leave);
    try {
      // It is for all who watch, not for this request alone.
      await runWithout(() => watch.map());
      const resumed = await this.resumed(watch, versionOf(lastEventId));
      if (this.isOver) throw full();
      if (res.destroyed) leave(); // it was gone before we heard of it, and will not go again
      return () => viewer.open(retryMs, watch.firstWords(resumed));
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** End all streams, and begin none: their readers go elsewhere. */
  end(): void {
    this.isOver = true;
    for (const viewer of this.viewers) viewer.end();
    for (const watch of this.watches.values()) watch.close();
  }

  private async resumed(watch: Watch, version: number | undefined): Promise<Resumed | undefined> {
    const upTo = watch.version;
    if (version === undefined || version > upTo) return undefined;
    if (version === upTo) return { version, upTo, touched: [] };
    if (version < Date.now() - this.config.resumeSeconds * 1000) return undefined;
    return { version, upTo, touched: await this.maps.touchedAfter(watch.screening, version) };
  }

  private leave(watch: Watch, viewer: Viewer): void {
    this.viewers.delete(viewer);
    watch.viewers.delete(viewer);
    if (watch.viewers.size > 0 || this.watches.get(watch.screening) !== watch) return;
    this.watches.delete(watch.screening);
    watch.close();
  }

  private beat(): void {
    for (const viewer of this.viewers) viewer.tell(BEAT);
  }

  /** A notification may get lost, and a rebuild has none. */
  private async look(): Promise<void> {
    if (this.watches.size === 0) return;
    const known = new Map([...this.watches.values()].map(({ screening, version }) => [screening, version]));
    const changed = await this.maps.changed(known).catch((error: unknown) => {
      this.log.debug('watched seats cannot be looked at', { error });
      return [];
    });
    for (const screening of changed) this.watches.get(screening)?.wake();
  }
}

const full = () => {
  const detail = 'as many as can be served watch seat maps live here: ask again, or ask for the map without the stream';
  return new Problem('too-many-viewers', 503, detail, {}, { 'Retry-After': '5' });
};
