/** A table for people: columns as wide as their widest cell, the last one as it comes. */
export function columns(head: readonly string[], rows: readonly (readonly (string | number | undefined)[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => String(cell ?? '–')));
  const widths = head.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  return cells.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ').trimEnd()).join('\n'); // prettier-ignore
}

/** One line on standard output, which is what a command answers. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** The answer as JSON when asked, else as people read it. */
export function answer(json: boolean | undefined, value: unknown, text: () => string): void {
  print(json ? JSON.stringify(value, null, 2) : text());
}
