import { setTimeout as sleep } from 'node:timers/promises';
import { below } from '../check/figures.js';
import type { Deed, DeedValue, Recorder } from '../check/history.js';
import { Callers, parsed, type Reply, slugOf } from './http.js';
import type { Person } from './people.js';
import { attempt, insist, type Order, orderOf, type Patience } from './sure.js';

/** A purchase as it is answered. */
export interface Bought {
  id: string;
  state: string;
  heldUntilAt: string;
  accessKey?: string;
  lines: { seat: string }[];
  payment?: { state: string; redirectUrl?: string };
}

/** A purchase that somebody has. */
export interface Mine {
  person: Person;
  id: string;
  screening: string;
  seats: readonly string[];
  headers: Order['headers'];
}

/** A request that nobody answered: it is repeated with its key when all is over. */
export interface Unanswered {
  process: number;
  f: Deed;
  value: DeedValue;
  order: Order;
  person: Person;
}

/** Where shoppers shop, and what is written down of it. */
export interface Shop {
  callers: Callers;
  recorder: Recorder;
  patience: Patience;
  luck: () => number;
  /** Of a hundred requests that get no answer at once so many are not repeated before the end. */
  forgetful: number;
  unanswered: Unanswered[];
  /** Numbers of processes: of each shopper, and anew after what was not answered. */
  process: () => number;
  /** Told how long each request took to its last answer, ms. */
  took: (f: Deed, ms: number) => void;
}

const POLL_MS = 400;
/** Longer than the provider lets anybody wait, and than the poller that finds what it did not say. */
const SETTLED_WITHIN_MS = 90_000;

/** One that buys, step by step, and writes down what it asks and is told. */
export class Shopper {
  private number: number;

  constructor(
    private readonly shop: Shop,
    readonly person: Person,
  ) {
    this.number = shop.process();
  }

  /** Ask for seats. @returns the purchase, when it was told that it has them */
  async hold(screening: string, seats: readonly string[]): Promise<Mine | undefined> {
    const body = { screening, seats: seats.map((seat) => ({ seat, category: 'adult' })), ...this.person.body };
    const order = orderOf('/api/purchases', this.person.headers, body);
    const reply = await this.do('hold', { screening, seats }, order);
    return reply && purchaseOf(reply, this.person, screening);
  }

  /**
   * Pay, wait until it is settled, and decide at the provider's page where there is one.
   *
   * @returns what became of it: `paid`, the slug of a refusal, or undefined when nobody knows
   */
  async pay(mine: Mine, method: string): Promise<string | undefined> {
    const value = { screening: mine.screening, seats: mine.seats, purchase: mine.id };
    const order = orderOf(`/api/purchases/${mine.id}/pay`, mine.headers, { method });
    const { recorder } = this.shop;
    const calledMs = performance.now();
    recorder.write(this.number, 'invoke', 'pay', value);
    const settled = await this.settled(order);
    if (!settled) return void this.lose('pay', value, order);
    this.shop.took('pay', performance.now() - calledMs);
    return notePay(this.shop, this.number, value, settled);
  }

  /** Let an unpaid purchase go. @returns whether it was told that it is */
  async cancel(mine: Mine): Promise<boolean> {
    return (await this.doWith('cancel', mine))?.status === 200;
  }

  /** Give a paid one back. @returns whether it was told that it is */
  async refund(mine: Mine): Promise<boolean> {
    return (await this.doWith('refund', mine))?.status === 200;
  }

  /** Take other seats for a paid one. @returns the purchase that took its place */
  async exchange(mine: Mine, screening: string, seats: readonly string[]): Promise<Mine | undefined> {
    const { id: purchase } = mine;
    const body = { screening, seats: seats.map((seat) => ({ seat, category: 'adult' })) };
    const order = orderOf(`/api/purchases/${purchase}/exchange`, mine.headers, body);
    const from = { purchase, screening: mine.screening, seats: mine.seats };
    const reply = await this.do('exchange', { screening, seats, from }, order);
    const next = reply && purchaseOf(reply, mine.person, screening);
    // A guest keeps the key.
    return next && { ...next, headers: mine.headers };
  }

  private doWith(f: 'cancel' | 'refund', { id, screening, seats, headers }: Mine): Promise<Reply | undefined> {
    return this.do(f, { screening, seats, purchase: id }, orderOf(`/api/purchases/${id}/${f}`, headers));
  }

  private async do(f: Deed, value: DeedValue, order: Order): Promise<Reply | undefined> {
    const calledMs = performance.now();
    this.shop.recorder.write(this.number, 'invoke', f, value);
    const reply = await this.send(order);
    if (!reply) return void this.lose(f, value, order);
    this.shop.took(f, performance.now() - calledMs);
    note(this.shop, this.number, { f, value }, reply);
    return reply;
  }

  /** Insists on an answer, or, as people do, goes away when there is none. */
  private async send(order: Order): Promise<Reply | undefined> {
    const { callers, patience, luck, forgetful } = this.shop;
    const reply = await attempt(callers, order);
    return reply ?? (luck() * 100 < forgetful ? undefined : insist(callers, order, patience));
  }

  private async settled(order: Order): Promise<Reply | undefined> {
    const { callers, luck } = this.shop;
    let reply = await this.send(order);
    for (const end = performance.now() + SETTLED_WITHIN_MS; reply && isPaying(reply);) {
      if (performance.now() > end) return undefined;
      await decide(callers, reply, luck() < 0.8 ? 'approve' : 'decline');
      await sleep(POLL_MS);
      reply = (await insist(callers, order, this.shop.patience)) ?? undefined;
    }
    return reply;
  }

  /** What it asked for stays open; it goes on as somebody else. */
  private lose(f: Deed, value: DeedValue, order: Order): undefined {
    this.shop.unanswered.push({ process: this.number, f, value, order, person: this.person });
    this.number = this.shop.process();
  }
}

const isPaying = ({ status }: Reply) => status === 202;

/** The buyer's decision at the provider's page, when there is one; one that does not arrive is made again at the next look. */
export async function decide(callers: Callers, reply: Reply, answer: 'approve' | 'decline'): Promise<void> {
  const { redirectUrl } = parsed<Bought>(reply).payment ?? {};
  if (!redirectUrl) return;
  const { pathname } = new URL(redirectUrl);
  await callers.ask(pathname, { method: 'POST', form: { answer } }).catch(() => undefined);
}

/** What an answered hold or exchange says that somebody has. */
export function purchaseOf(reply: Reply, person: Person, screening: string): Mine | undefined {
  const { id, lines, accessKey } = parsed<Bought>(reply);
  if (reply.status !== 201 || !id || !lines) return undefined;
  const key: Record<string, string> = accessKey ? { 'access-key': accessKey } : {};
  const headers = async () => ({ ...(await person.headers()), ...key });
  return { person, id, screening, seats: lines.map(({ seat }) => seat), headers };
}

type Noted = Pick<Shop, 'recorder'>;

/** It was paid, whatever has become of it since. */
const WAS_PAID = new Set(['paid', 'refunded', 'exchanged']);

function notePay({ recorder }: Noted, process: number, value: DeedValue, reply: Reply): string {
  const { state = '' } = parsed<Bought>(reply);
  if (reply.status === 200 && WAS_PAID.has(state)) {
    recorder.write(process, 'ok', 'pay', value);
    return state;
  }
  // 200 also tells what has become of a payment that came to nothing, as when the screening was cancelled meanwhile.
  const error = reply.status === 200 ? state : slugOf(reply);
  const isDeclined = reply.status === 200 || error === 'payment-declined';
  recorder.write(process, 'fail', 'pay', { ...value, error, isDeclined });
  return error;
}

/** Write down what was answered. */
export function note(shop: Noted, process: number, { f, value }: { f: Deed; value: DeedValue }, reply: Reply): void {
  const { recorder } = shop;
  if (f === 'pay') return void notePay(shop, process, value, reply);
  if (reply.status >= 400) {
    const { taken } = parsed<{ taken: string[] }>(reply);
    return recorder.write(process, 'fail', f, { ...value, error: slugOf(reply), taken });
  }
  const { id, heldUntilAt } = parsed<Bought>(reply);
  const found = f === 'hold' ? { purchase: id, until: recorder.at(heldUntilAt!) } : f === 'exchange' ? { purchase: id } : {};
  recorder.write(process, 'ok', f, { ...value, ...found });
}

/** Seats side by side, from where chance will have it. */
export function sideBySide(luck: () => number, seats: readonly string[], most: number): string[] {
  const count = 1 + below(luck, most);
  const first = below(luck, seats.length - count + 1);
  return seats.slice(first, first + count);
}
