import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, ask } from '../wire/http.js';

/** Where records go. */
export interface ImportOptions {
  gatewayUrl: string;
  /** Access token of a caller who may create them. */
  token: () => Promise<string>;
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

/** What became of the records of a file. */
export interface ImportResult {
  read: number;
  created: number;
  /** Those that were there already. */
  existed: number;
  failed: FailedRecord[];
}

/** The route that takes many of a kind. */
export interface Batches {
  path: string;
  /** What its body calls the list of them. */
  list: string;
  /** Small enough for the time that an answer may take; the first is smaller, so that a first page can be read at once. */
  rows: number;
  firstRows: number;
  /** More would only queue for the command side's few connections. */
  atOnce: number;
  /** False where what is done once is known by something else than a key of its batch. */
  isKeyed: boolean;
}

/** A record as the API takes it. */
export interface Sent {
  line: number;
  body: Readonly<Record<string, unknown>>;
  /** What the file calls the field at a pointer of the body. */
  fieldOf: (pointer: string) => string;
}

interface Fault {
  pointer: string;
  detail: string;
}
interface Outcome {
  status: 'created' | 'existed' | 'accepted' | 'refused';
  /** Where the whole record is meant. */
  detail?: string;
  errors?: Fault[];
}

const TIMEOUT_MS = 10_000;
/** A mesh that restarts is back within this. */
const PATIENCE_MS = 60_000;
const RETRY_MS = 500;

/** Sends records in batches, and gathers in `result` what becomes of them. */
export class Sending {
  private readonly total: number;
  /** Records dealt with, whatever became of them. */
  private done: number;

  constructor(
    private readonly batches: Batches,
    private readonly options: ImportOptions,
    private readonly result: ImportResult,
  ) {
    this.total = result.read;
    this.done = new Set(result.failed.map(({ line }) => line)).size;
  }

  /** @throws Error when the mesh refuses the caller or does not answer for a minute */
  async run(records: readonly Sent[]): Promise<void> {
    const { rows, firstRows, atOnce } = this.batches;
    await this.send(records.slice(0, firstRows));
    let next = firstRows;
    const work = async () => {
      while (next < records.length) {
        const from = next;
        next += rows;
        await this.send(records.slice(from, from + rows));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    this.result.failed.sort((a, b) => a.line - b.line);
  }

  private async send(records: readonly Sent[]): Promise<void> {
    if (records.length === 0) return;
    const { status, text } = await this.post(records);
    if (status === 200) return this.take(records, (JSON.parse(text) as { results: Outcome[] }).results);
    const { detail = `the mesh answered ${status}`, errors = [] } = problemIn(text);
    // One record that cannot even be read must not cost the others of its batch.
    const [, at, pointer] = new RegExp(`^/${this.batches.list}/(\\d+)(.*)$`).exec(errors[0]?.pointer ?? '') ?? [];
    const bad = records[Number(at)];
    if (status === 400 && bad) {
      this.fail(bad, [{ pointer: pointer!, detail: errors[0]!.detail }]);
      return this.send(records.filter((record) => record !== bad));
    }
    if (status === 413 && records.length > 1) {
      const half = Math.ceil(records.length / 2);
      await this.send(records.slice(0, half));
      return this.send(records.slice(half));
    }
    if (status !== 413 && status !== 400) throw Object.assign(new Error(detail), { status });
    for (const record of records) this.fail(record, [{ pointer: '', detail }]);
  }

  /** Send one batch, again and again while the mesh is away; its key makes sure that it is done once. */
  private async post(records: readonly Sent[]): Promise<Answer> {
    const { gatewayUrl, token, dryRun } = this.options;
    const { path, list, isKeyed } = this.batches;
    const body = { [list]: records.map((record) => record.body), ...(dryRun ? { dryRun } : {}) };
    const headers: Record<string, string> = isKeyed ? { 'idempotency-key': randomUUID() } : {};
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const how = { method: 'POST', token: await token(), headers, body, timeoutMs: TIMEOUT_MS };
      const answer = await ask(`${gatewayUrl}${path}`, how).catch((error: unknown) => error as Error);
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

  private take(records: readonly Sent[], results: readonly Outcome[]): void {
    records.forEach((record, i) => {
      const { status, detail = 'was refused', errors = [] } = results[i] ?? { status: 'refused' };
      if (status === 'refused') return this.fail(record, errors.length > 0 ? errors : [{ pointer: '', detail }]);
      if (status !== 'accepted' && !this.options.dryRun) this.result[status]++;
      this.done++;
    });
    this.tell();
  }

  private fail({ line, fieldOf }: Sent, faults: readonly Fault[]): void {
    for (const { pointer, detail } of faults) this.result.failed.push({ line, field: fieldOf(pointer), detail });
    this.done++;
    this.tell();
  }

  private tell(): void {
    this.options.onProgress?.({ done: this.done, total: this.total });
  }
}

function problemIn(text: string): { detail?: string; errors?: Fault[] } {
  try {
    return JSON.parse(text) as object;
  } catch {
    return {};
  }
}
