import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '#log';
import type { SeatMap, SeatMaps, Seen } from './seat-map.js';
import type { SeatsConfig } from './seats-section.js';
import { changesBetween, changesOf } from './seats.rules.js';
import type { Viewer } from './viewer.js';

/** The longest that a timer can wait, ms. */
const LONGEST_MS = 2 ** 31 - 1;

/** One event of a stream. @source https://html.spec.whatwg.org/multipage/server-sent-events.html */
const eventOf = (name: 'map' | 'seats', version: number, data: object): Buffer =>
  Buffer.from(`event: ${name}\nid: ${version}\ndata: ${JSON.stringify(data)}\n\n`);

/** Where a reader that comes back left off. */
export interface Resumed {
  version: number;
  /** What was touched since, as of the map of version `upTo`. */
  touched: readonly string[];
  upTo: number;
}

/** One screening's seats, looked at once for all in this process who watch them. */
export class Watch {
  readonly viewers = new Set<Viewer>();
  private seen?: Seen;
  private opening?: Promise<void>;
  private working?: Promise<void>;
  private isWoken = false;
  private isOver = false;
  private lapse?: NodeJS.Timeout;

  constructor(
    readonly screening: string,
    private readonly parts: { maps: SeatMaps; config: SeatsConfig; log: Log },
  ) {}

  /** The map that its viewers have. @throws Problem `not-found` (404), `storage-unavailable` (503) while there is none */
  async map(): Promise<SeatMap> {
    if (!this.seen) await (this.opening ??= this.look().finally(() => (this.opening = undefined)));
    return this.seen!.map;
  }

  get version(): number {
    return this.seen?.map.version ?? -1;
  }

  /** Look at the seats, now or after what is under way, and tell the viewers what is new. */
  wake(): void {
    this.isWoken = true;
    if (this.isOver) return;
    this.working ??= this.work().finally(() => (this.working = undefined));
  }

  /** What a viewer is told first: the whole map, or only what came after it left. */
  firstWords(resumed?: Resumed): Buffer | undefined {
    const { map } = this.seen!;
    if (resumed?.version === map.version) return undefined;
    if (resumed === undefined || resumed.version > map.version || resumed.upTo !== map.version)
      return eventOf('map', map.version, map);
    return eventOf('seats', map.version, changesOf(resumed.touched, map.taken));
  }

  close(): void {
    this.isOver = true;
    clearTimeout(this.lapse);
  }

  private async work(): Promise<void> {
    await this.opening?.catch(() => undefined); // whoever waits for it hears of it
    while (this.isWoken && !this.isOver) {
      this.isWoken = false;
      // What fails is tried again at the next look: the feed asks for it.
      await this.look().catch((error: unknown) => this.parts.log.debug('seats cannot be looked at', { error }));
      await sleep(this.parts.config.gatherMs);
    }
  }

  private async look(): Promise<void> {
    const seen = await this.parts.maps.of(this.screening);
    const was = this.seen?.map;
    this.seen = seen;
    if (this.isOver) return;
    if (seen.hasNews) this.isWoken = true;
    clearTimeout(this.lapse);
    // By the database's clock it is over a moment later than by ours at the earliest.
    if (seen.lapsesInMs < LONGEST_MS) this.lapse = setTimeout(() => this.wake(), seen.lapsesInMs + 1).unref();
    const changes = was && changesBetween(was.taken, seen.map.taken);
    if (changes) this.tell(eventOf('seats', seen.map.version, changes));
  }

  private tell(event: Buffer): void {
    for (const viewer of this.viewers) viewer.tell(event);
  }
}
