import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { publish } from '#bus';
import { Storage } from '#storage';
import { type TestMesh, type Told, until } from '#testing';
import { screeningState } from '../contract.js';
import type { SeatMap } from './seat-map.js';

/** One event of a stream. */
export interface Heard {
  event: string;
  id: number;
  data: Partial<SeatMap> & { free?: string[] | number; held?: string[]; sold?: string[] };
}

/** Somebody who reads a stream, and everything that was said on it. */
export class Reader {
  readonly heard: Heard[] = [];
  beats = 0;
  isOver = false;
  status = 0;
  private rest = '';

  private constructor(private readonly asked: ClientRequest) {}

  static async open(url: string, headers: Record<string, string> = {}): Promise<Reader> {
    const asked = request(url, { headers: { accept: 'text/event-stream', ...headers }, agent: false });
    const reader = new Reader(asked);
    asked.end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    reader.status = answer.statusCode!;
    answer.setEncoding('utf8').on('data', (chunk: string) => reader.take(chunk));
    answer.once('error', () => undefined).once('close', () => (reader.isOver = true));
    return reader;
  }

  /** The event of that number, once it is there. */
  async event(number: number): Promise<Heard> {
    await until(`event ${number} is heard`, () => this.heard.length > number);
    return this.heard[number]!;
  }

  leave(): void {
    this.asked.destroy();
  }

  private take(chunk: string): void {
    const parts = (this.rest + chunk).split('\n\n');
    this.rest = parts.pop()!;
    for (const part of parts) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(part)?.[1];
      if (field('event'))
        this.heard.push({ event: field('event')!, id: Number(field('id')), data: JSON.parse(field('data')!) as Heard['data'] }); // prettier-ignore
      else if (part === ':') this.beats++;
    }
  }
}

/** The seats of some screenings, as the query side alone has them. */
export class Seats {
  constructor(private readonly mesh: TestMesh) {}

  path(screening: string): string {
    return `/api/screenings/${screening}/seats`;
  }

  async map(screening: string): Promise<SeatMap> {
    return (await this.mesh.http('screening-query').get(this.path(screening)).expect(200)).body as SeatMap;
  }

  watch(screening: string, headers: Record<string, string> = {}, url = this.mesh.url('screening-query')): Promise<Reader> {
    return Reader.open(url + this.path(screening), headers);
  }

  async screening(): Promise<string> {
    const id = randomUUID();
    await this.publish([{ name: 'screening.created', key: id, body: screeningState() }]);
    const isThere = async () => (await this.mesh.http('screening-query').get(`/api/screenings/${id}`)).status === 200;
    await until('the screening is there', isThere);
    return id;
  }

  /** Tell what happened to purchases, and wait until all of it is folded by the one process there is. */
  async tell(...events: readonly Told[]): Promise<void> {
    const before = await this.folded();
    await this.publish(events);
    await until('all is folded', async () => (await this.folded()) >= before + events.length);
  }

  sql<T>(text: string, params: unknown[] = []): Promise<T[]> {
    return this.storage().query<T>(text, params);
  }

  /** Tell what happened, whoever folds it. */
  publish(events: readonly Told[]): Promise<void> {
    const at = new Date().toISOString();
    const told = events.map(({ version = 1, ...event }) => ({ ...event, version, id: randomUUID(), at }));
    return this.storage().transaction((tx) => publish(tx, told));
  }

  private storage(): Storage {
    return this.mesh.running('screening-query').app.get(Storage);
  }

  /** How many events of purchases were handled, by the process's own count. */
  private async folded(): Promise<number> {
    const { text } = await this.mesh.http('screening-query').get('/metrics');
    const counts = text.matchAll(/^bus_handled_events_total\{[^}]*event="purchase\.[^}]*\} (\d+)$/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  }
}
