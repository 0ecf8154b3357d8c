import type { Command } from 'commander';
import type { UpOptions } from '../up/plan.js';
import { withUpOptions } from '../up/command.js';

/** `mesh dev`: the whole mesh kept at the state of its sources, or one process of a running one taken over. */
export function addDevCommand(program: Command, node: string): void {
  withUpOptions(
    program
      .command('dev [process]')
      .description('start the mesh and start anew what you edit; or take one process over from a running mesh'),
  )
    .option('--inspect [host:port]', 'under the debugger (with a process)')
    .addHelpText(
      'after',
      '\nExamples:\n  npm run dev\n  npx mesh dev movie-command --inspect\n  npx mesh dev movie-query --inspect=127.0.0.1:9230',
    )
    .action(async (name: string | undefined, { inspect, ...options }: UpOptions & { inspect?: string | boolean }) => {
      if (name) {
        const { takeOverOne } = await import('./takeover.js');
        process.exit(await takeOverOne({ name, inspect, node }));
      }
      if (inspect) throw new Error('--inspect needs a process: npx mesh dev movie-command --inspect');
      const [{ up }, { DEV_FOLD, keepUp }] = await Promise.all([import('../up/up.js'), import('./dev.js')]);
      const fold = options.unfold ? undefined : (options.fold ?? DEV_FOLD);
      process.exit(await up({ ...options, fold, logs: true }, node, { accompany: keepUp }));
    });
}
