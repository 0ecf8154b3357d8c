import { listShape, objectShape, shapes, textShape } from '#resource';
import type { PurchaseProgress } from '../purchase.events.js';

// What is kept as JSON of a purchase, as OpenAPI says it: `purchase.events.ts` for those who read no TypeScript.
const { text, id, instant, whole } = shapes;
const MONEY = { ...whole, minimum: 0 };

/** The states of a purchase. */
export const PROGRESS: readonly PurchaseProgress[] = [
  ...(['held', 'paying', 'paid', 'refunded', 'exchanged', 'expired', 'cancelled'] as const),
];

/** Each JSON column by its name. */
export const columns = {
  lines: listShape(
    objectShape({
      seat: text,
      area: textShape(['standard', 'premium']),
      category: textShape(['adult', 'child', 'student', 'senior']),
      ...{ amountMinor: MONEY, taxMinor: MONEY },
    }),
  ),
  tax: objectShape({ name: text, basisPoints: { ...whole, description: 'Hundredths of a percent' } }),
  payment: objectShape(
    {
      id,
      provider: text,
      state: textShape(['pending', 'approved', 'declined']),
      redirectUrl: text,
      reason: text,
      reference: text,
    },
    ...['redirectUrl', 'reason', 'reference'],
  ),
  tickets: listShape(
    objectShape(
      { id, seat: text, code: { ...text, description: 'Compact JWS' }, admittedAt: instant, admittedBy: text },
      ...['admittedAt', 'admittedBy'],
    ),
  ),
  refund: objectShape(
    {
      ...{ id, amountMinor: MONEY, creditNote: whole, state: textShape(['pending', 'done']) },
      reason: textShape(['customer', 'screening-cancelled', 'late-approval', 'exchange', 'staff']),
    },
    'creditNote',
  ),
  show: objectShape({
    ...{ movie: id, title: text, cinemaName: text, city: text, auditoriumName: text, startAt: instant, endAt: instant },
    ...{ timeZone: text, format: text, language: text },
  }),
  history: listShape(objectShape({ at: instant, what: text, by: text, detail: text }, 'by', 'detail')),
} as const;
