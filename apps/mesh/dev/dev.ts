import type { Environment } from '#config';
import type { Screen } from '../screen/screen.js';
import type { Launcher } from '../up/launcher.js';
import type { Plan } from '../up/plan.js';
import { projects } from '../up/projects.js';
import { TypeCheck } from './types.js';
import { concerned, watchSources } from './watch.js';

/** What an edit seldom touches runs apart, so that a restart of the rest leaves the door open. */
export const DEV_FOLD = 'gateway,config,discovery';

/**
 * Keeps a running mesh at the state of its sources: what an edit concerns is started anew, and its type errors are shown.
 *
 * @returns a function that ends it
 */
export async function keepUp(launcher: Launcher, { source }: Plan, { root }: Environment, screen: Screen): Promise<() => void> {
  const types = new TypeCheck(root, source.node, (text) => screen.note(text));
  const end = await watchSources(root, {
    broken: (errors) => {
      for (const { file, message } of errors) screen.note(`${file} does not compile; what ran goes on\n${message}`);
    },
    changed: async (files) => {
      types.stop(); // it would take the processor from what is being waited for
      const startedAtMs = Date.now();
      const all = projects(root);
      const added = await launcher.adopt();
      if (added.length > 0) screen.note(`${added.join(', ')}: new, started`);
      const names = [...new Set(files.flatMap((file) => concerned(file, all)))].filter((name) => !added.includes(name));
      if (files.some((file) => file.startsWith('apps/mesh/')))
        screen.note('the launcher itself has changed: it takes effect when you start it again');
      const failures = await launcher.renew(
        names,
        files.some((file) => file.startsWith('libs/')),
      );
      types.start();
      if (names.length === 0) return;
      const seconds = ((Date.now() - startedAtMs) / 1000).toFixed(1);
      screen.note(failures.length ? `the new code cannot be loaded, the old goes on: ${failures.join('; ')}` : `${describe(files)}: live after ${seconds} s`); // prettier-ignore
    },
  });
  types.start();
  launcher.keepSpare();
  return () => {
    types.stop();
    end();
  };
}

const describe = (files: readonly string[]) =>
  files.length > 3 ? `${files.length} files changed` : `${files.join(', ')} changed`;
