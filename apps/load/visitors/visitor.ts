import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import { below } from '../check/figures.js';
import { type Ask, type Callers, parsed, type Reply, slugOf } from '../shop/http.js';
import { exponential, type Kind, type Profile, STEPS, type StepName } from './profile.js';

/** What is on, as the visitors find it. */
export interface Programme {
  cinemas: string[];
  screenings: { id: string; movie: string; title: string; cinema: string }[];
}

/** What is told of each request. */
export interface Seen {
  step: StepName;
  ms: number;
  /** The status, or 0 when no answer came. */
  status: number;
  /** What is wrong with it; a refusal that people meet is none. */
  fault?: string;
}

/** Where a visitor is. */
export interface Visit {
  callers: Callers;
  programme: Programme;
  luck: () => number;
  profile: Profile;
  seen: (seen: Seen) => void;
}

/** Refusals that belong to the business: seats are gone, holds are over. */
const USUAL = new Set(['seat-taken', 'screening-over', 'screening-cancelled', 'hold-expired', 'payment-declined']);

interface Page {
  items: { id: string; movie: string; title: string; cinema: string }[];
}

/** One person, from arrival to leaving. */
export class Visitor {
  private readonly screening: Programme['screenings'][0];
  private purchase?: { id: string; version: number; accessKey: string };

  constructor(private readonly visit: Visit) {
    const { programme, luck } = visit;
    this.screening = programme.screenings[below(luck, programme.screenings.length)]!;
  }

  /** Do what visitors of that kind do, until something does not go on. */
  async come({ steps }: Kind): Promise<void> {
    const { luck, profile } = this.visit;
    for (const [i, step] of steps.entries()) {
      if (i > 0) await sleep(Math.min(exponential(luck, profile.thinkMs.mean), profile.thinkMs.most));
      if (!(await this.do(step))) return;
    }
  }

  /** @returns whether to go on */
  private async do(step: StepName): Promise<boolean> {
    const startedMs = performance.now();
    const ask = this.requestOf(step);
    try {
      const reply = await this.visit.callers.ask(ask.path, { ...ask, method: STEPS[step].method });
      const ms = performance.now() - startedMs;
      const slug = reply.status >= 400 ? slugOf(reply) : undefined;
      const isUsual = slug === undefined || USUAL.has(slug);
      this.visit.seen({ step, ms, status: reply.status, fault: isUsual ? undefined : `${reply.status} ${slug}` });
      return slug === undefined && this.learn(step, reply);
    } catch (error) {
      const { code = (error as Error).name } = error as NodeJS.ErrnoException;
      this.visit.seen({ step, ms: performance.now() - startedMs, status: 0, fault: `no answer: ${code}` });
      return false;
    }
  }

  /** Remember what the next steps need. @returns whether there is something to go on with */
  private learn(step: StepName, reply: Reply): boolean {
    if (step === 'hold' || step === 'pay') {
      const { id, version, accessKey = this.purchase?.accessKey } = parsed<{ id: string; version: number; accessKey: string }>(reply); // prettier-ignore
      if (!id || !version || !accessKey) return false;
      this.purchase = { id, version, accessKey };
    }
    return true;
  }

  private requestOf(step: StepName): Ask & { path: string } {
    const { id, movie, cinema } = this.screening;
    const once = { 'idempotency-key': uuid() };
    const own = { 'access-key': this.purchase?.accessKey ?? '' };
    const bought = `/api/purchases/${this.purchase?.id}`;
    switch (step) {
      case 'cinemas':
        return { path: '/api/cinemas?limit=20' };
      case 'board':
        return { path: `/api/cinemas/${cinema}/board` };
      case 'programme':
        return { path: `/api/screenings?cinema=${cinema}&from=${encodeURIComponent(new Date().toISOString())}&limit=50` };
      case 'search':
        return { path: `/api/movies?q=${encodeURIComponent(this.word())}` };
      case 'movie':
        return { path: `/api/movies/${movie}` };
      case 'seats':
        return { path: `/api/screenings/${id}/seats` };
      case 'hold':
        return { path: '/api/purchases', headers: once, body: this.wish() };
      case 'pay':
        return { path: `${bought}/pay`, headers: { ...once, ...own }, body: { method: 'sandbox:approve' } };
      case 'tickets':
        return { path: bought, headers: { ...own, 'min-version': String(this.purchase?.version ?? 1) } };
      case 'cancel':
        return { path: `${bought}/cancel`, headers: { ...once, ...own } };
    }
  }

  private wish(): object {
    const adult = 1 + below(this.visit.luck, 4);
    return { screening: this.screening.id, best: { seats: { adult } }, email: `${uuid()}@drill.example` };
  }

  /** A word of the title, as people type it. */
  private word(): string {
    const words = this.screening.title.split(/\s+/).filter(({ length }) => length > 3);
    const word = words[below(this.visit.luck, words.length)] ?? this.screening.title;
    const at = 1 + below(this.visit.luck, Math.max(1, word.length - 1));
    return this.visit.luck() < 1 / 3 ? `${word.slice(0, at)}${word.slice(at + 1)}` : word;
  }
}

/** What is on from now on. @throws Error when there is nothing */
export async function programmeOf(callers: Callers): Promise<Programme> {
  const from = encodeURIComponent(new Date().toISOString());
  const { items = [] } = parsed<Page>(await callers.ask(`/api/screenings?from=${from}&sort=startAt&limit=100`));
  if (items.length === 0) throw new Error('there is nothing on there: npx mesh import demo, or --own');
  const screenings = items.map(({ id, movie, title, cinema }) => ({ id, movie, title, cinema }));
  return { screenings, cinemas: [...new Set(screenings.map(({ cinema }) => cinema))] };
}
