import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { environment } from '#config';
import { newResource } from '../new.js';
import { print } from '../operate/print.js';
import { runningMesh } from '../machine/runtime.js';
import { askJson } from '../wire/http.js';

/** A database is prepared and code is loaded meanwhile, ms. */
const ADOPT_MS = 20_000;

/** `mesh new <resource>`: writes it, and lets a running mesh run it. @throws Error when the name cannot be used */
export async function addResource(name: string, { plural }: { plural?: string }): Promise<void> {
  const { root, dataDir } = environment();
  const { files, route } = newResource(name, { root, plural });
  for (const file of files) print(`  ${file}`);
  const { build } = (await import(pathToFileURL(join(root, 'apps/mesh/build.mjs')).href)) as {
    build: (root: string) => Promise<unknown>;
  };
  await build(root);
  const control = runningMesh(dataDir)?.control;
  if (control) await askJson(`${control.url}/adopt`, { method: 'POST', token: control.token, timeoutMs: ADOPT_MS });
  print(
    `\nIt is at ${route} ${control ? 'of the running mesh in a moment' : 'after the next npm start'}. Then: its fields in apps/${name}/, and`,
  );
  print(`npx mesh migration '<what changed>'; node dist/libs/house/page.js brings apps/README.md up to date.`);
}
