import type { LayoutRow } from '../auditorium/auditorium.events.js';
import type { Price, Tax } from '../cinema/cinema.events.js';

/**
 * What the rest of the mesh may know about screenings: all that a seller needs, as it was when the screening was planned, so that no
 * sale asks another service. Owned here; others `import type` it.
 */
export interface ScreeningState {
  chain: string;
  cinema: string;
  auditorium: string;
  movie: string;
  /** Of the film. */
  title: string;
  /** Of the film, minutes. */
  minutes: number;
  /** Of the film. */
  rating?: string;
  cinemaName: string;
  city: string;
  auditoriumName: string;
  /** The cinema's, IANA. */
  timeZone: string;
  /** The cinema's, ISO 4217. */
  currency: string;
  tax: Tax;
  /** UTC, ISO 8601. */
  startAt: string;
  /** When the film is over, UTC, ISO 8601; the auditorium stays taken 20 minutes longer. */
  endAt: string;
  /** Spoken, BCP 47: `es`, `en`, `qu`. */
  language: string;
  /** BCP 47. */
  subtitles?: string;
  format: Format;
  layout: LayoutRow[];
  layoutVersion: number;
  /** Seats that can be sold. */
  capacity: number;
  prices: Price[];
  policy: SalesPolicy;
  /** Once cancelled: when, UTC, ISO 8601. */
  cancelledAt?: string;
  cancelReason?: string;
}

/** The chain's rules of selling, as they were when the screening was planned. */
export interface SalesPolicy {
  holdSeconds: number;
  seatsPerPurchase: number;
  seatsHeldAtOnce: number;
  refundUntilMinutes: number;
}

export type Format = '2D' | '3D' | 'IMAX' | '4DX';

export interface ScreeningEvents {
  'screening.created': ScreeningState;
  'screening.changed': ScreeningState;
  'screening.cancelled': ScreeningState;
}
