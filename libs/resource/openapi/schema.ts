import type { Type } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { inputFields, isOptional, type Rule } from '../input.js';
import { columnsOf, type Kind } from '../list/list.js';
import type { Row, RowClass, ViewRow } from '../row.js';

/** A JSON Schema (2020-12), as OpenAPI 3.1 has it. */
export type Schema = Record<string, unknown>;

/** The schema of one value of a column. */
export const KINDS: Readonly<Record<Kind, Schema>> = {
  text: { type: 'string' },
  int: { type: 'integer' },
  number: { type: 'number' },
  boolean: { type: 'boolean' },
  date: { type: 'string', format: 'date' },
  instant: { type: 'string', format: 'date-time' },
  id: { type: 'string', format: 'uuid' },
  json: {},
};

/** Where `Shape` keeps what it says of a property. */
export const SHAPE = 'json-shape';

const shapeOf = (cls: Type, name: string): Schema => (Reflect.getMetadata(SHAPE, cls.prototype as object, name) ?? {}) as Schema;

/** A string, with what else is known of it. */
export const text = (also: Schema = {}): Schema => ({ type: 'string', ...also });

// Escapes that not every reader of JSON Schema knows; these say the same to all.
const portable = ({ source }: RegExp) => source.replaceAll('\\p{Cc}', '\\x00-\\x1f\\x7f-\\x9f');

/** What each validator means as a schema, by its name in class-validator. */
const RULES: Readonly<Record<string, (...args: never[]) => Schema>> = {
  isString: () => text(),
  isInt: () => ({ type: 'integer' }),
  isNumber: () => ({ type: 'number' }),
  isBoolean: () => ({ type: 'boolean' }),
  isArray: () => ({ type: 'array' }),
  isObject: () => ({ type: 'object' }),
  isUuid: () => text({ format: 'uuid' }),
  isEmail: () => text({ format: 'email' }),
  isUrl: () => text({ format: 'uri' }),
  isIso8601: () => text(),
  isDateString: () => text({ format: 'date-time' }),
  isNotEmpty: () => ({ minLength: 1 }),
  isLength: (minLength: number, maxLength?: number) => text({ minLength, maxLength }),
  minLength: (minLength: number) => text({ minLength }),
  maxLength: (maxLength: number) => text({ maxLength }),
  matches: (pattern: RegExp) => text({ pattern: portable(pattern) }),
  min: (minimum: number) => ({ minimum }),
  max: (maximum: number) => ({ maximum }),
  isIn: (values: readonly string[]) => ({ enum: [...values] }),
  arrayMinSize: (minItems: number) => ({ minItems }),
  arrayMaxSize: (maxItems: number) => ({ maxItems }),
  arrayUnique: () => ({ uniqueItems: true }),
};

const ruleSchema = ({ name, constraints }: Rule): Schema =>
  (RULES[name ?? ''] as ((...args: unknown[]) => Schema) | undefined)?.(...((constraints ?? []) as unknown[])) ?? {};

/** The class of the objects in a property: what `@Type` makes of an empty one. */
function nestedOf(cls: Type, name: string): Type | undefined {
  const made = (plainToInstance(cls, { [name]: {} }) as Record<string, unknown>)[name];
  const nested = typeof made === 'object' && made !== null ? (made.constructor as Type) : Object;
  return nested === Object ? undefined : (nested as Type);
}

/** The schema of one property, from its validators and, where they say too little, its column or `Shape`. */
function propertySchema(cls: Type, name: string, rules: readonly Rule[], column: Schema = {}): Schema {
  const isNested = rules.some(({ type }) => type === 'nestedValidation');
  const nestedClass = isNested ? nestedOf(cls, name) : undefined;
  const nested = nestedClass ? inputSchema(nestedClass) : {};
  const own = rules.filter(({ each }) => !each).map(ruleSchema);
  const items = rules.filter(({ each }) => each).map(ruleSchema);
  const whole = Object.assign({}, column, ...own, shapeOf(cls, name)) as Schema;
  const isList = items.length > 0 || whole.type === 'array';
  return isList
    ? { ...whole, type: 'array', items: Object.assign({}, whole.items, ...items, nested) as Schema }
    : { ...whole, ...nested };
}

function columnSchemas(cls: Type): Map<string, Schema> {
  const all = [...columnsOf(cls).values()].filter(({ isSelected }) => isSelected);
  return new Map(
    all.map(({ name, kind, isArray, values }) => {
      const one = { ...KINDS[kind], ...(values ? { enum: values } : {}), ...shapeOf(cls, name) };
      return [name, isArray ? { type: 'array', items: one } : one];
    }),
  );
}

/** What a caller may send to make a `row`; with `isPatch`, to change one. */
export function inputSchema(row: Type, isPatch = false): Schema {
  const columns = columnSchemas(row);
  const fields = [...inputFields(row)];
  const defaults = new row() as Record<string, unknown>;
  const properties = fields.map(([name, rules]) => {
    const schema = propertySchema(row, name, rules, columns.get(name));
    // What may be left out may be null; in a patch that clears it, or makes it what it is without.
    const clears = isOptional(rules) || (isPatch && defaults[name] !== undefined);
    return [name, clears ? { anyOf: [schema, { type: 'null' }] } : schema] as const;
  });
  const required = fields
    .filter(([name, rules]) => !isPatch && !isOptional(rules) && defaults[name] === undefined)
    .map(([name]) => name);
  const title = `${row.name}${isPatch ? 'Patch' : 'Input'}`;
  return { title, type: 'object', additionalProperties: false, properties: Object.fromEntries(properties), required };
}

const VERSIONED = { id: KINDS.id, version: { type: 'integer', minimum: 1 } };

/** What a command answers: the shown columns of `row`. */
export function answerSchema<T extends Row>(row: RowClass<T>): Schema {
  const columns = columnSchemas(row);
  const fields = inputFields(row);
  const shown = row.shown.map((name) => [name, propertySchema(row, name, fields.get(name) ?? [], columns.get(name))]);
  const facts = columnsOf(row);
  const always = row.shown.filter((name) => facts.get(name)?.isNullable === false);
  return {
    title: row.name,
    type: 'object',
    properties: { ...VERSIONED, ...Object.fromEntries(shown) },
    required: ['id', 'version', ...always],
  };
}

/** What a query answers: the columns of `view`; one without a value is left out. */
export function viewSchema(view: Type<ViewRow>): Schema {
  const nullable = [...columnsOf(view).values()].filter(({ isNullable }) => isNullable).map(({ name }) => name);
  const properties = Object.fromEntries(columnSchemas(view));
  const required = Object.keys(properties).filter((name) => !nullable.includes(name));
  return { title: view.name, type: 'object', properties: { ...properties, ...VERSIONED }, required };
}
