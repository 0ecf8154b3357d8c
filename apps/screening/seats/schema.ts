import type { OpenAPIObject } from '@nestjs/swagger';

type Schema = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string];

const SEATS: Schema = { type: 'array', items: { type: 'string', description: 'Row and number, `F3`' } };

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
      items: {
        type: 'object',
        properties: {
          name: { type: 'string' },
          seats: {
            type: 'string',
            description: 's seat, w wheelchair, c companion, h house, x broken, . gap; capitals: premium',
          },
        },
        required: ['name', 'seats'],
      },
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
