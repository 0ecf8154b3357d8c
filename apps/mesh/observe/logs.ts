import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { styleText } from 'node:util';
import { environment } from '#config';
import { print } from '../operate/print.js';

/** Without a trace to look for, only so much of each file's end is read, bytes. */
const TAIL_BYTES = 1_000_000;
/** Between two looks for new lines, ms. */
const FOLLOW_MS = 200;
const LEVELS = ['debug', 'info', 'warn', 'error'];
const COLOUR: Record<string, Parameters<typeof styleText>[0]> = { debug: 'gray', info: 'cyan', warn: 'yellow', error: 'red' };

/** Which lines are wanted. */
export interface LogWish {
  process?: string;
  level?: string;
  trace?: string;
  lines: number;
  follow?: boolean;
  json?: boolean;
}

/** A line of the spool. */
export type LogLine = Record<string, unknown>;

/** `mesh logs`: the last lines of the spool, all processes together in order of time. */
export async function logs(wish: LogWish): Promise<void> {
  const dir = join(environment().dataDir, 'spool');
  const show = (line: LogLine) =>
    print(wish.json ? JSON.stringify(line) : pretty(line, process.stdout.isTTY && process.stdout.hasColors()));
  const places = new Map<string, number>();
  const found: LogLine[] = [];
  for (const file of spoolFiles(dir)) {
    const { size } = statSync(file);
    for await (const line of linesOf(file, wish.trace ? 0 : Math.max(0, size - TAIL_BYTES), size))
      if (isWanted(line, wish)) found.push(line);
    places.set(file, size);
  }
  for (const line of found.sort(byTime).slice(-wish.lines)) show(line);
  while (wish.follow) {
    await pause(FOLLOW_MS);
    for (const line of (await news(dir, places)).filter((line) => isWanted(line, wish)).sort(byTime)) show(line);
  }
}

/** What was written since the last look. A line half written is left for the next. */
async function news(dir: string, places: Map<string, number>): Promise<LogLine[]> {
  const fresh: LogLine[] = [];
  for (const file of spoolFiles(dir)) {
    const from = places.get(file) ?? 0;
    const { size } = statSync(file);
    if (size <= from) continue;
    for await (const line of linesOf(file, from, size)) fresh.push(line);
    places.set(file, size);
  }
  return fresh;
}

const spoolFiles = (dir: string) =>
  existsSync(dir)
    ? readdirSync(dir)
        .filter((file) => file.endsWith('.ndjson'))
        .map((file) => join(dir, file))
    : [];

async function* linesOf(file: string, start: number, end: number): AsyncGenerator<LogLine> {
  if (end <= start) return;
  for await (const text of createInterface({ input: createReadStream(file, { start, end: end - 1 }) })) {
    const line = parsed(text);
    if (line) yield line;
  }
}

function parsed(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined; // the cut head of a tail, or the torn end after a crash
  }
}

/** Whether a line is one of those wished for. */
export function isWanted(line: LogLine, { process, level, trace }: Pick<LogWish, 'process' | 'level' | 'trace'>): boolean {
  if (process && line['service.name'] !== process) return false;
  if (trace && line['trace.id'] !== trace) return false;
  return !level || LEVELS.indexOf(String(line['log.level'])) >= LEVELS.indexOf(level);
}

const byTime = (a: LogLine, b: LogLine) => String(a['@timestamp']).localeCompare(String(b['@timestamp']));
const SAID_ELSEWHERE = /^(@timestamp|log\.level|message|service\.|ecs\.version|event\.dataset|process\.|mesh$|error\.)/;

/** A line for people: time, level, process, phrase, then what varies. */
export function pretty(line: LogLine, colour: boolean): string {
  const level = String(line['log.level']);
  const paint = (text: string) => (colour ? styleText(COLOUR[level] ?? 'white', text, { validateStream: false }) : text);
  const fields = {
    ...(line.mesh as object | undefined),
    ...Object.fromEntries(Object.entries(line).filter(([key]) => !SAID_ELSEWHERE.test(key))),
  };
  const said = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const error = line['error.message']
    ? `\n    ${String(line['error.stack_trace'] ?? line['error.message']).replaceAll('\n', '\n    ')}`
    : '';
  const head = `${String(line['@timestamp']).slice(11, 23)} ${paint(level.padEnd(5))} ${String(line['service.name'])}`;
  return `${head}  ${String(line.message)}${said.length ? `  ${said.join(' ')}` : ''}${error}`;
}
