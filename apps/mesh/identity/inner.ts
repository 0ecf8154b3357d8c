import type { Environment } from '#config';
import { accessToken } from '../operate/token.js';
import { askJson } from '../wire/http.js';

/** A row of `health/service/:name`, as far as it is read. @source Consul HTTP API */
interface HealthRow {
  Service: { Address: string; Port: number };
}

/**
 * Asks a process what is not shown at the public door, as the client mesh-cli.
 *
 * @throws Error with the problem's detail, or when no instance of it is to be found
 */
export async function askProcess<T>(env: Environment, process: string, path: string, body: object): Promise<T> {
  const registry = (/^https?:/.test(env.consulUrl) ? env.consulUrl : `http://${env.consulUrl}`).replace(/\/$/, '');
  const consulToken = env.secret('CONSUL_HTTP_TOKEN');
  const headers: Record<string, string> = consulToken ? { 'x-consul-token': consulToken } : {};
  const rows = await askJson<HealthRow[]>(`${registry}/v1/health/service/${process}?passing`, { headers });
  const found = rows[0]?.Service;
  if (!found) throw new Error(`no instance of ${process} runs; npx mesh doctor tells why`);
  const token = await accessToken(env);
  return askJson<T>(`http://${found.Address}:${found.Port}${path}`, { method: 'POST', token, body });
}
