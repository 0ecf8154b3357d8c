// The buyers, in a process of their own: as many at a time as they are told, each one request after the other or by the clock.
import { randomUUID } from 'node:crypto';
import { percentilesOf } from '../check/figures.js';
import { given, hear, tell } from '../child.js';
import { type Answered, Wire } from './wire.js';

/** What buyers do for a while. */
export interface Rush {
  /** Requests under way at a time; with `perSecond` at most so many. */
  clients: number;
  ms: number;
  screenings: readonly string[];
  /** The seats of each screening, which are asked for by turns; the first of them comes `from`th. */
  seats: readonly string[];
  from: number;
  /** They arrive by the clock, whether or not others are answered. */
  perSecond?: number;
}

/** What came of it. */
export interface RushResult {
  answers: number;
  seconds: number;
  /** How often each status was answered. */
  statuses: Record<string, number>;
  /** From when it was due to its answer. */
  ms: ReturnType<typeof percentilesOf>;
  /** The last refusal's body. */
  refusal?: string;
  /** Of a core that asking took, percent. */
  ownPercent: number;
}

const { url } = given();
const { port, host } = new URL(url);

const run = randomUUID().slice(0, 8);
const made = { requests: 0 };

/** The text of a request of a guest that is nobody else's, for one seat. */
function requestFor(screening: string, seat: string): string {
  const body = `{"screening":"${screening}","seats":[{"seat":"${seat}","category":"adult"}],"email":"b${++made.requests}-${run}@till.example"}`;
  return (
    `POST /api/purchases HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAccept: application/json\r\n` +
    `Idempotency-Key: ${randomUUID()}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  );
}

class Crowd {
  private readonly statuses = new Map<number, number>();
  private readonly timesMs: number[] = [];
  private next: number;
  private refusal?: string;

  constructor(private readonly rush: Rush) {
    this.next = rush.from;
  }

  /** Each asks again as soon as it was answered. */
  async inTurns(wires: readonly Wire[], untilMs: number): Promise<void> {
    const each = async (wire: Wire) => {
      while (performance.now() < untilMs) await this.ask(wire, performance.now());
    };
    await Promise.all(wires.map(each));
  }

  /** They come by the clock, evenly; who finds no wire free waits, and that counts. */
  async paced(wires: readonly Wire[], untilMs: number, perSecond: number): Promise<void> {
    const [free, due, startedMs] = [[...wires], [] as number[], performance.now()];
    const under = new Set<Promise<void>>();
    const serve = () => {
      while (due.length > 0 && free.length > 0) {
        const wire = free.shift()!; // the one that was idle longest, or the server would close it
        const asked = this.ask(wire, due.shift()!).finally(() => {
          under.delete(asked);
          free.push(wire);
          serve();
        });
        under.add(asked);
      }
    };
    for (let n = 0; performance.now() < untilMs; await new Promise((soon) => setTimeout(soon, 1))) {
      for (; startedMs + (n * 1000) / perSecond <= performance.now(); n++) due.push(startedMs + (n * 1000) / perSecond);
      serve();
    }
    while (due.length > 0 || under.size > 0) await Promise.all(under);
  }

  result(seconds: number, ownPercent: number): RushResult {
    const statuses = Object.fromEntries(this.statuses);
    const { length: answers } = this.timesMs;
    return { answers, seconds, statuses, ms: percentilesOf(this.timesMs), refusal: this.refusal, ownPercent };
  }

  private ask(wire: Wire, dueMs: number): Promise<void> {
    const { screenings, seats } = this.rush;
    const n = this.next++;
    const screening = screenings[n % screenings.length]!;
    const seat = seats[Math.floor(n / screenings.length) % seats.length]!;
    return new Promise((done, failed) => {
      const answered: Answered = (status, body) => {
        this.timesMs.push(performance.now() - dueMs);
        this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
        if (status >= 400) this.refusal = body;
        done();
      };
      wire.ask(requestFor(screening, seat), answered, failed);
    });
  }
}

async function rush(wish: Rush): Promise<RushResult> {
  const { clients, ms, perSecond } = wish;
  const wires = await Promise.all(Array.from({ length: clients }, () => Wire.open(Number(port))));
  const crowd = new Crowd(wish);
  const [startedMs, before] = [performance.now(), process.cpuUsage()];
  await (perSecond ? crowd.paced(wires, startedMs + ms, perSecond) : crowd.inTurns(wires, startedMs + ms));
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(before);
  for (const wire of wires) wire.close();
  return crowd.result(seconds, Math.round((user + system) / 1e4 / seconds));
}

hear(({ said, wish }) => {
  if (said !== 'rush') return;
  void rush(wish as Rush).then(
    (result) => tell({ said: 'over', result }),
    (error: unknown) => tell({ said: 'over', error: String(error) }),
  );
});
tell({ said: 'ready' });
