/** How processes share Node processes: each inner list is one. */
export type Folding = string[][];

/**
 * Groups the processes as `--fold 'a,b;c'` asks: one for a and b, one for c, one for all not named.
 *
 * @param text    what was given, or undefined for all in one
 * @param names   every process there is
 * @throws Error naming a process that does not exist or is named twice
 */
export function parseFold(text: string | undefined, names: readonly string[]): Folding {
  const groups = (text ?? '')
    .split(';')
    .map((group) =>
      group
        .split(',')
        .map((name) => name.trim())
        .filter(Boolean),
    ) // prettier-ignore
    .filter((group) => group.length > 0);
  const named = groups.flat();
  const unknown = named.find((name) => !names.includes(name));
  if (unknown) throw new Error(`--fold: there is no process '${unknown}'. There are: ${names.join(', ')}`);
  const twice = named.find((name, i) => named.indexOf(name) !== i);
  if (twice) throw new Error(`--fold: '${twice}' is named twice`);
  const rest = names.filter((name) => !named.includes(name));
  return rest.length ? [...groups, rest] : groups;
}

/** Each process a Node process of its own. */
export const unfold = (names: readonly string[]): Folding => names.map((name) => [name]);

/** The folding in words: `folded`, `unfolded`, or the groups. */
export function describeFold(folding: Folding): string {
  if (folding.length === 1) return 'folded into one process';
  if (folding.every((group) => group.length === 1)) return 'each its own process';
  return `${folding.length} processes: ${folding.map((group) => group.join(' + ')).join('; ')}`;
}
