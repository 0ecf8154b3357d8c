import { setTimeout as sleep } from 'node:timers/promises';
import { clientSecretName, type Environment } from '#config';
import { ask } from '../wire/http.js';
import { CLI } from '../up/secrets.js';

/** A mesh that starts has its gateway before it has its issuer: for how long that is waited for, ms, and between two tries. */
const PATIENCE_MS = 5000;
const LOOK_MS = 100;

/** What the issuer answers to a client. */
export interface Granted {
  access_token: string;
  /** Seconds. */
  expires_in: number;
  detail?: string;
  error_description?: string;
}

const STARTING = new Set([404, 502, 503, 504]);

/**
 * An access token of a client, by its secret.
 *
 * @throws Error when there is no secret here, or the issuer refuses it
 */
export async function clientToken(env: Environment, client: string): Promise<Granted> {
  const name = clientSecretName(client);
  const secret = env.secret(name);
  if (!secret)
    throw new Error(`there is no secret of ${client} here: start the mesh from this folder (npm start), or give ${name}`);
  const url = `${env.runtime?.gateway ?? env.publicUrl}/oauth/token`;
  const basic = Buffer.from(`${client}:${secret}`).toString('base64');
  const how = { method: 'POST', headers: { authorization: `Basic ${basic}` }, form: { grant_type: 'client_credentials' } };
  for (const startedAt = Date.now(); ; await sleep(LOOK_MS)) {
    const isPatient = Date.now() - startedAt < PATIENCE_MS;
    const answer = await ask(url, how).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' && isPatient) return undefined;
      throw error;
    });
    if (!answer || (STARTING.has(answer.status) && isPatient)) continue;
    const body = JSON.parse(answer.text) as Granted;
    if (answer.status === 200) return body;
    throw new Error(`${url} gives ${client} no token: ${body.error_description ?? body.detail ?? answer.status}`);
  }
}

/**
 * An access token for the command line: `MESH_TOKEN` when given, else its own as the client mesh-cli.
 *
 * @throws Error when there is neither
 */
export const accessToken = async (env: Environment): Promise<string> =>
  env.secret('MESH_TOKEN') ?? (await clientToken(env, CLI)).access_token;

/** A token lives 300 s. */
const RENEWED_MS = 200_000;

/** The same for what takes long: each call gives one that is still good for a while. */
export function renewedToken(env: Environment): () => Promise<string> {
  let token: Promise<string> | undefined;
  let takenAt = 0;
  return () => {
    if (!token || performance.now() - takenAt > RENEWED_MS) [token, takenAt] = [accessToken(env), performance.now()];
    return token;
  };
}
