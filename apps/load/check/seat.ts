import type { Operation } from './history.js';
import { type Call, findStuck, type Model, type Stuck } from './linear.js';

/** What happens to one seat. */
export type SeatOp =
  | { do: 'take'; by: string }
  | { do: 'refused'; by: string }
  /** From now on its hold does not lapse: it is being paid. */
  | { do: 'fix'; by: string }
  /** The money was declined: it may lapse again, or has already. */
  | { do: 'unfix'; by: string }
  | { do: 'gone'; by: string }
  | { do: 'lapse'; by: string }
  /** By a cancel of what may have lapsed before; by a refund of what cannot have. */
  | { do: 'free'; by: string; isSold: boolean }
  /** An exchange takes a seat that is sold from the first moment. */
  | { do: 'buy'; by: string };

/** `free`, or who has it and how: `held:p1`, `fixed:p1`, `late:p1` when its time was over while it was being paid. */
export type SeatState = string;

const FREE = 'free';

/** The seat of a screening: free, held by a purchase until that lapses, or fixed since it is being paid or is sold. */
export const SEAT: Model<SeatState, SeatOp> = {
  initial: FREE,
  isRead: ({ do: what }) => what === 'refused' || what === 'gone',
  step(state, op) {
    const held = `held:${op.by}`;
    const fixed = `fixed:${op.by}`;
    const late = `late:${op.by}`;
    const isTheirs = state === held || state === fixed || state === late;
    switch (op.do) {
      case 'take':
        return state === FREE ? held : undefined;
      case 'buy':
        return state === FREE ? fixed : undefined;
      case 'refused':
        return state !== FREE && !isTheirs ? state : undefined;
      case 'fix':
        return state === held ? fixed : undefined;
      case 'unfix':
        return state === fixed ? held : state === late ? FREE : undefined;
      case 'gone':
        return state !== held ? state : undefined;
      case 'lapse':
        return state === held ? FREE : state === fixed ? late : state;
      case 'free':
        if (op.isSold) return state === fixed || state === late ? FREE : undefined;
        return isTheirs ? FREE : state;
    }
  },
};

/** The database's clock and ours may differ by so much when a hold lapses, ns. */
const SKEW_NS = 50e6;

type Calls = Map<string, Call<SeatOp>[]>;

/** Of each seat what was done to it, `screening seat`. */
class Seats {
  readonly calls: Calls = new Map();
  private unnamed = 0;

  constructor(private readonly holdNs: number) {}

  add({ f, type, value, calledAt, returnedAt }: Operation): void {
    const { screening, seats, error, isDeclined, from } = value;
    const by = value.purchase ?? `unknown-${++this.unnamed}`;
    const put = (op: SeatOp, on = seats, of = screening) => {
      for (const seat of on) this.put(`${of} ${seat}`, { op, calledAt, returnedAt });
    };
    if (f === 'hold' && type === 'fail' && error === 'seat-taken') {
      // Which of several it was is known only when the answer tells.
      put({ do: 'refused', by }, value.taken ?? (seats.length === 1 ? seats : []));
    }
    if (f === 'hold' && type !== 'fail') {
      put({ do: 'take', by });
      this.lapse(value.until ?? calledAt + this.holdNs, {
        by,
        screening,
        seats,
        isSure: type === 'ok' && value.until !== undefined,
      });
    }
    if (f === 'pay' && type !== 'fail') put({ do: 'fix', by });
    if (f === 'pay' && (type === 'info' || (type === 'fail' && isDeclined))) {
      if (type === 'fail') put({ do: 'fix', by });
      put({ do: 'unfix', by });
    }
    if (f === 'pay' && type === 'fail' && error === 'hold-expired') put({ do: 'gone', by });
    if ((f === 'cancel' || f === 'refund') && type !== 'fail') put({ do: 'free', by, isSold: f === 'refund' && type === 'ok' });
    if (f === 'exchange' && type !== 'fail' && from) {
      put({ do: 'buy', by });
      put({ do: 'free', by: from.purchase, isSold: true }, from.seats, from.screening);
    }
    if (f === 'exchange' && type === 'fail' && error === 'seat-taken') put({ do: 'refused', by }, value.taken ?? []);
  }

  private lapse(until: number, hold: { by: string; screening: string; seats: readonly string[]; isSure: boolean }) {
    if (until === Infinity) return;
    const returnedAt = hold.isSure ? until + SKEW_NS : Infinity;
    for (const seat of hold.seats)
      this.put(`${hold.screening} ${seat}`, { op: { do: 'lapse', by: hold.by }, calledAt: until - SKEW_NS, returnedAt });
  }

  private put(key: string, call: Call<SeatOp>) {
    const calls = this.calls.get(key);
    if (calls) calls.push(call);
    else this.calls.set(key, [call]);
  }
}

/** A seat whose story cannot be true. */
export interface SeatFault extends Stuck<SeatState, SeatOp> {
  /** `screening seat` */
  key: string;
  sentence: string;
}

const told: Readonly<Record<SeatOp['do'], string>> = {
  take: 'was given to',
  buy: 'was sold in exchange to',
  refused: 'was refused to',
  fix: 'was paid by',
  unfix: 'was declined to',
  gone: 'was said to have lapsed for',
  lapse: 'lapsed for',
  free: 'was given back by',
};

/**
 * Every seat whose answers cannot be explained by one seat that belongs to one purchase at a time.
 *
 * @param holdMs  how long a hold whose answer is not known lasts; for ever by default
 */
export function seatFaults(operations: readonly Operation[], holdMs = Infinity): SeatFault[] {
  const seats = new Seats(holdMs * 1e6);
  for (const operation of operations) seats.add(operation);
  const lastAt = operations.reduce(
    (last, { calledAt, returnedAt }) => Math.max(last, returnedAt === Infinity ? calledAt : returnedAt),
    0,
  );
  const faults: SeatFault[] = [];
  for (const [key, calls] of seats.calls) {
    // What lapses after the end is seen by nobody.
    const stuck = findStuck(
      SEAT,
      calls.filter(({ op, calledAt }) => op.do !== 'lapse' || calledAt <= lastAt),
    );
    if (!stuck) continue;
    const { op, returnedAt } = stuck.call;
    const states = stuck.states.join(' or ');
    const sentence = `${key} ${told[op.do]} ${op.by} until ${(returnedAt / 1e6).toFixed(1)} ms, but was ${states}`;
    faults.push({ key, sentence, ...stuck });
  }
  return faults;
}
