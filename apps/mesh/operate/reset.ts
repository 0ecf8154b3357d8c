import { existsSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { environment } from '#config';
import { removePostgres } from '#postgres';
import { runningMesh } from '../machine/runtime.js';
import { print } from './print.js';

/** What a mesh keeps in its data folder. Nothing else is touched: MESH_DATA may point at a folder that holds more. */
const OURS = /^(postgres|secrets|spool|snapshots|discovery|demo\.json|mesh\.json|\.mesh\..*)$/;

/**
 * `mesh reset`: deletes all data of this folder's mesh.
 *
 * @returns the exit code: 1 when it was not done
 */
export async function reset({ yes }: { yes?: boolean }): Promise<number> {
  const { dataDir } = environment();
  const running = runningMesh(dataDir);
  if (running)
    return refuse(`a mesh runs on ${dataDir} (process ${running.pid}): stop it first, with Ctrl-C there or: kill ${running.pid}`);
  const entries = existsSync(dataDir) ? readdirSync(dataDir).filter((name) => OURS.test(name)) : [];
  if (entries.length === 0) return (print(`there is nothing in ${dataDir}`), 0);
  if (!yes && !(await agrees(`Delete everything in ${dataDir} (films, settings changed at run time, logs)? [y/N] `)))
    return refuse('nothing was deleted (without a question: npx mesh reset --yes)');
  await removePostgres(join(dataDir, 'postgres'));
  for (const name of entries) rmSync(join(dataDir, name), { recursive: true, force: true });
  if (readdirSync(dataDir).length === 0) rmdirSync(dataDir);
  print(`deleted ${entries.length} entries of ${dataDir}; npm start begins anew`);
  return 0;
}

function refuse(why: string): number {
  process.stderr.write(`mesh: ${why}\n`);
  return 1;
}

async function agrees(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const said = await terminal.question(question);
  terminal.close();
  return /^y(es)?$/i.test(said.trim());
}
