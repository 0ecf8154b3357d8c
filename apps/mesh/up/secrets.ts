import { clientSecretName, makeSecrets } from '#config';

/** The command line's own client. */
export const CLI = 'mesh-cli';

/** The secrets that processes prove themselves by, and those that `oauth` signs and encrypts with; made once, kept in the data folder. */
export function makeMeshSecrets(dataDir: string, processes: readonly string[]): void {
  makeSecrets(dataDir, [...[...processes, CLI].map(clientSecretName), 'OAUTH_KEY_SECRET', 'OAUTH_COOKIE_SECRET']);
}
