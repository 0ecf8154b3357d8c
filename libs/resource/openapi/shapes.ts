import type { Type } from '@nestjs/common';
import { inputSchema, type Schema, SHAPE } from './schema.js';

/** A string; with `values`, one of these. */
export const textShape = (values?: readonly string[]): Schema => ({ type: 'string', ...(values ? { enum: [...values] } : {}) });

/** A list of these. */
export const listShape = (items: Schema): Schema => ({ type: 'array', items });

/** An object with these members, of which the `optional` ones may be left out. */
export const objectShape = (properties: Readonly<Record<string, Schema>>, ...optional: readonly string[]): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
});

/** The shapes that most others are made of. */
export const shapes = {
  text: { type: 'string' },
  id: { type: 'string', format: 'uuid' },
  instant: { type: 'string', format: 'date-time' },
  day: { type: 'string', format: 'date' },
  whole: { type: 'integer' },
  yes: { type: 'boolean' },
} as const satisfies Record<string, Schema>;

/** What a JSON column, or a property of a body, holds: its type in TypeScript is gone at run time. */
export const Shape = (schema: Schema): PropertyDecorator => Reflect.metadata(SHAPE, schema);

/** A list of bodies that are each judged by themselves: one that is no `cls` costs the others nothing. */
export const ShapeEach = (cls: Type): PropertyDecorator =>
  Shape(listShape({ anyOf: [inputSchema(cls), { description: 'Anything else is refused, by itself' }] }));
