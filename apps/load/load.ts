import { Command } from 'commander';
import { addLoadCommands } from './command.js';

// node dist/apps/load/load.js events: the same as npx mesh load events, without the launcher.
if (import.meta.main) {
  const program = new Command('node dist/apps/load/load.js');
  addLoadCommands(program);
  await program.parseAsync(['load', ...process.argv.slice(2)], { from: 'user' });
}
