import { randomUUID } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { Storage } from '#storage';
import type { ServiceDefinition } from '#service';
import { Desk, startTestMesh, type TestMesh } from '#testing';
import { PurchaseCommand } from '../purchase.command.js';
import { Sales } from '../sales.js';
import type { HoldRequest } from './statement.js';

const HOUR_MS = 3_600_000;

/** What staff and chains of these specs are called. */
export const CHAIN = randomUUID();
export const CINEMA = randomUUID();

/** Of an answer only what these specs look at. */
export interface Bought {
  id: string;
  version: number;
  state: string;
  [field: string]: unknown;
}

/** A hall: rows A to D of plain seats, one of wheelchair places, companions, a house seat and a broken one, and premium ones. */
export const LAYOUT = [
  ...['A', 'B', 'C', 'D'].map((name) => ({ name, seats: 'ssssssssss' })),
  { name: 'E', seats: 'wc.hx' },
  { name: 'F', seats: 'SSSS' },
];

const at = (hours: number) => new Date(Date.now() + hours * HOUR_MS).toISOString();

/** A screening as others tell of it; it begins in a day. */
export const screening = (over: object = {}, startsInHours = 24) => ({
  ...{ chain: CHAIN, cinema: CINEMA, auditorium: randomUUID(), movie: randomUUID(), title: 'Alien', minutes: 117 },
  ...{ cinemaName: 'CineManzana Larcomar', city: 'Lima', auditoriumName: 'Sala 3', timeZone: 'America/Lima', currency: 'PEN' },
  ...{
    tax: { name: 'IGV', basisPoints: 1800 },
    startAt: at(startsInHours),
    endAt: at(startsInHours + 2),
    language: 'en',
    format: '2D',
  },
  ...{ layout: LAYOUT, layoutVersion: 1, capacity: 48 },
  prices: [
    { area: 'standard', category: 'adult', amountMinor: 2500 },
    { area: 'standard', category: 'child', amountMinor: 1500 },
    { area: 'premium', category: 'adult', amountMinor: 4000 },
  ],
  policy: { holdSeconds: 480, seatsPerPurchase: 8, seatsHeldAtOnce: 10, refundUntilMinutes: 60 },
  ...over,
});

/** What one who wants these seats says to the till. */
export const request = (screening: string, seats: readonly string[], over: Partial<HoldRequest> = {}): HoldRequest => ({
  ...{ id: uuidv7(), event: uuidv7(), screening, screeningVersion: 1, seats, holdSeconds: 480, keptSeconds: 60 },
  body: {
    ...{
      chain: CHAIN,
      cinema: CINEMA,
      screening,
      customer: randomUUID(),
      state: 'held',
      totalMinor: 0,
      taxMinor: 0,
      currency: 'PEN',
    },
    ...{ lines: seats.map((seat) => ({ seat })), tax: {}, show: {} },
  },
  overAt: new Date().toISOString(),
  ...over,
});

/** A cinema that sells, its staff, and those who buy. */
export class Hall {
  private constructor(
    readonly mesh: TestMesh,
    readonly desk: Desk,
    readonly cashier: string,
    readonly cashierId: string,
  ) {}

  /** @param beside  what runs with it */
  static async open(config: Record<string, string | number> = {}, beside: readonly ServiceDefinition[] = []): Promise<Hall> {
    const mesh = await startTestMesh({ processes: [PurchaseCommand, ...beside], config: { 'purchase.sweepMs': 100, ...config } });
    const cashierId = randomUUID();
    const desk = new Desk(mesh, 'purchase');
    const body = { user: cashierId, role: 'cashier', chain: CHAIN, cinemas: [CINEMA] };
    await desk.tell({ name: 'manager.created', key: randomUUID(), body });
    await desk.found('SELECT 1 FROM staff WHERE "user" = $1', [cashierId]);
    return new Hall(mesh, desk, await mesh.bearerFor({ id: cashierId, roles: ['cashier'] }), cashierId);
  }

  get sales(): Sales {
    return this.mesh.running('purchase-command').app.get(Sales);
  }

  get storage(): Storage {
    return this.mesh.running('purchase-command').app.get(Storage);
  }

  stop(): Promise<void> {
    return this.mesh.stop();
  }

  /** Plan a screening, and wait until it is on sale here. */
  async plan(over: object = {}, startsInHours = 24): Promise<string> {
    const id = randomUUID();
    await this.desk.tell({ name: 'screening.created', key: id, body: screening(over, startsInHours) });
    await this.desk.found('SELECT 1 FROM known_screening WHERE id = $1', [id]);
    return id;
  }

  /** Somebody who is signed in. */
  async customer(id: string = randomUUID()): Promise<Desk> {
    return this.desk.as(await this.mesh.bearerFor({ id, roles: ['customer'] }));
  }

  /** The answer to a request for these seats. */
  ask(desk: Desk, screening: string, seats: readonly string[], over: object = {}, key: string = randomUUID()) {
    const body = { screening, seats: seats.map((seat) => ({ seat, category: 'adult' })), ...over };
    return desk.post('', body, { 'idempotency-key': key });
  }

  /** These seats held, or an error that says why not. */
  async hold(desk: Desk, screening: string, seats: readonly string[], over: object = {}): Promise<Bought> {
    const { body } = await this.ask(desk, screening, seats, over).expect(201);
    return body as Bought;
  }

  /** `pay`, `cancel`, … of a purchase. */
  deed(desk: Desk, id: string, verb: string, body?: object, headers: Record<string, string> = {}) {
    return desk.post(`/${id}/${verb}`, body, { 'idempotency-key': randomUUID(), ...headers });
  }

  /** Held and paid at the box office. */
  async sell(screening: string, seats: readonly string[]): Promise<Bought> {
    const desk = this.desk.as(this.cashier);
    const { id } = await this.hold(desk, screening, seats);
    const { body } = await this.deed(desk, id, 'pay', { method: 'cash' }).expect(200);
    return body as Bought;
  }

  /** A purchase that waits for its provider, and its payment. */
  async paying(desk: Desk, screening: string, seats: readonly string[]): Promise<Bought & { payment: { id: string } }> {
    const { id } = await this.hold(desk, screening, seats);
    const { body } = await this.deed(desk, id, 'pay').expect(202);
    return body as Bought & { payment: { id: string } };
  }

  async row<T>(id: string): Promise<T> {
    const [row] = await this.desk.sql<T>('SELECT * FROM purchase WHERE id = $1', [id]);
    return row!;
  }

  /** Seats of a screening that somebody has now. */
  async claimed(screening: string): Promise<string[]> {
    const rows = await this.desk.sql<{ seat: string }>(
      'SELECT seat FROM seat_claim WHERE screening = $1 AND until > now() ORDER BY seat',
      [screening],
    );
    return rows.map(({ seat }) => seat);
  }
}
