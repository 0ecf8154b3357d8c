import type { Type } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { getMetadataStorage, IS_OPTIONAL, validate, type ValidationError, type ValidatorOptions } from 'class-validator';
import { type InputError, invalidInput } from '#problem';

type Json = Readonly<Record<string, unknown>>;
/** One validator of one property, as class-validator keeps it. */
export type Rule = ReturnType<ReturnType<typeof getMetadataStorage>['getTargetValidationMetadatas']>[number];

/** More wrong places than these are not listed: the answer to a body of nonsense must not be larger than the body. */
const MOST_ERRORS = 50;
const UNKNOWN = 'is not known, or cannot be set';

/** The validators of each property of `cls` that a caller can set. */
export function inputFields(cls: Type): Map<string, Rule[]> {
  const fields = new Map<string, Rule[]>();
  for (const rule of getMetadataStorage().getTargetValidationMetadatas(cls, '', false, false))
    fields.set(rule.propertyName, [...(fields.get(rule.propertyName) ?? []), rule]);
  return fields;
}

/** Whether a property with these validators may be left out or cleared. */
export const isOptional = (rules: readonly Rule[]): boolean => rules.some(({ name }) => name === IS_OPTIONAL);

/** Whether `value` is a JSON object: neither a list nor null. */
export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A member's name as a part of a pointer; of a long one its beginning. @source RFC 6901 §3 */
export const escaped = (name: string): string => name.slice(0, 200).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1');

/** class-validator begins its sentences with the property's name, which the pointer already says. */
const sentence = (message: string, property: string) =>
  message.startsWith(`${property} `) ? message.slice(property.length + 1) : message;

/**
 * What class-validator found, as places and sentences.
 *
 * @param parent  pointer to the object that was validated
 * @source RFC 6901 (pointers)
 */
export function inputErrors(found: readonly ValidationError[], parent = ''): InputError[] {
  return found.flatMap(({ property, value, constraints = {}, children = [] }) => {
    const pointer = `${parent}/${escaped(property)}`;
    const kinds = Object.entries(constraints);
    const said = kinds.map(([kind, message]) => (kind === 'whitelistValidation' ? UNKNOWN : sentence(message, property)));
    const own = kinds.length > 0 && value === undefined ? ['is required'] : said;
    return [...own.map((detail) => ({ pointer, detail })), ...inputErrors(children, pointer)];
  });
}

const refuse = (errors: InputError[]): never => {
  throw invalidInput(errors.slice(0, MOST_ERRORS));
};

const unknown = (name: string): InputError => ({ pointer: `/${escaped(name)}`, detail: UNKNOWN });

const STRICT: ValidatorOptions = { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: false };

/** `known` as a `cls`, and where it is not one; `only` is told of these properties and no others. */
async function check<T extends object>(cls: Type<T>, known: Json, only?: Json): Promise<[T, InputError[]]> {
  const input = plainToInstance(cls, known);
  const found = await validate(input, STRICT);
  return [input, inputErrors(only ? found.filter(({ property }) => Object.hasOwn(only, property)) : found)];
}

/** Without the members that are null: what may be left out may be said to be nothing, and is then left out. */
function leaveOut(input: object): void {
  for (const [name, value] of Object.entries(input)) {
    if (value === null) delete (input as Record<string, unknown>)[name];
    for (const each of [value].flat() as unknown[]) if (isMade(each)) leaveOut(each);
  }
}
/** Whether it is of a class of ours, not just JSON. */
const isMade = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && value.constructor !== Object && !Array.isArray(value);

/**
 * `body` as a new `cls`: only properties with validators, all of them right. A generic controller loses the class, and with it
 * the framework's own validation.
 *
 * @throws Problem `invalid-input` (400) with a pointer to each wrong place
 */
export async function readInput<T extends object>(cls: Type<T>, body: unknown): Promise<T> {
  if (!isObject(body)) return refuse([{ pointer: '', detail: 'must be a JSON object' }]);
  const fields = inputFields(cls);
  const names = Object.keys(body);
  const [input, errors] = await check(
    cls,
    Object.fromEntries(names.filter((name) => fields.has(name)).map((name) => [name, body[name]])),
  );
  const all = [...names.filter((name) => !fields.has(name)).map(unknown), ...errors];
  if (all.length) return refuse(all);
  leaveOut(input);
  return input;
}

/**
 * `target` changed by `patch`: members are replaced, null removes, objects are merged, everything else (lists too) is taken whole.
 *
 * @source RFC 7396 §2
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}

/**
 * What a merge patch changes of `current`: only the properties it names, each with its new value, null where it is cleared and has
 * no default.
 *
 * @throws Problem `invalid-input` (400) with a pointer to each wrong place; a required property cannot be cleared
 * @source RFC 7396
 */
export async function readPatch<T extends object>(cls: Type<T>, current: T, patch: unknown): Promise<Partial<T>> {
  if (!isObject(patch)) return refuse([{ pointer: '', detail: 'must be a JSON object: a merge patch' }]);
  const fields = inputFields(cls);
  const wrong: InputError[] = [];
  const defaults = new cls() as Json;
  const [merged, cleared]: [Record<string, unknown>, Record<string, null>] = [{}, {}];
  for (const [name, value] of Object.entries(patch)) {
    const rules = fields.get(name);
    if (!rules) wrong.push(unknown(name));
    else if (value !== null) merged[name] = mergePatch((current as Json)[name], value);
    else if (isOptional(rules)) cleared[name] = null;
    else if (defaults[name] !== undefined) merged[name] = defaults[name];
    else wrong.push({ pointer: `/${escaped(name)}`, detail: 'is required, so it cannot be cleared' });
  }
  // The validator's own ways to skip what is missing reach into nested objects, and let a patch take their required parts away.
  const [input, found] = await check(cls, merged, merged);
  if (wrong.length + found.length) return refuse([...wrong, ...found]);
  const changed = Object.keys(merged).map((name) => [name, (input as Json)[name]]);
  return { ...Object.fromEntries(changed), ...cleared } as Partial<T>;
}
