import { randomUUID } from 'node:crypto';
import { Desk, type TestMesh, type Told } from '#testing';
import type { AuditoriumState, LayoutRow } from '../auditorium/auditorium.events.js';
import type { ChainState } from '../chain/chain.events.js';
import type { CinemaState } from '../cinema/cinema.events.js';
import type { MovieState } from '../movie/movie.events.js';
import type { PurchaseEvents, PurchaseProgress, PurchaseState } from '../purchase/purchase.events.js';
import type { ScreeningState } from './screening.events.js';

/** Two rows: A has a wheelchair place and a broken seat, B is premium. */
export const LAYOUT: LayoutRow[] = [
  { name: 'A', seats: 'ss.wx' },
  { name: 'B', seats: 'SSSS' },
];

/** A chain with a cinema, its auditorium and a film, as others have told of them. */
export class Place {
  readonly chain = randomUUID();
  readonly cinema = randomUUID();
  readonly auditorium = randomUUID();
  readonly movie = randomUUID();

  constructor(readonly desk: Desk) {}

  /** Tell of it all, and wait until the command side knows. */
  async open(over: Partial<CinemaState> = {}): Promise<this> {
    const chain: ChainState = {
      name: 'Manzana',
      holdSeconds: 480,
      seatsPerPurchase: 8,
      seatsHeldAtOnce: 16,
      refundUntilMinutes: 60,
    };
    const cinema: CinemaState = {
      ...{ chain: this.chain, name: 'Manzana Centro', city: 'Santiago', country: 'CL', address: 'Ahumada 1' },
      ...{ position: { latitude: -33.4, longitude: -70.6 }, timeZone: 'America/Santiago', currency: 'CLP', amenities: [] },
      ...{ tax: { name: 'IVA', basisPoints: 1900 }, priceCard: [{ area: 'standard', category: 'adult', amountMinor: 6000 }] },
      ...over,
    };
    await this.desk.tell(
      { name: 'chain.created', key: this.chain, body: chain },
      { name: 'cinema.created', key: this.cinema, body: cinema },
    );
    await this.addAuditorium(this.auditorium);
    await this.addFilm(this.movie);
    await this.desk.found('SELECT 1 FROM known_cinema WHERE id = $1', [this.cinema]);
    return this;
  }

  async addAuditorium(id: string = randomUUID()): Promise<string> {
    const body: AuditoriumState = {
      ...{ chain: this.chain, cinema: this.cinema, name: 'Sala 1', layout: LAYOUT, layoutVersion: 3, capacity: 7 },
    };
    await this.desk.tell({ name: 'auditorium.created', key: id, body });
    await this.desk.found('SELECT 1 FROM known_auditorium WHERE id = $1', [id]);
    return id;
  }

  async addFilm(id: string = randomUUID(), over: Partial<MovieState> = {}): Promise<string> {
    const body: MovieState = {
      title: 'Alien',
      minutes: 100,
      rating: 'R',
      releaseOn: '1979-05-25',
      genres: [],
      retired: false,
      ...over,
    };
    await this.desk.tell({ name: 'movie.created', key: id, body });
    await this.desk.found('SELECT 1 FROM known_movie WHERE id = $1', [id]);
    return id;
  }

  /** What a caller sends to plan one. */
  wanted(over: object = {}): object {
    return { movie: this.movie, auditorium: this.auditorium, startAt: inDays(10), language: 'en', format: '2D', ...over };
  }
}

/** An instant so many days from now, at a full hour. */
export const inDays = (days: number, minutes = 0): string =>
  new Date(Math.ceil((Date.now() + days * 86_400_000) / 3_600_000) * 3_600_000 + minutes * 60_000).toISOString();

/** A screening in `LAYOUT`, as its event tells it. */
export function screeningState(over: Partial<ScreeningState> = {}): ScreeningState {
  return {
    ...{ chain: randomUUID(), cinema: randomUUID(), auditorium: randomUUID(), movie: randomUUID(), title: 'Alien', minutes: 100 },
    ...{
      cinemaName: 'Manzana Centro',
      city: 'Santiago',
      auditoriumName: 'Sala 1',
      timeZone: 'America/Santiago',
      currency: 'CLP',
    },
    ...{
      tax: { name: 'IVA', basisPoints: 1900 },
      startAt: inDays(10),
      endAt: inDays(10, 100),
      language: 'en',
      format: '2D' as const,
    },
    ...{ layout: LAYOUT, layoutVersion: 3, capacity: 7, prices: [{ area: 'standard', category: 'adult', amountMinor: 6000 }] },
    ...{ policy: { holdSeconds: 480, seatsPerPurchase: 8, seatsHeldAtOnce: 16, refundUntilMinutes: 60 } },
    ...over,
  };
}

/** What happens to one purchase of seats, as its events tell it. */
export class Buyer {
  readonly id = randomUUID();

  constructor(
    private readonly screening: string,
    private readonly seats: readonly string[],
    /** Of what is held, ms from now. */
    private readonly holdMs = 480_000,
  ) {}

  told(version: number, state: PurchaseProgress, name: keyof PurchaseEvents = `purchase.${state}`): Told {
    const heldUntilAt = new Date(Date.now() + this.holdMs).toISOString();
    const lines = this.seats.map((seat) => ({
      ...{ seat, area: 'standard', category: 'adult' },
      amountMinor: 6000,
      taxMinor: 958,
    }));
    const body = { screening: this.screening, customer: randomUUID(), state, lines, heldUntilAt } as unknown as PurchaseState;
    return { name, key: this.id, version, body };
  }
}

/** The desk of an administrator who is bound to nothing. */
export const deskOf = async (mesh: TestMesh): Promise<Desk> => new Desk(mesh, 'screening', await mesh.bearer('chain-admin'));
