import { resolve } from 'node:path';
import { environment } from '#config';
import { importMovies, type ImportResult } from '../import.js';
import { accessToken } from '../operate/token.js';
import { print } from '../operate/print.js';

/** More bad records than this are told as a number. */
const MOST_TOLD = 20;

/**
 * `mesh import movies [file]`.
 *
 * @param file  a path, or undefined for the public set
 * @returns the exit code: 1 when records were refused
 */
export async function importFilms(
  file: string | undefined,
  { dryRun, json }: { dryRun?: boolean; json?: boolean },
): Promise<number> {
  const env = environment();
  const live = process.stdout.isTTY && !json;
  const result = await importMovies(file === undefined ? 'vega' : resolve(file), {
    gatewayUrl: env.runtime?.gateway ?? env.publicUrl,
    token: await accessToken(env),
    dryRun,
    onProgress: ({ done, total }) => {
      if (json) print(JSON.stringify({ done, total }));
      else if (live) process.stdout.write(`\r${done} of ${total}`);
    },
  });
  if (live) process.stdout.write('\r\u001b[K');
  print(json ? JSON.stringify(result) : resultText(result, dryRun));
  return result.failed.length > 0 ? 1 : 0;
}

/** What became of the records, and each bad one with its line and field. */
export function resultText({ read, created, existed, failed }: ImportResult, dryRun = false): string {
  const bad = failed.slice(0, MOST_TOLD).map(({ line, field, detail }) => `line ${line}${field ? `, ${field}` : ''}: ${detail}`);
  const more = failed.length > MOST_TOLD ? [`… and ${failed.length - MOST_TOLD} more`] : [];
  const lines = new Set(failed.map(({ line }) => line)).size;
  const sum = dryRun
    ? `${read} records, ${lines} would be refused; nothing was written`
    : `${read} records: ${created} created, ${existed} there already, ${lines} refused`;
  return [...bad, ...more, sum].join('\n');
}
