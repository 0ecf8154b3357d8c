import type { Writable } from 'node:stream';
import { demoText, filmsText, plainLine, tableLines, type Look, type Row, type View } from './table.js';

/** What `mesh up` shows, wherever it shows it. */
export interface Screen {
  /** A process stands differently, or films have arrived. */
  show(view: View): void;
  /** Something happened that is worth a line. */
  note(text: string): void;
  /** A line that a process wrote. */
  output(line: string): void;
  /** All is ready: the block of where and how. */
  ready(facts: Facts): void;
  /** Nothing more will be shown. */
  close(): void;
}

/** What is worth knowing once the mesh is ready. */
export interface Facts {
  seconds: number;
  api: string;
  docs: string;
  fold: string;
  pid: number;
  dataDir: string;
  films?: { done: number; total: number };
  /** Made at this start; told this once. */
  administrator?: { email: string; password: string };
}

/** Between two frames of the live table, ms: smooth to the eye, nothing to the processor. */
const FRAME_MS = 120;
/** A line for people about what is on its way at most this often, ms. */
const COMING_MS = 2000;

/** The block that ends the start. */
export function factLines({ seconds, api, docs, fold, pid, dataDir, films, administrator }: Facts): string[] {
  const pairs: [string, string][] = [
    ['API', `${api}/api/movies?limit=3`],
    ['Docs', docs],
    ...(films
      ? [
          ['Films', films.done < films.total ? `${filmsText(films)}, the rest is on its way` : filmsText(films)] satisfies [
            string,
            string,
          ],
        ]
      : []),
    ['Join', `${api}/oauth/register`],
    ...(administrator
      ? [
          ['Admin', `${administrator.email} with ${administrator.password}`] satisfies [string, string],
          ['', 'the first administrator, told this once; a new password: npx mesh password <e-mail>'] satisfies [string, string],
        ]
      : []),
    ['Token', 'npx mesh token (of mesh-cli, for writes; 5 minutes)'],
    ['More', 'npx mesh status · npx mesh logs -f · npx mesh doctor · npx mesh --help'],
    ['Stop', `Ctrl-C (or: kill ${pid})`],
  ];
  return [
    '',
    `CineManzana is ready after ${seconds.toFixed(1)} s, ${fold}; data in ${dataDir}`,
    '',
    ...pairs.map(([what, text]) => `  ${what.padEnd(6)} ${text}`),
    '',
  ];
}

/** A table that is rewritten in place until all is ready; afterwards one line of what is on its way below what was said. */
export class LiveScreen implements Screen {
  private view: View = { rows: [] };
  private drawn = 0;
  private isReady = false;
  private readonly timer: NodeJS.Timeout;
  private known = new Map<string, string>();

  constructor(
    private readonly out: Writable,
    private readonly look: () => Look,
  ) {
    this.timer = setInterval(() => this.draw(), FRAME_MS);
    this.timer.unref();
  }

  show(view: View): void {
    const before = this.known;
    this.view = view;
    this.known = new Map(view.rows.map((row) => [row.name, plainLine(row)]));
    if (!this.isReady) return;
    for (const row of view.rows) if (isNews(row) && before.get(row.name) !== plainLine(row)) this.note(plainLine(row));
  }

  note(text: string): void {
    this.output(`  ${text}`);
  }

  output(line: string): void {
    this.wipe();
    this.out.write(`${line}\n`);
    this.draw();
  }

  ready(facts: Facts): void {
    this.wipe();
    const table = tableLines({ rows: this.view.rows }, Date.now(), { ...this.look(), height: undefined });
    const lines = [...table, ...factLines(facts)];
    this.out.write(`${lines.join('\n')}\n`);
    this.isReady = true;
    this.draw();
  }

  close(): void {
    clearInterval(this.timer);
    this.draw();
    this.drawn = 0;
  }

  private draw() {
    const shown = this.isReady ? { ...this.view, rows: [] } : this.view;
    const lines = tableLines(shown, Date.now(), this.look());
    const text = `${up(this.drawn)}${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`;
    if (lines.length || this.drawn) this.out.write(text);
    this.drawn = lines.length;
  }

  private wipe() {
    if (this.drawn) this.out.write(`${up(this.drawn)}\u001b[J`);
    this.drawn = 0;
  }
}

/** On the way from one state to the next there are steps that say nothing where each is a line of its own; a crash has its own note. */
const SILENT = new Set(['loading', 'starting', 'restarting', 'stopping']);
const WAITS = new Set(['waiting', 'degraded']);
const isNews = ({ state, detail }: Row) => !SILENT.has(state) && !(WAITS.has(state) && !detail);

const up = (lines: number) => (lines ? `\u001b[${lines}A\r` : '');

/** Lines that stand as they were written: for files, pipes and NO_COLOR. */
export class PlainScreen implements Screen {
  private known = new Map<string, string>();
  private comingAtMs = 0;

  constructor(private readonly out: Writable) {}

  show({ rows, films, chain }: View): void {
    for (const row of rows) this.row(row);
    const isComing = films && films.done >= films.total ? demoText({ chain }) : undefined;
    if (films) this.coming(isComing ?? filmsText(films), isComing === undefined && films.done >= films.total);
  }

  note(text: string): void {
    this.out.write(`mesh: ${text}\n`);
  }

  output(line: string): void {
    this.out.write(`${line}\n`);
  }

  ready(facts: Facts): void {
    this.out.write(`${factLines(facts).join('\n')}\n`);
  }

  close(): void {
    // nothing is held
  }

  private row(row: Row) {
    const line = plainLine(row);
    if (this.known.get(row.name) === line) return;
    this.known.set(row.name, line);
    if (isNews(row)) this.out.write(`mesh: ${line}\n`);
  }

  private coming(line: string, isLast: boolean) {
    const nowMs = Date.now();
    if (this.known.has(line) || (nowMs - this.comingAtMs < COMING_MS && !isLast)) return;
    this.comingAtMs = nowMs;
    this.known.set(line, line);
    this.out.write(`mesh: ${line}\n`);
  }
}

/** One JSON object a line: `{ at, event, … }` with the events state, films, chain, note, ready. */
export class JsonScreen implements Screen {
  private known = new Map<string, string>();

  constructor(private readonly out: Writable) {}

  show({ rows, films, chain }: View): void {
    for (const { name, state, detail } of rows) this.once(name, { event: 'state', process: name, state, detail });
    if (films) this.once('films', { event: 'films', ...films });
    if (chain) this.once('chain', { event: 'chain', ...chain });
  }

  note(text: string): void {
    this.write({ event: 'note', text });
  }

  output(line: string): void {
    this.write({ event: 'output', line });
  }

  ready(facts: Facts): void {
    this.write({ event: 'ready', ...facts });
  }

  close(): void {
    // nothing is held
  }

  private once(key: string, fields: object) {
    const text = JSON.stringify(fields);
    if (this.known.get(key) === text) return;
    this.known.set(key, text);
    this.write(fields);
  }

  private write(fields: object) {
    this.out.write(`${JSON.stringify({ at: new Date().toISOString(), ...fields })}\n`);
  }
}
