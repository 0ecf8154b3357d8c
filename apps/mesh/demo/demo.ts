import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { Backoff } from '../supervise/backoff.js';
import { askJson } from '../wire/http.js';
import type { DemoProgress, DemoResult } from './bring.js';
import { accountLines } from './lines.js';

/** How far the films of the demonstration are. */
export interface Films {
  done: number;
  total: number;
}

/** What the import runs with. */
export interface DemoOptions {
  node: string;
  /** The built mesh.js. */
  meshFile: string;
  dataDir: string;
  /** False when not all of the processes run here that the chain needs: the films are all then. */
  hasChain: boolean;
  films: (films: Films) => void;
  chain: (progress: DemoProgress) => void;
  note: (text: string) => void;
}

/** The first page of films at the public door; undefined while the mesh starts. */
export async function firstFilms(gateway: string): Promise<{ items: unknown[] } | undefined> {
  try {
    return await askJson<{ items: unknown[] }>(`${gateway}/api/movies?limit=1`);
  } catch {
    return undefined;
  }
}

/** What `demo.json` remembers. */
interface Memory {
  films?: Films;
  /** The day on which the chain's programme was last planned, `2026-11-22`: it grows by a day each day. */
  plannedOn?: string;
}

type Line = Partial<Films> & Partial<DemoProgress> & Partial<DemoResult>;

/**
 * Brings the demonstration in by the public API, as anybody would: first the films, then the chain with its screenings, each from a process
 * of its own, so that what it needs of memory goes with it. `demo.json` in the data folder remembers what is in completely.
 */
export class Demo {
  private child?: ChildProcess;
  private retry?: NodeJS.Timeout;
  private stopped = false;
  private told = '';
  private readonly backoff = new Backoff();

  constructor(private readonly options: DemoOptions) {}

  /** The films that an earlier run has brought in completely. */
  get finished(): Films | undefined {
    return this.memory.films;
  }

  /** Bring in what is not there yet. @param anew  the films too, whatever is remembered */
  start(anew = false): void {
    if (this.stopped || this.child || this.retry) return;
    if (anew || !this.finished) this.run('movies');
    else if (this.options.hasChain && this.memory.plannedOn !== today()) this.run('demo');
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retry);
    this.child?.kill('SIGKILL');
  }

  private run(what: 'movies' | 'demo') {
    const { node, meshFile, note } = this.options;
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    const child = spawn(node, [meshFile, 'import', what, '--json'], { stdio, windowsHide: true });
    this.child = child;
    let isComplete = false;
    let complaint = '';
    createInterface({ input: child.stdout }).on('line', (line) => (isComplete = this.take(parsed(line)) || isComplete));
    child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-2000)));
    child.on('close', (code) => {
      this.child = undefined;
      if (this.stopped) return;
      if (isComplete) return this.start();
      const why = complaint.trim().split('\n').at(-1) || `code ${code}`;
      if (why !== this.told) note(`the import of the demonstration stopped (${why}); going on with it soon`);
      this.told = why;
      this.retry = setTimeout(() => {
        this.retry = undefined;
        this.start();
      }, this.backoff.crashed(Date.now()));
    });
  }

  /** @returns whether a line says that all is in */
  private take({ what, done, total, accounts, cinemas, auditoriums, screenings }: Line): boolean {
    const { films, chain, note } = this.options;
    if (accounts) {
      this.remember({ plannedOn: today() });
      note(`the demonstration is complete: ${cinemas} cinemas, ${auditoriums} auditoriums, ${screenings} screenings`);
      for (const line of accountLines(accounts)) note(line);
      return true;
    }
    if (done === undefined || total === undefined) return false;
    if (what) chain({ what, done, total });
    else films({ done, total });
    const isComplete = !what && done >= total;
    if (isComplete) this.remember({ films: { done, total } });
    return isComplete;
  }

  private get file(): string {
    return join(this.options.dataDir, 'demo.json');
  }

  private get memory(): Memory {
    return parsed(read(this.file)) as Memory;
  }

  private remember(more: Memory) {
    const temporary = `${this.file}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify({ ...this.memory, ...more })}\n`);
    renameSync(temporary, this.file);
  }
}

const today = () => new Date().toISOString().slice(0, 10);

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** A line of `mesh import --json`, or what is remembered; nothing of what is no JSON. */
function parsed(line: string): Line {
  try {
    return JSON.parse(line) as Line;
  } catch {
    return {};
  }
}
