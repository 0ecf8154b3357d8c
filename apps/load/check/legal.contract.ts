import type { DeedValue, Entry } from './history.js';
import { below, seeded } from './figures.js';

/** A shop that sells one seat after the other and never makes a mistake: what a real one must look like. */
class Shop {
  private readonly owners = new Map<string, string>();
  private made = 0;

  constructor(private readonly luck: () => number) {}

  hold(value: DeedValue): Pick<Entry, 'type' | 'value'> {
    const taken = value.seats.filter((seat) => this.owners.has(`${value.screening} ${seat}`));
    if (taken.length > 0) return { type: 'fail', value: { ...value, error: 'seat-taken', taken } };
    const purchase = `p${++this.made}`;
    for (const seat of value.seats) this.owners.set(`${value.screening} ${seat}`, purchase);
    return { type: 'ok', value: { ...value, purchase } };
  }

  pay(value: DeedValue): Pick<Entry, 'type' | 'value'> {
    if (this.luck() < 0.3) return { type: 'fail', value: { ...value, error: 'payment-declined', isDeclined: true } };
    return { type: 'ok', value };
  }

  giveBack(value: DeedValue): Pick<Entry, 'type' | 'value'> {
    for (const seat of value.seats) this.owners.delete(`${value.screening} ${seat}`);
    return { type: 'ok', value };
  }
}

/** How a made history is. */
export interface LegalOptions {
  seed: number;
  buyers: number;
  deeds: number;
  seats: number;
  /** Of ten answers so many are lost, although the deed was done or will be. */
  lostOfTen?: number;
}

/** A buyer: idle, or between its call and the answer, done already or not. */
interface Buyer {
  process: number;
  has?: DeedValue;
  hasPaid?: boolean;
  now?: { f: Entry['f']; value: DeedValue; answer?: Pick<Entry, 'type' | 'value'> };
}

/** Buyers at a shop, and what is written down of them. */
class Market {
  readonly history: Entry[] = [];
  private readonly shop: Shop;

  constructor(
    private readonly luck: () => number,
    private readonly options: LegalOptions,
  ) {
    this.shop = new Shop(luck);
  }

  call(buyer: Buyer): void {
    const wantsToPay = this.luck() < 0.5 && !buyer.hasPaid;
    if (!buyer.has) buyer.now = { f: 'hold', value: { screening: 's', seats: this.seats() } };
    else if (wantsToPay) buyer.now = { f: 'pay', value: buyer.has };
    else buyer.now = { f: buyer.hasPaid ? 'refund' : 'cancel', value: buyer.has };
    this.write(buyer.process, { f: buyer.now.f, type: 'invoke', value: buyer.now.value });
  }

  happen({ now }: Buyer): void {
    if (now!.f === 'hold') now!.answer = this.shop.hold(now!.value);
    else if (now!.f === 'pay') now!.answer = this.shop.pay(now!.value);
    else now!.answer = this.shop.giveBack(now!.value);
  }

  tell(buyer: Buyer): void {
    const { buyers, lostOfTen = 0 } = this.options;
    const { f, answer } = buyer.now!;
    buyer.now = undefined;
    if (this.luck() * 10 < lostOfTen) {
      this.write(buyer.process, { f, type: 'info', value: {} as DeedValue });
      // Who was not told does not know what it has: it comes again as somebody else.
      Object.assign(buyer, { process: buyer.process + buyers, has: undefined, hasPaid: false });
      return;
    }
    this.write(buyer.process, { f, ...answer! });
    if (f === 'hold') buyer.has = answer!.type === 'ok' ? answer!.value : undefined;
    if (f === 'cancel' || f === 'refund') buyer.has = undefined;
    buyer.hasPaid = f === 'pay' && answer!.type === 'ok';
  }

  private seats(): string[] {
    const { seats } = this.options;
    const count = 1 + below(this.luck, Math.min(3, seats));
    const first = below(this.luck, seats - count + 1);
    return Array.from({ length: count }, (_, i) => `A${first + i}`);
  }

  private write(process: number, entry: Omit<Entry, 'process' | 'time'>) {
    this.history.push({ process, time: this.history.length * 1000, ...entry });
  }
}

/** Histories that a perfect shop could have: each deed takes effect at one moment between its call and its answer. */
export function legalHistory(options: LegalOptions): Entry[] {
  const luck = seeded(options.seed);
  const market = new Market(luck, options);
  const all: Buyer[] = Array.from({ length: options.buyers }, (_, process) => ({ process }));
  for (let called = 0; called < options.deeds || all.some(({ now }) => now);) {
    const buyer = all[below(luck, all.length)]!;
    if (buyer.now?.answer) market.tell(buyer);
    else if (buyer.now) market.happen(buyer);
    else if (called < options.deeds) {
      market.call(buyer);
      called++;
    }
  }
  return market.history;
}
