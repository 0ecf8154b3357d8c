import 'reflect-metadata';
import { plainToInstance } from 'class-transformer';
import { type ValidationError, validateSync } from 'class-validator';
import { merge, type PropertySource, unflatten } from './sources.js';

/** A class that `@Section` was put on. */
export type SectionClass<T extends object = object> = new () => T;
const SECTION = Symbol('section');

/**
 * A typed part of the configuration. Its fields are the keys under `name`, checked by class-validator.
 * A process refuses to start when one is wrong, and a running one keeps what it had.
 */
export const Section =
  (name: string) =>
  (cls: SectionClass): void =>
    Reflect.defineMetadata(SECTION, name, cls);

/** The name a section class was given. @throws Error when it has none: a bug */
export function sectionName(cls: SectionClass): string {
  const name = Reflect.getMetadata(SECTION, cls) as string | undefined;
  if (!name) throw new Error(`${cls.name} lacks @Section('…')`);
  return name;
}

/** A value that its section refuses. */
export interface ConfigFault {
  /** Full key, `breaker.timeoutMs`. */
  key: string;
  /** What is expected there. */
  expected: string;
  value: unknown;
  /** Where the value came from; undefined when the key is missing. */
  origin?: string;
}

/** One sentence for one fault. */
export const faultText = ({ key, expected, value, origin }: ConfigFault): string =>
  origin === undefined ? `${key} is missing: ${expected}` : `${key} is ${JSON.stringify(value)} in ${origin}: ${expected}`;

// Values out of .properties files and environment variables are text; the declared type of the field decides.
function coerce(cls: SectionClass, raw: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(raw).map(([key, value]) => {
      const type = Reflect.getMetadata('design:type', cls.prototype as object, key) as unknown;
      if (typeof value !== 'string') return [key, value];
      if (type === Number && value.trim() !== '' && !Number.isNaN(Number(value))) return [key, Number(value)];
      if (type === Boolean && (value === 'true' || value === 'false')) return [key, value === 'true'];
      return [key, value];
    }),
  );
}

function leaves(errors: ValidationError[], prefix: string): { key: string; expected: string; value: unknown }[] {
  return errors.flatMap(({ property, constraints, children, value }) => {
    const key = `${prefix}.${property}`;
    const own = constraints ? [{ key, expected: Object.values(constraints).join(', '), value: value as unknown }] : [];
    return [...own, ...leaves(children ?? [], key)];
  });
}

/** What was read of a section, and what is wrong with it. */
export interface ReadSection<T extends object = object> {
  cls: SectionClass<T>;
  section: T;
  faults: ConfigFault[];
}

/** Read sections out of the sources. */
export function readSections(classes: readonly SectionClass[], sources: readonly PropertySource[]): ReadSection[] {
  const merged = merge(sources);
  const tree = unflatten(Object.fromEntries([...merged].map(([key, { value }]) => [key, value])));
  return classes.map((cls) => readSection(cls, tree, merged));
}

function readSection<T extends object>(
  cls: SectionClass<T>,
  tree: Record<string, unknown>,
  merged: ReturnType<typeof merge>,
): ReadSection<T> {
  const name = sectionName(cls);
  const raw = (name.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], tree) ??
    {}) as Record<string, unknown>;
  const section = plainToInstance(cls, coerce(cls, raw));
  const errors = validateSync(section, { whitelist: true, forbidNonWhitelisted: true });
  const faults = leaves(errors, name).map((fault) => ({ ...fault, origin: merged.get(fault.key)?.origin }));
  return { cls, section, faults };
}
