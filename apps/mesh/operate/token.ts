import type { Environment } from '#config';
import { runningMesh } from '../machine/runtime.js';
import { askJson } from '../wire/http.js';

/**
 * An access token for the command line: `MESH_TOKEN` when given, else a new development token of the running mesh.
 *
 * @throws Error when there is neither
 */
export async function accessToken({ dataDir, secret }: Environment): Promise<string> {
  const given = secret('MESH_TOKEN');
  if (given) return given;
  const control = runningMesh(dataDir)?.control;
  if (!control) throw new Error('no mesh runs from this folder (npm start), and MESH_TOKEN holds no access token');
  const { token } = await askJson<{ token: string }>(`${control.url}/token`, { method: 'POST', token: control.token });
  return token;
}
