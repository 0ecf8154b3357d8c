import type { Area, Category, Tax } from '../cinema/cinema.events.js';

/** What the rest of the mesh may know about purchases; nothing of it tells who a person is. Owned here; others `import type` it. */
export interface PurchaseState {
  chain: string;
  cinema: string;
  screening: string;
  /** The user who bought; a guest's purchase has none, and an access key instead. */
  customer?: string;
  /** SHA-256 of a guest's access key, base64url. Views keep it out of sight. */
  accessKeyHash?: string;
  /** The member of staff who sold it at the box office. */
  soldBy?: string;
  state: PurchaseProgress;
  /** One for each seat. */
  lines: Line[];
  /** Tax included, minor units. */
  totalMinor: number;
  /** The tax in it, minor units. */
  taxMinor: number;
  tax: Tax;
  /** ISO 4217. */
  currency: string;
  /** While held: when its seats are free again unless it is being paid, UTC, ISO 8601. */
  heldUntilAt: string;
  payment?: Payment;
  /** Once paid: the receipt's number, without gaps in its cinema. */
  receipt?: number;
  paidAt?: string;
  tickets?: Ticket[];
  refund?: Refund;
  /** The purchase that this one was exchanged for. */
  exchangedFor?: string;
  /** The purchase that this one took the place of. */
  exchangeOf?: string;
  /** Of the film, the place and the time: what stands on a ticket. */
  show: Show;
  /** Everything that happened to it, the oldest first. */
  history: Step[];
}

export type PurchaseProgress = 'held' | 'paying' | 'paid' | 'refunded' | 'exchanged' | 'expired' | 'cancelled';

/** One seat and what it costs. */
export interface Line {
  seat: string;
  area: Area;
  category: Category;
  /** Tax included, minor units. */
  amountMinor: number;
  /** The tax in it, minor units. */
  taxMinor: number;
}

export interface Show {
  movie: string;
  title: string;
  cinemaName: string;
  city: string;
  auditoriumName: string;
  /** UTC, ISO 8601. */
  startAt: string;
  endAt: string;
  /** IANA. */
  timeZone: string;
  format: string;
  language: string;
}

/** The last attempt to pay. */
export interface Payment {
  id: string;
  provider: string;
  state: 'pending' | 'approved' | 'declined';
  /** Where the buyer goes on, while it is pending. */
  redirectUrl?: string;
  /** Why it was declined. */
  reason?: string;
  /** What the seller calls it, of seats that were sold elsewhere. */
  reference?: string;
}

/** Money on its way back to the payment it came by. */
export interface Refund {
  id: string;
  amountMinor: number;
  reason: RefundReason;
  state: 'pending' | 'done';
  /** The number of its credit note, without gaps in its cinema; none for money that came too late to become a sale. */
  creditNote?: number;
}
export type RefundReason = 'customer' | 'screening-cancelled' | 'late-approval' | 'exchange' | 'staff';

export interface Ticket {
  id: string;
  seat: string;
  /** Signed (JWS, Ed25519): the door believes it without asking. */
  code: string;
  /** When the door let it in, UTC, ISO 8601. */
  admittedAt?: string;
  /** The member of staff who scanned it. */
  admittedBy?: string;
}

/** One thing that happened. */
export interface Step {
  /** UTC, ISO 8601. */
  at: string;
  what: PurchaseDeed;
  /** The user who did it; none when nobody did, or a guest. */
  by?: string;
  /** In a few words, for people. */
  detail?: string;
}
export type PurchaseDeed =
  | 'held'
  | 'paying'
  | 'declined'
  | 'paid'
  | 'expired'
  | 'cancelled'
  | 'refunded'
  | 'refund-done'
  | 'late-approval'
  | 'exchanged'
  | 'admitted';

export interface PurchaseEvents {
  'purchase.held': PurchaseState;
  'purchase.paying': PurchaseState;
  'purchase.declined': PurchaseState;
  'purchase.paid': PurchaseState;
  'purchase.expired': PurchaseState;
  'purchase.cancelled': PurchaseState;
  'purchase.refunded': PurchaseState;
  'purchase.exchanged': PurchaseState;
  'purchase.admitted': PurchaseState;
  /** Nothing but its payment or refund moved on. */
  'purchase.changed': PurchaseState;
}
