import { environment } from '#config';
import { runningMesh } from '../machine/runtime.js';
import { askJson } from '../wire/http.js';
import { answer } from './print.js';

/** Draining an instance may take its whole 15 s, ms. */
const TIMEOUT_MS = 20_000;

/** `mesh scale movie-query=2`. @throws Error when no mesh runs, or it cannot be that many */
export async function scale(wishes: readonly string[], json?: boolean): Promise<void> {
  const control = runningMesh(environment().dataDir)?.control;
  if (!control) throw new Error('no mesh runs from this folder; start it first: npm start');
  for (const wish of wishes) {
    const [, name, count] = /^([a-z-]+)=(\d+)$/.exec(wish) ?? [];
    if (!name) throw new Error(`'${wish}' is not process=count, such as movie-query=2`);
    await askJson(`${control.url}/scale`, {
      method: 'POST',
      token: control.token,
      body: { name, count: Number(count) },
      timeoutMs: TIMEOUT_MS,
    });
    answer(
      json,
      { process: name, instances: Number(count) },
      () => `${name}: ${count} ${count === '1' ? 'instance' : 'instances'} (npx mesh status)`,
    );
  }
}
