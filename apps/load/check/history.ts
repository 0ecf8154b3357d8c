import { createWriteStream, readFileSync, type WriteStream } from 'node:fs';
import { once } from 'node:events';

/** What a buyer does. */
export type Deed = 'hold' | 'pay' | 'cancel' | 'refund' | 'exchange';

/** What a deed is about, and, from its answer on, what came of it. */
export interface DeedValue {
  screening: string;
  seats: readonly string[];
  /** Of the purchase; known from the answer of its hold on. */
  purchase?: string;
  /** Of a hold that was taken: when it lapses, on the history's clock, ns. */
  until?: number;
  /** Why it was refused: the problem's slug. */
  error?: string;
  /** Of a refusal `seat-taken`: the seats that were. */
  taken?: readonly string[];
  /** Of a pay that was refused: the money was tried and declined, in place of no attempt at all. */
  isDeclined?: boolean;
  /** Of an exchange: the purchase and the seats that were given up, which may be of another screening. */
  from?: { purchase: string; screening: string; seats: readonly string[] };
}

/**
 * One line of a history in Jepsen's form: what a process, one at a time, asked for and what it was told. `info`: it was not told, so it
 * may have happened, may still happen, or never.
 */
export interface Entry {
  process: number;
  type: 'invoke' | 'ok' | 'fail' | 'info';
  f: Deed;
  value: DeedValue;
  /** Since the beginning, ns. */
  time: number;
}

/** Two lines that belong together. */
export interface Operation {
  f: Deed;
  type: 'ok' | 'fail' | 'info';
  value: DeedValue;
  calledAt: number;
  /** Infinity when it was never answered. */
  returnedAt: number;
}

/**
 * Join each invocation with its answer; what has none may have happened.
 *
 * @throws Error when a process did two things at a time, or was told what it had not asked
 */
export function operationsOf(history: readonly Entry[]): Operation[] {
  const open = new Map<number, Operation>();
  const operations: Operation[] = [];
  for (const { process, type, f, value, time } of history) {
    if (type === 'invoke') {
      if (open.has(process)) throw new Error(`process ${process} did two things at a time`);
      const operation: Operation = { f, type: 'info', value, calledAt: time, returnedAt: Infinity };
      open.set(process, operation);
      operations.push(operation);
      continue;
    }
    const operation = open.get(process);
    if (operation?.f !== f) throw new Error(`process ${process} was told of a ${f} that it had not asked for`);
    open.delete(process);
    Object.assign(operation, { type, value: { ...operation.value, ...value } });
    if (type !== 'info') operation.returnedAt = time;
  }
  return operations;
}

const NS_PER_MS = 1e6;

/** Writes down what buyers do and are told, in memory and, when wanted, as lines of a file. */
export class Recorder {
  readonly history: Entry[] = [];
  private readonly epochMs = Date.now();
  private readonly startedMs = performance.now();
  private readonly file?: WriteStream;

  constructor(path?: string) {
    if (path) this.file = createWriteStream(path);
  }

  /** An instant of the machine's clock on this history's. */
  at(instant: string | number): number {
    return Math.round(((typeof instant === 'number' ? instant : Date.parse(instant)) - this.epochMs) * NS_PER_MS);
  }

  write(process: number, type: Entry['type'], f: Deed, value: DeedValue): void {
    const time = Math.round((performance.now() - this.startedMs) * NS_PER_MS);
    const entry = { process, type, f, value, time };
    this.history.push(entry);
    this.file?.write(`${JSON.stringify(entry)}\n`);
  }

  async close(): Promise<void> {
    if (!this.file) return;
    this.file.end();
    await once(this.file, 'close');
  }
}

/** A history that was written to a file. */
export const readHistory = (path: string): Entry[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Entry);
