import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import { Callers, parsed, type Reply } from './http.js';
import type { Person } from './people.js';

/** A token lives 300 s. */
const TOKEN_MS = 200_000;
/** For the events of what was just made to be known where it is referred to, ms. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 150;

/** Adult and child are enough to have two prices. */
const PRICES = [
  { area: 'standard', category: 'adult', amountMinor: 2400 },
  { area: 'standard', category: 'child', amountMinor: 1700 },
];

/** What is on. */
export interface Stage {
  chain: string;
  cinema: string;
  screenings: string[];
  /** The names of each one's seats. */
  seats: string[];
}

/** How it is set up. */
export interface StageOptions {
  seats: number;
  screenings: number;
  holdSeconds?: number;
}

const PER_ROW = 20;
const DAY_MS = 86_400_000;

const layoutOf = (seats: number) =>
  Array.from({ length: Math.ceil(seats / PER_ROW) }, (_, row) => ({
    name: String.fromCharCode(65 + row),
    seats: 's'.repeat(Math.min(PER_ROW, seats - row * PER_ROW)),
  }));

/** The command line's client as a chain's office: it sets up what a drill needs, by the public API. */
export class Staff {
  private readonly callers: Callers;
  private token?: { text: string; takenMs: number };

  constructor(
    gateway: string,
    private readonly secret: string,
  ) {
    this.callers = new Callers(gateway, 8);
  }

  /** Bring up a cinema with screenings from tomorrow on, and wait until they are on sale. */
  async stage({ seats, screenings, holdSeconds = 480 }: StageOptions): Promise<Stage> {
    const name = `Drill ${uuid().slice(-6)}`;
    const policy = { holdSeconds, seatsPerPurchase: 8, seatsHeldAtOnce: 50, refundUntilMinutes: 60 };
    const chain = await this.make('chains', { name, ...policy });
    const place = {
      name,
      city: 'Lima',
      country: 'PE',
      address: 'Av. del Ensayo 1',
      position: { latitude: -12.1, longitude: -77 },
    };
    const money = {
      timeZone: 'America/Lima',
      currency: 'PEN',
      tax: { name: 'IGV', basisPoints: 1800 },
      amenities: [],
      priceCard: PRICES,
    };
    const cinema = await this.make('cinemas', { chain, ...place, ...money });
    const movie = await this.make('movies', { title: name, releaseOn: '2020-01-01', minutes: 90 });
    const perAuditorium = Math.ceil(screenings / 4);
    const made: string[] = [];
    for (let first = 0; first < screenings; first += perAuditorium) {
      const layout = layoutOf(seats);
      const auditorium = await this.make('auditoriums', { cinema, name: `Sala ${first / perAuditorium + 1}`, layout });
      for (let n = 0; n < perAuditorium && made.length < screenings; n++) {
        const startAt = new Date(Date.now() + DAY_MS + n * 3 * 3_600_000).toISOString();
        made.push(await this.make('screenings', { movie, auditorium, startAt, language: 'es', format: '2D' }));
      }
    }
    return { chain, cinema, screenings: made, seats: layoutOf(seats).flatMap(({ name: row, seats: plan }) => [...plan].map((_, i) => `${row}${i + 1}`)) }; // prettier-ignore
  }

  /** POST as staff, as often as it takes; `what` may not be known there yet. */
  async make(what: string, body: object): Promise<string> {
    const reply = await this.post(`/api/${what}`, body);
    const { id } = parsed<{ id: string }>(reply);
    if (!id) throw new Error(`POST /api/${what} answers ${reply.status}: ${reply.text.slice(0, 500)}`);
    return id;
  }

  /** POST as staff; repeated with its key while it cannot be answered, or what it names is not known there yet. */
  async post(path: string, body?: object): Promise<Reply> {
    const key = uuid();
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const reply = await this.once(path, key, body).catch((error: Error) => error);
      const isAnswer = !(reply instanceof Error) && reply.status < 500 && ![404, 429].includes(reply.status) && !isEarly(reply);
      if (isAnswer) return reply;
      if (performance.now() > until) throw reply instanceof Error ? reply : new Error(`POST ${path} answers ${reply.status}: ${reply.text.slice(0, 500)}`); // prettier-ignore
      await sleep(LOOK_MS);
    }
  }

  /** The box office as one who buys: it sells to who stands before it, and may take cash. */
  boxOffice(): Person {
    return { headers: async () => ({ authorization: `Bearer ${await this.bearer()}` }), body: {} };
  }

  close(): void {
    this.callers.close();
  }

  private async once(path: string, key: string, body?: object): Promise<Reply> {
    const headers = { authorization: `Bearer ${await this.bearer()}`, 'idempotency-key': key };
    return this.callers.ask(path, { method: 'POST', headers, body });
  }

  private async bearer(): Promise<string> {
    if (this.token && performance.now() - this.token.takenMs < TOKEN_MS) return this.token.text;
    const basic = Buffer.from(`mesh-cli:${this.secret}`).toString('base64');
    const how = { method: 'POST', headers: { authorization: `Basic ${basic}` }, form: { grant_type: 'client_credentials' } };
    const reply = await this.callers.ask('/oauth/token', how);
    const { access_token: text } = parsed<{ access_token: string }>(reply);
    if (!text) throw new Error(`there is no token: ${reply.status} ${reply.text.slice(0, 200)}`);
    this.token = { text, takenMs: performance.now() };
    return text;
  }
}

const REFERENCES = /^\/(chain|cinema|movie|auditorium|screening)\b/;

/** What the body refers to is not known there yet: its event is on its way. */
function isEarly(reply: Reply): boolean {
  const { errors = [] } = parsed<{ errors: { pointer: string }[] }>(reply);
  return reply.status === 400 && errors.length > 0 && errors.every(({ pointer }) => REFERENCES.test(pointer));
}
