import { Command } from 'commander';
import { addLoadCommands } from '../load/command.js';
import { addDrillCommands } from '../load/drills.js';
import { addBenchCommands } from '../load/till/command.js';
import { addBackupCommands } from './backup/command.js';
import { addConfigCommands, addOperateCommands } from './operate/command.js';
import { addDataCommands, addNewCommand } from './data/command.js';
import { addDevCommand } from './dev/command.js';
import { addEventCommands } from './events/command.js';
import { addIdentityCommands } from './identity/command.js';
import { addUpCommand } from './up/command.js';

const ABOUT = `The command line of CineManzana: starts the mesh, watches it, changes it while it runs.

Also (they install and build what is missing):  npm start · npm test · npm run dev · npm run build · npm run check`;

/**
 * The command line. Each command loads its code when it is called: the launcher stays small, and \`--help\` is quick.
 *
 * @param args  what follows `mesh`
 * @param node  the Node that processes are started in
 */
export async function main(args: string[], node: string = process.execPath): Promise<void> {
  const program = new Command('mesh').description(ABOUT).showHelpAfterError('(mesh --help lists all commands)');
  addUpCommand(program, node);
  addDevCommand(program, node);
  addOperateCommands(program);
  addIdentityCommands(program);
  addConfigCommands(program);
  addNewCommand(program);
  addDataCommands(program);
  addEventCommands(program);
  addBackupCommands(program);
  addLoadCommands(program);
  addDrillCommands(program);
  addBenchCommands(program);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    process.stderr.write(`mesh: ${reason(error)}\n`);
    process.exit(1);
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ECONNREFUSED' ? `nothing listens there (${message}); npx mesh doctor tells what is wrong` : message;
}

if (import.meta.main) await main(process.argv.slice(2));
