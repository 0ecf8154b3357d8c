import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { type EmbeddedPostgres, openClient, prepareDatabase, removePostgres, startPostgres } from '#postgres';
import type { ScreeningState } from '../../screening/screening.events.js';
import type { Sample } from './limit.js';
import { LIMIT_TABLES } from './limit.js';
import { NAME } from './process.js';

const ROWS = 'ABCDEFGHIJKLMNOPQRST';
const SEATS_OF_ROW = 20;
/** The seats of each screening, all of one kind. */
export const SEATS: readonly string[] = [...ROWS].flatMap((row) =>
  Array.from({ length: SEATS_OF_ROW }, (_, at) => `${row}${at + 1}`),
);
/** None that any hall has, by its very form: it is refused before the database is asked. */
export const NO_SEAT = 'Z';

const DAY_MS = 86_400_000;
const CHAIN = uuid();

function screening(): ScreeningState {
  const startAt = new Date(Date.now() + DAY_MS);
  return {
    ...{ chain: CHAIN, cinema: CHAIN, auditorium: CHAIN, movie: CHAIN, title: 'The Till', minutes: 117, cinemaName: 'CineManzana Larcomar' },
    ...{ city: 'Lima', auditoriumName: 'Sala 3', timeZone: 'America/Lima', currency: 'PEN', tax: { name: 'IGV', basisPoints: 1800 } },
    ...{ startAt: startAt.toISOString(), endAt: new Date(startAt.getTime() + DAY_MS / 12).toISOString(), language: 'es', format: '2D' },
    ...{ layout: [...ROWS].map((name) => ({ name, seats: 's'.repeat(SEATS_OF_ROW) })), layoutVersion: 1, capacity: SEATS.length },
    prices: [{ area: 'standard', category: 'adult', amountMinor: 2400 }],
    policy: { holdSeconds: 480, seatsPerPurchase: 8, seatsHeldAtOnce: 10, refundUntilMinutes: 60 },
  }; // prettier-ignore
}

/** What the process writes of one seat, so that the limit writes as much. */
function sampleOf({ title, cinemaName, city, auditoriumName, startAt, endAt, timeZone, format, language, movie }: ScreeningState): Sample {
  const lines = [{ seat: 'A12', area: 'standard', category: 'adult', amountMinor: 2400, taxMinor: 366 }];
  const tax = { name: 'IGV', basisPoints: 1800 };
  const show = { movie, title, cinemaName, city, auditoriumName, startAt, endAt, timeZone, format, language };
  const history = [{ at: startAt, what: 'held' }];
  const event = {
    ...{ accessKeyHash: 'ixW1wq8CkRXmkmVPaLzdxZgZVIrj0Xb8yRDO7dH5a5Q', heldUntilAt: startAt, history, chain: CHAIN, cinema: CHAIN },
    ...{ screening: CHAIN, state: 'held', lines, totalMinor: 2400, taxMinor: 366, tax, currency: 'PEN', show },
  };
  const text = (value: unknown) => JSON.stringify(value);
  return { chain: CHAIN, lines: text(lines), tax: text(tax), show: text(show), history: text(history), event: text(event) };
} // prettier-ignore

/** A PostgreSQL of the bench's own, every commit on disk, in a folder that goes with it. */
export class Stage {
  private constructor(
    readonly home: string,
    private readonly server: EmbeddedPostgres,
  ) {}

  static async open(): Promise<Stage> {
    const home = mkdtempSync(join(tmpdir(), 'cinemanzana-till-'));
    const server = await startPostgres({ dir: join(home, 'postgres') });
    await prepareDatabase(server.url(), { processes: [NAME], secretsDir: join(home, 'secrets') });
    return new Stage(home, server);
  }

  get url(): string {
    return this.server.url();
  }

  /** Once the process has made its tables: the tables of the limit beside them. @returns what is written there */
  async prepareLimit(): Promise<Sample> {
    await this.query(LIMIT_TABLES);
    return sampleOf(screening());
  }

  /** Screenings that the process may sell, as if their events had come. @returns their ids */
  async sell(count: number): Promise<string[]> {
    const state = screening();
    const ids = Array.from({ length: count }, () => uuid());
    await this.query(
      `INSERT INTO purchase_command.known_screening (id, version, removed, cinema, "startAt", cancelled, state)
       SELECT id, 1, false, $2, $3, false, $4 FROM unnest($1::uuid[]) AS id`,
      [ids, state.cinema, state.startAt, state],
    );
    return ids;
  }

  /** How many seats are held in the process's tables. */
  async held(): Promise<number> {
    const [row] = await this.query('SELECT count(*)::int AS held FROM purchase_command.seat_claim');
    return (row as { held: number }).held;
  }

  async close(): Promise<void> {
    await this.server.stop();
    await removePostgres(join(this.home, 'postgres'));
    rmSync(this.home, { recursive: true, force: true });
  }

  private async query(sql: string, values?: unknown[]): Promise<unknown[]> {
    const db = await openClient(this.url, { name: 'bench-till' });
    try {
      return (await db.query(sql, values)).rows as unknown[];
    } finally {
      await db.end();
    }
  }
}
