import { environment, type Environment } from '#config';
import { print } from '../operate/print.js';
import { clientToken, type Granted } from '../operate/token.js';
import { CLI } from '../up/secrets.js';
import { askProcess } from './inner.js';

/** An account and the password that was made for it. */
export interface Credentials {
  email: string;
  password: string;
}

/** `mesh token`: an access token of a client, or in the dev profile of a user. */
export async function token({ user, client = CLI, json }: { user?: string; client?: string; json?: boolean }): Promise<void> {
  const env = environment();
  const granted = user
    ? await askProcess<Granted>(env, 'oauth', '/internal/tokens', { email: user })
    : await clientToken(env, client);
  print(json ? JSON.stringify({ token: granted.access_token, expiresInSeconds: granted.expires_in }) : granted.access_token);
}

/** `mesh password`: a new password for an account, whose sessions end; or the first administrator. @throws Error when there is one already */
export async function newPassword(email: string | undefined, { json }: { json?: boolean }): Promise<void> {
  const env = environment();
  const made = email
    ? await askProcess<Credentials>(env, 'user-command', '/internal/accounts/password', { email })
    : await askProcess<Credentials>(env, 'user-command', '/internal/accounts/first', {});
  print(json ? JSON.stringify(made) : `The new password of ${made.email}, shown this once: ${made.password}`);
}

/** `mesh keys rotate`: the next key that tokens are signed with. */
export async function rotateKeys({ json }: { json?: boolean }): Promise<void> {
  const next = await askProcess<{ kid: string; signsAt: string }>(environment(), 'oauth', '/internal/keys/rotate', {});
  print(json ? JSON.stringify(next) : `Key ${next.kid} is published now and signs from ${next.signsAt} on; until then, and for tokens signed before, the old one stays`); // prettier-ignore
}

/** The first administrator of a mesh that has none. @returns undefined when there is one already */
export async function firstAdministrator(env: Environment): Promise<Credentials | undefined> {
  try {
    return await askProcess<Credentials>(env, 'user-command', '/internal/accounts/first', {});
  } catch (error) {
    if ((error as { status?: number }).status === 409) return undefined;
    throw error;
  }
}
