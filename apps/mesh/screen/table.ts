import { styleText } from 'node:util';

/** One line of the table: a process, or PostgreSQL. */
export interface Row {
  name: string;
  state: string;
  /** What it waits for, or why it failed; empty when all is well. */
  detail: string;
  /** Since when it has been in this state, ms since the epoch. */
  sinceMs: number;
}

/** What the screen shows while things go on. */
export interface View {
  rows: Row[];
  /** The import of the demonstration's films. */
  films?: { done: number; total: number };
  /** What comes after them: its cinemas, then their screenings. */
  chain?: { what: string; done: number; total: number };
}

/** How the terminal takes it. */
export interface Look {
  colour: boolean;
  /** Characters in a line. */
  width: number;
  /** Lines of the terminal: more than it has cannot be rewritten. */
  height?: number;
}

type Paint = Parameters<typeof styleText>[0];
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const SPIN_MS = 80;
const GOOD = new Set(['ready']);
const BAD = new Set(['failed', 'restarting', 'degraded']);
const QUIET = new Set(['stopped', 'elsewhere']);

/** The films' line: `films 1,203 of 3,201`. */
export const filmsText = ({ done, total }: { done: number; total: number }): string =>
  `${done.toLocaleString('en')} of ${total.toLocaleString('en')} films imported`;

/** What of the demonstration is on its way; nothing when it is all there. */
export function demoText({ films, chain }: Pick<View, 'films' | 'chain'>): string | undefined {
  if (films && films.done < films.total) return filmsText(films);
  if (!chain || (chain.what === 'screenings' && chain.done >= chain.total)) return undefined;
  return `${chain.done.toLocaleString('en')} of ${chain.total.toLocaleString('en')} ${chain.what} of the demonstration`;
}

const seconds = (ms: number) => `${(Math.max(0, ms) / 1000).toFixed(1)} s`;

function mark(state: string, nowMs: number): [string, Paint] {
  if (GOOD.has(state)) return ['✔', 'green'];
  if (BAD.has(state)) return ['✖', 'red'];
  if (QUIET.has(state)) return ['·', 'gray'];
  return [SPINNER[Math.floor(nowMs / SPIN_MS) % SPINNER.length] ?? '·', 'yellow'];
}

/** Rows that a terminal can show: when there are more, those that are ready become one. */
function fitting(rows: readonly Row[], height: number): readonly Row[] {
  if (rows.length < height - 1) return rows;
  const ready = rows.filter(({ state }) => GOOD.has(state));
  const others = rows.filter(({ state }) => !GOOD.has(state));
  return [{ name: `${ready.length} of ${rows.length}`, state: 'ready', detail: '', sinceMs: 0 }, ...others.slice(0, Math.max(0, height - 4))]; // prettier-ignore
}

/** The live table: a line for each row, then what of the demonstration is on its way. */
export function tableLines(view: View, nowMs: number, { colour, width, height = Infinity }: Look): string[] {
  const coming = demoText(view);
  const rows = fitting(view.rows, height);
  const paint = (how: Paint, text: string) => (colour ? styleText(how, text, { validateStream: false }) : text);
  const nameWidth = Math.max(0, ...rows.map(({ name }) => name.length));
  const stateWidth = Math.max(0, ...rows.map(({ state }) => state.length));
  const lines = rows.map(({ name, state, detail, sinceMs }) => {
    const [sign, how] = mark(state, nowMs);
    const time = GOOD.has(state) || QUIET.has(state) ? '' : seconds(nowMs - sinceMs);
    const rest = [time, detail].filter(Boolean).join('  ');
    const room = Math.max(0, width - nameWidth - stateWidth - 9);
    return `  ${paint(how, sign)} ${name.padEnd(nameWidth)}  ${paint(how, state.padEnd(stateWidth))}  ${cut(rest, room)}`.trimEnd();
  });
  return coming ? [...lines, `  ${paint('yellow', '⋯')} ${coming}`] : lines;
}

/** A row as a line of its own, for where nothing can be rewritten. */
export const plainLine = ({ name, state, detail }: Row): string => `${name} ${state}${detail ? `: ${detail}` : ''}`;

const cut = (text: string, room: number) => (text.length > room ? `${text.slice(0, Math.max(0, room - 1))}…` : text);
