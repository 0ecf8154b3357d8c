import type { Environment } from '#config';
import { accessToken } from '../operate/token.js';
import { askJson } from '../wire/http.js';
import { instancesOf } from '../wire/registry.js';

/**
 * Asks a process what is not shown at the public door, as the client mesh-cli.
 *
 * @throws Error with the problem's detail, or when no instance of it is to be found
 */
export async function askProcess<T>(env: Environment, process: string, path: string, body: object): Promise<T> {
  const rows = await instancesOf(env, process, true);
  const found = rows[0]?.Service;
  if (!found) throw new Error(`no instance of ${process} runs; npx mesh doctor tells why`);
  const token = await accessToken(env);
  return askJson<T>(`http://${found.Address}:${found.Port}${path}`, { method: 'POST', token, body });
}
