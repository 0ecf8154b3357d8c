import { readFile } from 'node:fs/promises';
import { type ImportOptions, type ImportResult, type Sent, Sending } from './batches.js';
import { factsOf, filmOf, publicFilms } from './films.js';
import { recordsOf } from './records.js';

const BATCHES = { path: '/api/movies/import', list: 'movies', rows: 100, firstRows: 40, atOnce: 2, isKeyed: true };

/**
 * Bring films in by the public API: a JSON list, a JSON object on each line, or CSV, with our names or those of the public set.
 * A bad record is told with its line and field, and the rest goes on; films that are there already, with the same title and release
 * date, are left alone, so the same file may come again.
 *
 * @param file  a path, or 'vega' for the public set
 * @throws Error when the file cannot be read, or the mesh refuses the caller or does not answer for a minute
 */
export async function importMovies(file: string, options: ImportOptions): Promise<ImportResult> {
  const text = await readFile(file === 'vega' ? publicFilms() : file, 'utf8');
  const records = recordsOf(text);
  const facts = factsOf(text, new Date().getUTCFullYear());
  const result: ImportResult = { read: records.length, created: 0, existed: 0, failed: [] };
  const films: Sent[] = [];
  for (const { line, values, fault } of records) {
    if (!values) {
      result.failed.push({ line, field: '', detail: fault ?? 'is empty' });
      continue;
    }
    const { movie, called } = filmOf(values, facts);
    const fieldOf = (pointer: string) => {
      const field = pointer.slice(1).split('/')[0] ?? '';
      return Object.hasOwn(called, field) ? called[field]! : field;
    };
    films.push({ line, body: movie, fieldOf });
  }
  await new Sending(BATCHES, options, result).run(films);
  return result;
}
