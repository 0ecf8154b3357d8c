import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** What one key of a YAML file can hold. */
export type Scalar = string | number | boolean | null;
/** Values by their full key: `breaker.timeoutMs`, `film.genres[0]`. */
export type Flat = Record<string, Scalar>;

/** One origin of values, as Spring Cloud Config names them. */
export interface PropertySource {
  name: string;
  source: Flat;
}

/** What a configuration server answers to `/{application}/{profile}[/{label}]`. @source Spring Cloud Config */
export interface ConfigEnvironment {
  name: string;
  profiles: string[];
  label: string | null;
  version: string | null;
  state: string | null;
  /** The first that has a key wins. */
  propertySources: PropertySource[];
}

/** A tree of values as flat keys. An empty list or map has no key at all. */
export function flatten(tree: unknown, prefix = ''): Flat {
  if (Array.isArray(tree)) return Object.assign({}, ...tree.map((item, i) => flatten(item, `${prefix}[${i}]`))) as Flat;
  if (typeof tree === 'object' && tree !== null && !(tree instanceof Date)) {
    const parts = Object.entries(tree).map(([key, inner]) => flatten(inner, prefix ? `${prefix}.${key}` : key));
    return Object.assign({}, ...parts) as Flat;
  }
  return prefix ? { [prefix]: tree instanceof Date ? tree.toISOString() : (tree as Scalar) } : {};
}

/** Flat keys as a tree again. Keys that would reach a prototype are left out. */
export function unflatten(flat: Flat): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(flat)) {
    const path = key.split(/[.[\]]+/).filter(Boolean);
    if (path.some((part) => part === '__proto__' || part === 'constructor' || part === 'prototype')) continue;
    let at = root;
    path.forEach((part, i) => {
      if (i === path.length - 1) at[part] = value;
      else at = (at[part] ??= /^\d+$/.test(path[i + 1]!) ? [] : {}) as Record<string, unknown>;
    });
  }
  return root;
}

function readYaml(file: string): unknown {
  try {
    return parse(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    throw new Error(`${file} is not valid YAML: ${(error as Error).message}`, { cause: error });
  }
}

/** A file that was written so lately may be written again without a sign of it: clocks of file systems are coarse, ms. */
const COARSE_MS = 1000;

/** The files of a folder, each read again once it has changed. */
export class ConfigFiles {
  private readonly known = new Map<string, { stamp: string; source: Flat }>();

  constructor(private readonly dir: string) {}

  /**
   * Those that concern an application, the strongest first: its own for each profile, the shared for each profile, its own, the shared.
   * Of several profiles the last is the strongest.
   *
   * @throws Error naming the file that is not valid YAML
   * @source Spring Cloud Config, "Locating Remote Configuration Resources"
   */
  sources(application: string, profiles: readonly string[]): PropertySource[] {
    const names = [
      ...[...profiles].reverse().flatMap((profile) => [`${application}-${profile}`, `application-${profile}`]),
      application,
      'application',
    ];
    return [...new Set(names)].flatMap((name) => {
      const source = this.read(join(this.dir, `${name}.yml`));
      return source ? [{ name: `file:config/${name}.yml`, source }] : [];
    });
  }

  private read(file: string): Flat | undefined {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (!stat) return undefined;
    const stamp = `${stat.mtimeMs} ${stat.size} ${stat.ino}`;
    const known = this.known.get(file);
    if (known?.stamp === stamp) return known.source;
    const source = flatten(readYaml(file));
    if (Date.now() - stat.mtimeMs > COARSE_MS) this.known.set(file, { stamp, source });
    return source;
  }
}

/** The files of `dir` as they are now. @see ConfigFiles.sources */
export const fileSources = (dir: string, application: string, profiles: readonly string[]): PropertySource[] =>
  new ConfigFiles(dir).sources(application, profiles);

/** The value of each key and where it came from, the first source winning. A list is taken whole from the source that wins it. */
export function merge(sources: readonly PropertySource[]): Map<string, { value: Scalar; origin: string }> {
  const merged = new Map<string, { value: Scalar; origin: string }>();
  const listOwner = new Map<string, string>();
  for (const { name, source } of sources) {
    for (const [key, value] of Object.entries(source)) {
      const list = /^[^[]+(?=\[)/.exec(key)?.[0];
      if (list && (listOwner.get(list) ?? name) !== name) continue;
      if (list) listOwner.set(list, name);
      if (!merged.has(key)) merged.set(key, { value, origin: name });
    }
  }
  return merged;
}
