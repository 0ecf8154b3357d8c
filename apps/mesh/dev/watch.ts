import { watch as watchFolder, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** An editor writes a file in several steps, and saves several files at once: all of it within this, ms. */
const SETTLE_MS = 40;

/** What build.mjs makes. */
interface Built {
  built: string[];
  removed: string[];
  errors: { file: string; message: string }[];
}

/** Told after each build. */
export interface Watcher {
  /** Source files whose output is new, relative to the project's folder. */
  changed(files: string[]): Promise<void> | void;
  /** Files that do not compile. */
  broken(errors: Built['errors']): void;
}

/**
 * Builds whatever changes in apps/ and libs/, and says what has changed; one build at a time.
 *
 * @returns a function that ends it
 */
export async function watchSources(root: string, watcher: Watcher): Promise<() => void> {
  const { build } = (await import(pathToFileURL(join(root, 'apps/mesh/build.mjs')).href)) as {
    build: (root: string) => Promise<Built>;
  };
  let timer: NodeJS.Timeout | undefined;
  let working = Promise.resolve();
  const work = async () => {
    const { built, removed, errors } = await build(root);
    if (errors.length > 0) watcher.broken(errors);
    else if (built.length + removed.length > 0) await watcher.changed([...built, ...removed]);
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void (working = working.then(work)), SETTLE_MS);
  };
  const watchers: FSWatcher[] = ['apps', 'libs'].map((tree) => watchFolder(join(root, tree), { recursive: true }, soon));
  return () => {
    clearTimeout(timer);
    for (const each of watchers) each.close();
  };
}

/**
 * The processes that a changed source file concerns: those of its app, or all when it is a room's.
 *
 * @param sources  each process's own source file
 */
export function concerned(file: string, sources: readonly { name: string; source: string }[]): string[] {
  const [tree, subject] = file.split('/');
  if (tree === 'libs') return subject === 'testing' || subject === 'house' ? [] : sources.map(({ name }) => name);
  return sources.filter(({ source }) => source.startsWith(`${tree}/${subject}/`)).map(({ name }) => name);
}
