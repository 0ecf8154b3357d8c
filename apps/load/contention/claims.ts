import { v7 as uuid } from 'uuid';
import { openClient } from '#postgres';
import type { ScreeningState } from '../../screening/screening.events.js';
import { type Answer, failed, type Seller, type Wish } from './seller.js';

type Db = Awaited<ReturnType<typeof openClient>>;

/** The statements by which purchase-command takes seats, of one buyer and of several. */
const ONE = { name: 'drill-hold-one', text: 'SELECT n, outcome, said FROM purchase_hold_one($1)' };
const ALL = { name: 'drill-hold', text: 'SELECT n, outcome, said FROM purchase_hold($1, $2, $3)' };

interface Row {
  n: number;
  outcome: string;
  said: { heldUntilAt: string } | string[] | null;
}

/** How the seats are asked for. */
export interface ClaimOptions {
  /** Of the role of purchase-command. */
  url: string;
  /** Connections on which statements run at a time; each buyer has its own when there are as many. */
  connections: number;
  /** Buyers in one statement, at most. */
  joint: number;
  /** How long a hold lasts, s. */
  holdSeconds: number;
}

interface Waiting {
  id: string;
  wish: Wish;
  answer: (answer: Answer) => void;
}

const PRICE = { area: 'standard', category: 'adult', amountMinor: 2400, taxMinor: 366 } as const;
const SHOW = {
  ...{ title: 'The Drill', cinemaName: 'Drill', city: 'Lima', auditoriumName: 'Sala 1', timeZone: 'America/Lima' },
  ...{ startAt: '2100-01-01T00:00:00.000Z', endAt: '2100-01-01T02:00:00.000Z', format: '2D', language: 'es' },
};
const TAX = { name: 'IGV', basisPoints: 1800 };

function requestOf({ id, wish: { screening, seats } }: Waiting, n: number, holdSeconds: number) {
  const money = { totalMinor: seats.length * PRICE.amountMinor, taxMinor: seats.length * PRICE.taxMinor, currency: 'PEN' };
  const body = { chain: screening, cinema: screening, screening, state: 'held', ...money };
  return {
    ...{ n, id, event: uuid(), screeningVersion: 1, seats, holdSeconds, overAt: '2100-01-01T02:00:00.000Z', keptSeconds: 0 },
    ...{ ...body, body, email: `${id}@drill.example`, lines: seats.map((seat) => ({ seat, ...PRICE })) },
    ...{ tax: TAX, show: { movie: screening, ...SHOW } },
  };
}

/** Takes seats in the database as purchase-command does, for one buyer at a time or jointly for those that wait. */
export class ClaimSeller implements Seller {
  private readonly queue: Waiting[] = [];

  private constructor(
    private readonly idle: Db[],
    private readonly options: ClaimOptions,
  ) {}

  static async open(options: ClaimOptions): Promise<ClaimSeller> {
    const { url, connections } = options;
    const all = await Promise.all(Array.from({ length: connections }, () => openClient(url, { name: 'drill-claims' })));
    return new ClaimSeller(all, options);
  }

  hold(wish: Wish): Promise<Answer> {
    return new Promise((answer) => {
      this.queue.push({ id: uuid(), wish, answer });
      this.serve();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.idle.map((db) => db.end()));
  }

  private serve() {
    while (this.queue.length > 0 && this.idle.length > 0) void this.call(this.idle.pop()!, this.together());
  }

  /** The first of those that wait, and after it all whose seats nobody before them names: one statement takes no seat twice. */
  private together(): Waiting[] {
    const named = new Set<string>();
    const together: Waiting[] = [];
    const later: Waiting[] = [];
    for (const each of this.queue.splice(0)) {
      const keys = each.wish.seats.map((seat) => `${each.wish.screening} ${seat}`);
      const isFree = together.length < this.options.joint && !keys.some((key) => named.has(key));
      for (const key of keys) named.add(key);
      (isFree ? together : later).push(each);
    }
    this.queue.push(...later);
    return together;
  }

  private async call(db: Db, together: readonly Waiting[]) {
    try {
      const requests = together.map((each, n) => requestOf(each, n, this.options.holdSeconds));
      const nobody = requests.map(() => null); // keys and buyers are not counted here
      const asked =
        requests.length === 1
          ? { ...ONE, values: [JSON.stringify(requests[0])] }
          : { ...ALL, values: [JSON.stringify(requests), nobody, nobody] };
      const { rows } = await db.query(asked);
      const found = new Map((rows as Row[]).map((row) => [row.n, row]));
      for (const [n, { id, answer }] of together.entries()) answer(answerOf(id, found.get(n)));
    } catch (error) {
      for (const { id, answer } of together) answer(failed(error, id));
    } finally {
      this.idle.push(db);
      this.serve();
    }
  }
}

function answerOf(purchase: string, row: Row | undefined): Answer {
  if (row?.outcome === 'held') return { outcome: 'held', purchase, until: (row.said as { heldUntilAt: string }).heldUntilAt };
  if (row?.outcome === 'taken') return { outcome: 'taken', taken: (row.said as string[] | null) ?? undefined };
  return { outcome: 'refused', error: row?.outcome ?? 'unanswered' };
}

/** Make screenings known to purchase-command as if their events had come, in its own tables. */
export async function makeKnown(url: string, screenings: readonly string[]): Promise<void> {
  const db = await openClient(url, { name: 'drill-screenings' });
  const state: Partial<ScreeningState> = { ...SHOW, format: '2D', currency: 'PEN' };
  try {
    await db.query(
      `INSERT INTO known_screening (id, version, removed, cinema, "startAt", cancelled, state)
       SELECT id, 1, false, id, $2, false, $3 FROM unnest($1::uuid[]) AS id`,
      [screenings, state.startAt, state],
    );
  } finally {
    await db.end();
  }
}
