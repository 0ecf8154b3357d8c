import { resolve } from 'node:path';
import { environment } from '#config';
import { renewedToken } from '../operate/token.js';
import { print } from '../operate/print.js';
import type { ImportOptions, ImportResult } from './batches.js';
import { importRecords } from './import.js';
import { KINDS } from './kinds.js';
import { importMovies } from './movies.js';

/** More bad records than this are told as a number. */
const MOST_TOLD = 20;

interface Wishes {
  dryRun?: boolean;
  json?: boolean;
}

/**
 * `mesh import <what> [file]`.
 *
 * @param file  a path; only films come without one, the public set
 * @returns the exit code: 1 when records were refused
 */
export async function importFile(what: string, file: string | undefined, wishes: Wishes): Promise<number> {
  const bring = bringing(what, file);
  const env = environment();
  const live = process.stdout.isTTY && !wishes.json;
  const result = await bring({
    gatewayUrl: env.runtime?.gateway ?? env.publicUrl,
    token: renewedToken(env),
    dryRun: wishes.dryRun,
    onProgress: ({ done, total }) => {
      if (wishes.json) print(JSON.stringify({ done, total }));
      else if (live) process.stdout.write(`\r${done} of ${total}`);
    },
  });
  if (live) process.stdout.write('\r\u001b[K');
  print(wishes.json ? JSON.stringify(result) : resultText(result, wishes.dryRun));
  return result.failed.length > 0 ? 1 : 0;
}

/** @throws Error when there is no such kind, or it needs a file */
function bringing(what: string, file: string | undefined): (options: ImportOptions) => Promise<ImportResult> {
  if (what === 'movies') return (options) => importMovies(file === undefined ? 'vega' : resolve(file), options);
  const kind = Object.hasOwn(KINDS, what) ? KINDS[what] : undefined;
  if (!kind) throw new Error(`'${what}' cannot be imported; movies, demo, ${Object.keys(KINDS).join(', ')} can`);
  if (file === undefined) throw new Error(`which file? npx mesh import ${what} <file>`);
  return (options) => importRecords(kind, resolve(file), options);
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
