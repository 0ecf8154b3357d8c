/** What a consumer can do wrong with an event. */
export type Fault = 'lost' | 'doubled' | 'swapped';

/** What is true after a drill: who was told what, what was written, and what came of it. */
export interface Facts {
  /** The highest version of each key that a writer was told is stored. */
  acknowledged: ReadonlyMap<string, number>;
  /** The version of each key that is stored. */
  stored: ReadonlyMap<string, number>;
  /** How often each key's counter was raised. */
  counted: ReadonlyMap<string, number>;
  /** The effects, in the order in which they happened. */
  journal: readonly { key: string; version: number }[];
}

/** What is wrong, at most one sentence for each key and kind; empty when all is well. */
export function faultsIn({ acknowledged, stored, counted, journal }: Facts): string[] {
  const faults: string[] = [];
  for (const [key, version] of acknowledged)
    if ((stored.get(key) ?? 0) < version) faults.push(`lost: ${key} was acknowledged at version ${version}, stored is ${stored.get(key) ?? 'nothing'}`); // prettier-ignore
  const effects = new Map<string, number[]>();
  for (const { key, version } of journal) effects.set(key, [...(effects.get(key) ?? []), version]);
  for (const [key, version] of stored) {
    const got = effects.get(key) ?? [];
    const times = new Map<number, number>();
    for (const each of got) times.set(each, (times.get(each) ?? 0) + 1);
    const missing = Array.from({ length: version }, (_, i) => i + 1).filter((each) => !times.has(each));
    const twice = [...times].filter(([, n]) => n > 1).map(([each]) => each);
    if (missing.length > 0) faults.push(`lost: ${key} has no effect of version ${some(missing)}`);
    if (twice.length > 0) faults.push(`doubled: ${key} has more than one effect of version ${some(twice)}`);
    if (got.some((each, i) => i > 0 && each < got[i - 1]!)) faults.push(`swapped: ${key} was handled out of order`);
    if ((counted.get(key) ?? 0) !== version) faults.push(`counted: ${key} is at version ${version}, its counter at ${counted.get(key) ?? 0}`); // prettier-ignore
  }
  for (const key of effects.keys()) if (!stored.has(key)) faults.push(`invented: ${key} has effects and was never written`);
  return faults;
}

/** More than this are told as a number. */
const MOST_TOLD = 5;
const some = (versions: readonly number[]) =>
  versions.slice(0, MOST_TOLD).join(', ') + (versions.length > MOST_TOLD ? ` and ${versions.length - MOST_TOLD} more` : '');
