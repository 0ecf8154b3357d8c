import { InvalidArgumentError, Option, type Command } from 'commander';
import type { BackupWish, RestoreWish } from './operator.js';

/** A week of daily backups, and of the log between them. */
const KEEP = { backups: 7, days: 7 };

function count(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1) throw new InvalidArgumentError('It must be a whole number above zero.');
  return Number(text);
}

const json = () => new Option('--json', 'progress and result as JSON lines');

/** `backup` and `restore`: a copy of all that the mesh knows, and the mesh as it was at any instant since. */
export function addBackupCommands(program: Command): void {
  addBackup(program);
  addRestore(program);
}

function addBackup(program: Command) {
  program
    .command('backup [folder]')
    .description('copy the database, its log and the secrets while the mesh runs; keep the log from then on')
    .option('--list', 'show the backups there are, and from when to when each can be restored')
    .option('--keep <count>', 'of the backups without a folder of their own, remove all but so many', count, KEEP.backups)
    .option('--keep-days <days>', 'keep at least so much of the log', count, KEEP.days)
    .option('--end-archive', 'keep the log no longer, and remove what was kept of it')
    .addOption(json())
    .addHelpText(
      'after',
      `
A backup holds the secrets of the mesh: whoever can read it can read and sign everything. Its files are yours alone (0600).
Without a folder it goes to backups/ in the data folder, on the same disk as the data: copy it elsewhere, or name a folder elsewhere.
From the first backup on PostgreSQL's log is kept too, so that restore can go to any instant after a backup.

Examples:
  npx mesh backup
  npx mesh backup /mnt/elsewhere/monday
  npx mesh backup --list`,
    )
    .action(async (folder: string | undefined, wish: BackupWish) => {
      process.exitCode = await (await import('./operator.js')).backup(folder, wish);
    });
}

function addRestore(program: Command) {
  program
    .command('restore <backup>')
    .description('make a data folder from a backup, as it was at an instant; the running mesh is not touched')
    .option('--to <instant>', "such as 2026-01-31T18:30:00Z, or 'latest'; by default the moment the backup was complete")
    .option('--data <folder>', 'the data folder to make; by default one in restored/ of the data folder')
    .option('--archive <folder>', 'where the log after the backup is, when not where it was')
    .option('--yes', 'replace the data in that folder, of a mesh that is stopped; they are kept beside')
    .addOption(json())
    .addHelpText(
      'after',
      `
Every write that was acknowledged before the instant is there, and none that was begun after it. What counts is when a write was
committed, by the clock of the database's machine, to the microsecond; one committed at that very instant is there.

Examples:
  npx mesh restore 2026-01-31T03-00-00Z --to 2026-01-31T18:30:00-03:00
  npx mesh restore /mnt/elsewhere/monday --data /tmp/look
  MESH_DATA=/tmp/look npm start -- --port 9090
  npx mesh restore 2026-01-31T03-00-00Z --to latest --data .data --yes`,
    )
    .action(async (folder: string, wish: RestoreWish) => {
      process.exitCode = await (await import('./operator.js')).bringBack(folder, wish);
    });
}
