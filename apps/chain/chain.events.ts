/** What the rest of the mesh may know about chains. Owned here; others `import type` it. */
export interface ChainState {
  name: string;
  /** How long seats are held for a buyer before they are free again, seconds. */
  holdSeconds: number;
  /** Seats one purchase may have. */
  seatsPerPurchase: number;
  /** Seats one customer may hold unpaid at once, over all screenings. */
  seatsHeldAtOnce: number;
  /** A paid purchase is given back until so long before its screening, minutes. */
  refundUntilMinutes: number;
}

export interface ChainEvents {
  'chain.created': ChainState;
  'chain.changed': ChainState;
  'chain.removed': { id: string };
}
