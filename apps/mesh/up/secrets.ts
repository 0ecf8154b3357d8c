import { clientSecretName, makeSecrets } from '#config';

/** The command line's own client. */
export const CLI = 'mesh-cli';

/** What processes sign, seal and derive by, as their definitions name it. */
export const SECRETS: readonly string[] = [
  'OAUTH_KEY_SECRET',
  'OAUTH_COOKIE_SECRET',
  'PROVIDER_KEY',
  'PURCHASE_KEY',
  'TICKET_KEY',
];

/** The secrets that processes prove themselves by, and those of `SECRETS`; made once, kept in the data folder. */
export function makeMeshSecrets(dataDir: string, processes: readonly string[]): void {
  makeSecrets(dataDir, [...[...processes, CLI].map(clientSecretName), ...SECRETS]);
}
