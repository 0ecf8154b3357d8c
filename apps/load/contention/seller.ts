/** Seats that a buyer asks for, all or none. */
export interface Wish {
  screening: string;
  seats: readonly string[];
}

/** What the buyer was told. */
export type Answer =
  /** `until`: when the hold lapses, UTC, ISO 8601. */
  | { outcome: 'held'; purchase: string; until?: string }
  /** `taken`: which of the seats, when it was told. */
  | { outcome: 'taken'; taken?: readonly string[] }
  /** Nothing was done; `error` is a problem's slug or an SQLSTATE. */
  | { outcome: 'refused'; error: string }
  /** It may have been done; `purchase` when we chose its id. */
  | { outcome: 'unknown'; error: string; purchase?: string };

/** Whoever gives seats to buyers. */
export interface Seller {
  /** @param buyer  0, 1, …; each does one thing at a time */
  hold(wish: Wish, buyer: number): Promise<Answer>;
  close(): Promise<void>;
}

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** What an error of the database tells a buyer: a statement that was refused did nothing; of a lost connection nobody knows. */
export function failed(error: unknown, purchase?: string): Answer {
  const { code = 'lost', severity } = error as { code?: string; severity?: string };
  return SQLSTATE.test(code) && severity === 'ERROR'
    ? { outcome: 'refused', error: code }
    : { outcome: 'unknown', error: code, purchase };
}
