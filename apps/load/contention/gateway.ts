import { v7 as uuid } from 'uuid';
import { type Callers, parsed, slugOf } from '../shop/http.js';
import { guest } from '../shop/people.js';
import type { Bought } from '../shop/shopper.js';
import { insist } from '../shop/sure.js';
import type { Answer, Seller, Wish } from './seller.js';

/** A busy machine answers some with 503: they come again, with the same key. */
const PATIENCE = { pauseMs: 100, untilMs: 60_000 };

/** Takes seats through the public door, as a guest with an address of its own each time. */
export class GatewaySeller implements Seller {
  constructor(private readonly callers: Callers) {}

  async hold({ screening, seats }: Wish): Promise<Answer> {
    const { headers, body: who } = guest();
    const body = { screening, seats: seats.map((seat) => ({ seat, category: 'adult' })), ...who };
    const reply = await insist(this.callers, { path: '/api/purchases', key: uuid(), headers, body }, PATIENCE);
    if (!reply) return { outcome: 'unknown', error: 'unanswered' };
    const { id, heldUntilAt, taken } = parsed<Bought & { taken: string[] }>(reply);
    if (reply.status === 201) return { outcome: 'held', purchase: id!, until: heldUntilAt };
    const error = slugOf(reply);
    return error === 'seat-taken' ? { outcome: 'taken', taken } : { outcome: 'refused', error };
  }

  close(): Promise<void> {
    this.callers.close();
    return Promise.resolve();
  }
}
