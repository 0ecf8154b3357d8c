import type { PurchaseEvents, PurchaseProgress, PurchaseState } from '../../purchase/purchase.events.js';

/** What a purchase does to its seats. */
export type SeatState = 'free' | 'held' | 'sold';

const STATES: Readonly<Record<PurchaseProgress, SeatState>> = {
  ...{ held: 'held', paying: 'held', paid: 'sold' },
  ...{ refunded: 'free', exchanged: 'free', expired: 'free', cancelled: 'free' },
};

/** Every event of a purchase; each tells all of its state, so the last one of a key is enough. */
export const PURCHASE_EVENTS: readonly (keyof PurchaseEvents)[] = [
  ...(['purchase.held', 'purchase.paying', 'purchase.declined', 'purchase.paid', 'purchase.expired'] as const),
  ...(['purchase.cancelled', 'purchase.refunded', 'purchase.exchanged', 'purchase.admitted', 'purchase.changed'] as const),
];

/** What a purchase does to which seats, and until when; nothing of who it is. While it is being paid its seats stay held without an end. */
export const takenBy = ({ screening, lines, state, heldUntilAt }: PurchaseState) => ({
  ...{ screening, seats: lines.map(({ seat }) => seat), state: STATES[state] },
  until: state === 'held' ? heldUntilAt : undefined,
});

/** Seats that cannot be bought now. */
export interface Taken {
  sold: readonly string[];
  held: readonly string[];
}

/** Seats and what became of them. */
export interface SeatChanges {
  free: string[];
  held: string[];
  sold: string[];
}

/** What is told of some seats as they are now. */
export function changesOf(seats: Iterable<string>, { sold, held }: Taken): SeatChanges {
  const [isSold, isHeld] = [new Set(sold), new Set(held)];
  const changes: SeatChanges = { free: [], held: [], sold: [] };
  for (const seat of seats) (isSold.has(seat) ? changes.sold : isHeld.has(seat) ? changes.held : changes.free).push(seat);
  return changes;
}

/** What happened between two maps; undefined when nothing did. */
export function changesBetween(was: Taken, is: Taken): SeatChanges | undefined {
  const stateIn = ({ sold, held }: Taken) =>
    new Map<string, SeatState>([...held.map((seat) => [seat, 'held'] as const), ...sold.map((seat) => [seat, 'sold'] as const)]);
  const [before, now] = [stateIn(was), stateIn(is)];
  const changed = [...new Set([...before.keys(), ...now.keys()])].filter((seat) => before.get(seat) !== now.get(seat));
  return changed.length > 0 ? changesOf(changed, is) : undefined;
}
