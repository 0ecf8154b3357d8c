import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { factsOf, type Film, filmOf, recordsOf } from './films.js';
import { type Answer, ask } from './wire/http.js';

export interface ImportOptions {
  gatewayUrl: string;
  /** Access token of a caller who may create movies. */
  token: string;
  /** Told after each step how many records are dealt with. */
  onProgress?: (progress: { done: number; total: number }) => void;
  /** Only ask what would be refused. */
  dryRun?: boolean;
}

/** A record that was not taken. */
export interface FailedRecord {
  line: number;
  /** As the file calls it; empty when the whole record is wrong. */
  field: string;
  detail: string;
}

export interface ImportResult {
  read: number;
  created: number;
  /** Films that were there already, with the same title and release date. */
  existed: number;
  failed: FailedRecord[];
}

interface Numbered extends Film {
  line: number;
}
interface Outcome {
  status: 'created' | 'existed' | 'accepted' | 'refused';
  errors?: { pointer: string; detail: string }[];
}

/** Small enough for the time-out of one try, 800 ms; the first is smaller, so that a first page can be read at once. */
const BATCH_ROWS = 100;
const FIRST_BATCH_ROWS = 40;
/** More would only queue for the command side's three connections. */
const CONCURRENT_BATCHES = 2;
const BATCH_TIMEOUT_MS = 10_000;
/** A mesh that restarts is back within this. */
const PATIENCE_MS = 60_000;
const RETRY_MS = 500;

/** The public set of 3,201 films that comes with this project. */
export const publicFilms = (): string =>
  join(dirname(createRequire(import.meta.url).resolve('vega-datasets')), '../data/movies.json');

/**
 * Bring films in by the public API: a JSON list, a JSON object on each line, or CSV, with our names or those of the public set.
 * A bad record is told with its line and field, and the rest goes on; films that are there already are left alone, so the same file
 * may come again.
 *
 * @param file  a path, or 'vega' for the public set
 * @throws Error when the file cannot be read, or the mesh refuses the caller or does not answer for a minute
 */
export async function importMovies(file: string, options: ImportOptions): Promise<ImportResult> {
  const text = await readFile(file === 'vega' ? publicFilms() : file, 'utf8');
  const records = recordsOf(text);
  const facts = factsOf(text, new Date().getUTCFullYear());
  const result: ImportResult = { read: records.length, created: 0, existed: 0, failed: [] };
  const films: Numbered[] = [];
  for (const { line, values, fault } of records) {
    if (values) films.push({ line, ...filmOf(values, facts) });
    else result.failed.push({ line, field: '', detail: fault ?? 'is empty' });
  }
  await new Import(options, result).run(films);
  result.failed.sort((a, b) => a.line - b.line);
  return result;
}

class Import {
  private readonly total: number;
  /** Records dealt with, whatever became of them. */
  private done: number;

  constructor(
    private readonly options: ImportOptions,
    private readonly result: ImportResult,
  ) {
    this.total = result.read;
    this.done = result.failed.length;
  }

  async run(films: readonly Numbered[]): Promise<void> {
    await this.send(films.slice(0, FIRST_BATCH_ROWS));
    let next = FIRST_BATCH_ROWS;
    const work = async () => {
      while (next < films.length) {
        const from = next;
        next += BATCH_ROWS;
        await this.send(films.slice(from, from + BATCH_ROWS));
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT_BATCHES }, work));
  }

  private async send(films: readonly Numbered[]): Promise<void> {
    if (films.length === 0) return;
    const { status, text } = await this.post(films);
    if (status === 200) return this.take(films, (JSON.parse(text) as { results: Outcome[] }).results);
    const { detail = `the mesh answered ${status}`, errors = [] } = problemIn(text);
    // One record that cannot even be read must not cost the others of its batch.
    const [, at, pointer] = /^\/movies\/(\d+)(.*)$/.exec(errors[0]?.pointer ?? '') ?? [];
    const bad = films[Number(at)];
    if (status === 400 && bad) {
      this.fail(bad, [{ pointer: pointer!, detail: errors[0]!.detail }]);
      return this.send(films.filter((film) => film !== bad));
    }
    if (status === 413 && films.length > 1) {
      const half = Math.ceil(films.length / 2);
      await this.send(films.slice(0, half));
      return this.send(films.slice(half));
    }
    if (status !== 413 && status !== 400) throw Object.assign(new Error(detail), { status });
    for (const film of films) this.fail(film, [{ pointer: '', detail }]);
  }

  /** Send one batch, again and again while the mesh is away; its key makes sure that it is done once. */
  private async post(films: readonly Numbered[]): Promise<Answer> {
    const { gatewayUrl, token, dryRun } = this.options;
    const body = { movies: films.map(({ movie }) => movie), ...(dryRun ? { dryRun } : {}) };
    const headers = { 'idempotency-key': randomUUID() };
    const how = { method: 'POST', token, headers, body, timeoutMs: BATCH_TIMEOUT_MS };
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await ask(`${gatewayUrl}/api/movies/import`, how).catch((error: unknown) => error as Error);
      const isAway =
        answer instanceof Error || answer.status >= 500 || answer.status === 429 || answer.headers['retry-after'] !== undefined;
      if (!isAway) return answer;
      if (performance.now() >= until) {
        if (answer instanceof Error) throw answer;
        return answer;
      }
      await sleep(RETRY_MS);
    }
  }

  private take(films: readonly Numbered[], results: readonly Outcome[]): void {
    films.forEach((film, i) => {
      const { status, errors = [] } = results[i] ?? { status: 'refused' };
      if (status === 'refused') return this.fail(film, errors);
      if (status !== 'accepted') this.result[status]++;
      this.done++;
    });
    this.tell();
  }

  private fail({ line, called }: Numbered, errors: readonly { pointer: string; detail: string }[]): void {
    for (const { pointer, detail } of errors.length ? errors : [{ pointer: '', detail: 'was refused' }]) {
      const field = pointer.slice(1).split('/')[0] ?? '';
      this.result.failed.push({ line, field: Object.hasOwn(called, field) ? called[field]! : field, detail });
    }
    this.done++;
    this.tell();
  }

  private tell(): void {
    this.options.onProgress?.({ done: this.done, total: this.total });
  }
}

function problemIn(text: string): { detail?: string; errors?: { pointer: string; detail: string }[] } {
  try {
    return JSON.parse(text) as object;
  } catch {
    return {};
  }
}
