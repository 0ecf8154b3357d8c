import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { Backoff } from '../supervise/backoff.js';
import { askJson } from '../wire/http.js';

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
  gateway: string;
  progress: (films: Films) => void;
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

/**
 * Brings the demonstration's films in by the public API, as anybody would, from a process of its own: what it needs of memory goes
 * with it. Once all are in, `demo.json` in the data folder remembers it.
 */
export class Demo {
  private child?: ChildProcess;
  private retry?: NodeJS.Timeout;
  private stopped = false;
  private told = '';
  private readonly backoff = new Backoff();

  constructor(private readonly options: DemoOptions) {}

  /** What an earlier run has brought in completely. */
  get finished(): Films | undefined {
    try {
      return (JSON.parse(readFileSync(this.memory, 'utf8')) as { films: Films }).films;
    } catch {
      return undefined;
    }
  }

  start(): void {
    if (this.stopped || this.child || this.retry) return;
    const { node, meshFile, progress, note } = this.options;
    const child = spawn(node, [meshFile, 'import', 'movies', '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
    this.child = child;
    let last: Films | undefined;
    let complaint = '';
    createInterface({ input: child.stdout }).on('line', (line) => {
      last = filmsIn(line) ?? last;
      if (last) progress(last);
    });
    child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-2000)));
    child.on('close', (code) => {
      this.child = undefined;
      if (this.stopped) return;
      if (last && last.done >= last.total) return this.remember(last);
      const why = complaint.trim().split('\n').at(-1) || `code ${code}`;
      if (why !== this.told) note(`the import of the films stopped (${why}); going on with it soon`);
      this.told = why;
      this.retry = setTimeout(() => {
        this.retry = undefined;
        this.start();
      }, this.backoff.crashed(Date.now()));
    });
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retry);
    this.child?.kill('SIGKILL');
  }

  private get memory(): string {
    return join(this.options.dataDir, 'demo.json');
  }

  private remember(films: Films) {
    const temporary = `${this.memory}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify({ films })}\n`);
    renameSync(temporary, this.memory);
  }
}

/** A progress line of `mesh import --json`. */
function filmsIn(line: string): Films | undefined {
  try {
    const { done, total } = JSON.parse(line) as Partial<Films>;
    return typeof done === 'number' && typeof total === 'number' ? { done, total } : undefined;
  } catch {
    return undefined;
  }
}
