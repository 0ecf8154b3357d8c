import type { Type } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { getMetadataStorage } from 'class-validator';
import { inputFields, isObject, type Rule } from '../input.js';

/** Makes an input of a body that is right. Of any other it says nothing: the thorough way finds what is wrong, and the words for it. */
export type Quick<T> = (body: unknown) => T | undefined;

type Fields = Record<string, unknown>;
/** Whether a property of an object is right. */
type Test = (value: unknown, object: object) => boolean;

/** What is to be done with one property. */
interface Part {
  /** Whether it is looked at: what may be left out is not when it is. */
  isLookedAt: Test;
  isRight: Test;
  /** Of a property whose objects are of a class of ours: an object as one. */
  make?: Quick<object>;
}

const all =
  (tests: readonly Test[]): Test =>
  (value, object) =>
    tests.every((test) => test(value, object));

/** One rule as a test; undefined of those that it takes the thorough way to know. */
function testOf({ type, constraintCls, constraints, propertyName: property, each, groups, validateIf }: Rule): Test | undefined {
  const found = getMetadataStorage().getTargetValidatorConstraints(constraintCls);
  if (type !== 'customValidation' || groups?.length || validateIf || found.some(({ async: isLate }) => isLate)) return undefined;
  const validators = found.map(({ instance }) => instance);
  return (value, object) => {
    const said = { targetName: object.constructor.name, property, object, value, constraints };
    const isRight = (one: unknown) => validators.every((validator) => validator.validate(one, said) === true);
    return each && Array.isArray(value) ? value.every(isRight) : isRight(value);
  };
}

/** The class of which class-transformer makes the objects of a property: `Object` when it leaves them as they are. */
function classMadeBy(cls: Type, name: string): Type | undefined {
  const made = (plainToInstance(cls, { [name]: {} }) as Fields)[name];
  return isObject(made) ? (made.constructor as Type) : undefined;
}

function partOf(cls: Type, name: string, rules: readonly Rule[], within: readonly Type[]): Part | undefined {
  const of = (type: string) => rules.filter((rule) => rule.type === type);
  const [conditions, nested] = [of('conditionalValidation'), of('nestedValidation')];
  const tests = rules.filter(({ type }) => !['conditionalValidation', 'nestedValidation', 'whitelistValidation'].includes(type)).map(testOf);
  const made = classMadeBy(cls, name);
  const isMade = made !== Object;
  // A property of the class itself may do anything when it is set.
  if (made === undefined || isMade !== nested.length > 0 || tests.includes(undefined) || name in (cls.prototype as object))
    return undefined;
  const make = isMade ? quickOf(made, within) : undefined;
  if (isMade && !make) return undefined;
  const asks = conditions.map(({ constraints }) => constraints[0] as (object: object, value: unknown) => boolean);
  const isLookedAt: Test = (value, object) => asks.every((ask) => ask(object, value));
  return { isLookedAt, isRight: all(tests as Test[]), make };
} // prettier-ignore

/** The value of a property whose objects are to be made; undefined when one is wrong. */
function madeOf(make: Quick<object>, value: unknown): unknown {
  if (!Array.isArray(value)) return make(value);
  const made = value.map(make);
  return made.includes(undefined) ? undefined : made;
}

/**
 * The quick way for bodies of a class, by the rules of its decorators: they are looked up once, not with every body.
 *
 * @param within  the classes whose parts it is of; one that contains itself has no end
 * @returns undefined when a class has a rule that only the thorough way knows
 */
export function quickOf<T extends object>(cls: Type<T>, within: readonly Type[] = []): Quick<T> | undefined {
  if (within.includes(cls)) return undefined;
  const fields = inputFields(cls);
  const parts = new Map<string, Part>();
  for (const [name, rules] of fields) {
    const part = partOf(cls, name, rules, [...within, cls]);
    if (!part) return undefined;
    parts.set(name, part);
  }
  // What an object has from the start must have rules as well.
  if (parts.size === 0 || Object.keys(new cls()).some((name) => !parts.has(name))) return undefined;
  return (body) => {
    if (!isObject(body)) return undefined;
    const input = new cls();
    for (const name of Object.keys(body)) {
      const [part, value] = [parts.get(name), body[name]];
      const made = part?.make && value !== null ? madeOf(part.make, value) : value;
      if (!part || made === undefined) return undefined;
      (input as Fields)[name] = made;
    }
    for (const [name, { isLookedAt, isRight }] of parts) {
      const value = (input as Fields)[name];
      if (isLookedAt(value, input) && !isRight(value, input)) return undefined;
    }
    // What may be left out may be said to be nothing, and is then left out.
    for (const name of Object.keys(input)) if ((input as Fields)[name] === null) delete (input as Fields)[name];
    return input;
  };
}
