import type { Environment } from '#config';
import { askJson } from './http.js';

/** A row of `health/service/:name`, as far as it is read. @source Consul HTTP API */
export interface HealthRow {
  Service: { ID: string; Address: string; Port: number; Meta: Record<string, string> | null };
  Checks: { Status: string }[];
}

/** An address that may come without its scheme, as Consul's own tools take it. */
export const baseOf = (url: string): string => (/^https?:/.test(url) ? url : `http://${url}`).replace(/\/$/, '');

/** What the registry knows of a process's instances. @throws Error when it does not answer */
export function instancesOf(env: Environment, process: string, isPassing: boolean, timeoutMs?: number): Promise<HealthRow[]> {
  const token = env.secret('CONSUL_HTTP_TOKEN');
  const headers: Record<string, string> = token ? { 'x-consul-token': token } : {};
  const query = isPassing ? '?passing' : '';
  return askJson<HealthRow[]>(`${baseOf(env.consulUrl)}/v1/health/service/${process}${query}`, { timeoutMs, headers });
}
