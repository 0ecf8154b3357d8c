import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { PurchaseState } from '../purchase.events.js';
import { Tickets } from '../ticket/ticket.js';

const HOUR_MS = 3_600_000;

/** A guest's purchase is read by a key; the rest of the mesh knows its hash. */
export const hashOf = (key: string): string => createHash('sha256').update(key).digest('base64url');

/** Two seats that somebody holds for a film of tomorrow, in Lima. */
export function heldPurchase(over: Partial<PurchaseState> = {}): PurchaseState & { id: string } {
  const [start, end] = [24, 26].map((hours) => new Date(Date.now() + hours * HOUR_MS).toISOString());
  return {
    ...{ id: uuidv7(), chain: uuidv7(), cinema: uuidv7(), screening: uuidv7(), state: 'held' },
    lines: [
      { seat: 'F3', area: 'standard', category: 'adult', amountMinor: 2500, taxMinor: 381 },
      { seat: 'F4', area: 'premium', category: 'child', amountMinor: 1800, taxMinor: 275 },
    ],
    ...{ totalMinor: 4300, taxMinor: 656, tax: { name: 'IGV', basisPoints: 1800 }, currency: 'PEN' },
    heldUntilAt: '2026-11-22T20:08:00.000Z',
    show: {
      ...{ movie: uuidv7(), title: 'Amélie', cinemaName: 'CineManzana Larcomar', city: 'Lima', auditoriumName: 'Sala 3' },
      ...{ startAt: start!, endAt: end!, timeZone: 'America/Lima', format: '2D', language: 'fr' },
    },
    history: [{ at: '2026-11-22T20:00:00.000Z', what: 'held' }],
    ...over,
  };
}

/** The same once it is paid, with its tickets. */
export async function paidPurchase(over: Partial<PurchaseState> = {}): Promise<PurchaseState & { id: string }> {
  const held = heldPurchase(over);
  const tickets = new Tickets();
  await tickets.onModuleInit();
  const paid = { state: 'paid', receipt: 1234, paidAt: '2026-11-22T20:03:00.000Z', tickets: await tickets.issue(held) } as const;
  const history = [...held.history, ...(['paying', 'paid'] as const).map((what) => ({ at: '2026-11-22T20:03:00.000Z', what }))];
  return { ...held, ...paid, tickets: [...paid.tickets], history, ...over };
}
