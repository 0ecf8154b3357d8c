import { Option, type Command } from 'commander';

const json = () => new Option('--json', 'as JSON');

/** `token`, `password`, `keys`: who is calling. */
export function addIdentityCommands(program: Command): void {
  program
    .command('token')
    .description('print an access token, good for 5 minutes: of the client mesh-cli, of another one, or (dev profile) of a user')
    .addOption(new Option('--user <e-mail>', "a user's, without the password; only in the dev profile").conflicts('client'))
    .option('--client <name>', "a client's own, by its secret in the data folder: movie-command, …")
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  curl -H "Authorization: Bearer $(npx mesh token)" …\n  npx mesh token --user ana@example.org\n  npx mesh token --client movie-command',
    ) // prettier-ignore
    .action(async (options: { user?: string; client?: string; json?: boolean }) =>
      (await import('./identity.js')).token(options),
    );
  program
    .command('password [e-mail]')
    .description(
      'make a new password for an account and print it once, its sessions end; without an e-mail the first administrator of a mesh that has none',
    )
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  npx mesh password admin@example.org\n  npx mesh password     (where npm start is not used: containers)',
    )
    .action(async (email: string | undefined, options: { json?: boolean }) =>
      (await import('./identity.js')).newPassword(email, options),
    );
  program
    .command('keys')
    .description('the keys that access tokens are signed with')
    .command('rotate')
    .description('publish a new key, and sign with it once every service can know it')
    .addOption(json())
    .addHelpText('after', '\nExample:\n  npx mesh keys rotate')
    .action(async (options: { json?: boolean }) => (await import('./identity.js')).rotateKeys(options));
}
