import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** `client-secret-oauth` of `CLIENT_SECRET_OAUTH`. */
const fileOf = (dataDir: string, name: string) => join(dataDir, 'secrets', name.toLowerCase().replaceAll('_', '-'));

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * A secret by its name, read anew each time: the variable itself, or what the file of `NAME_FILE` holds, or what `makeSecrets` left.
 *
 * @throws Error when the file that `NAME_FILE` names cannot be read
 */
export function readSecret(env: NodeJS.ProcessEnv, dataDir: string | undefined, name: string): string | undefined {
  const file = env[`${name}_FILE`];
  if (!file) return env[name] || (dataDir === undefined ? undefined : contentOf(fileOf(dataDir, name)));
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Error(`${name}_FILE names ${file}, which cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** The name of the secret by which a client of `oauth` proves itself: `CLIENT_SECRET_MOVIE_COMMAND` of `movie-command`. */
export const clientSecretName = (client: string): string => `CLIENT_SECRET_${client.toUpperCase().replaceAll('-', '_')}`;

/** Make those of the secrets of these names that are not there, each 256 random bits in a file that we alone can read. */
export function makeSecrets(dataDir: string, names: readonly string[]): void {
  mkdirSync(join(dataDir, 'secrets'), { recursive: true, mode: 0o700 });
  for (const name of names) {
    const file = fileOf(dataDir, name);
    if (contentOf(file) !== undefined) continue;
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
    try {
      // Whole or not at all, and never over one that another made in this moment.
      linkSync(draft, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      unlinkSync(draft);
    }
  }
}
