import type { OpenAPIObject } from '@nestjs/swagger';
import { objectShape, shapes, textShape } from '#resource';
import { AREAS, CATEGORIES } from '../screening.rules.js';

type Schema = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string];

const SEATS: Schema = { type: 'array', items: { type: 'string', description: 'Row and number, `F3`' } };

const { text, whole } = shapes;

/** JSON Schema of the tax in prices. */
export const TAX = objectShape({ name: text, basisPoints: { ...whole, description: 'Hundredths of a percent' } });
/** What a seat of an area costs a category of visitor. */
export const PRICE = objectShape({ area: textShape(AREAS), category: textShape(CATEGORIES), amountMinor: whole });
/** The chain's rules of selling. */
export const POLICY = objectShape({
  ...{ holdSeconds: whole, seatsPerPurchase: whole, seatsHeldAtOnce: whole, refundUntilMinutes: whole },
});
/** A row of seats. */
export const ROW = objectShape({
  name: text,
  seats: { ...text, description: 's seat, w wheelchair, c companion, h house, x broken, . gap; capitals: premium' },
});

/** JSON Schema of a seat map. */
export const MAP_SCHEMA: Schema = {
  title: 'SeatMap',
  type: 'object',
  properties: {
    screening: { type: 'string', format: 'uuid' },
    version: { type: 'integer', minimum: 0 },
    at: { type: 'string', format: 'date-time' },
    layout: {
      type: 'array',
      description: 'Rows from the screen backwards',
      items: ROW,
    },
    taken: { type: 'object', properties: { sold: SEATS, held: SEATS }, required: ['sold', 'held'] },
    free: { type: 'integer', minimum: 0, description: 'How many seats can be bought' },
  },
  required: ['screening', 'version', 'at', 'layout', 'taken', 'free'],
};

/** What a stream is, as far as a schema can say it. */
export const STREAM_SCHEMA: Schema = {
  type: 'string',
  description:
    'Server-sent events; `seats` has `{ "free": [], "held": [], "sold": [] }`, and each `id` is the version of the map after it',
};
