import { styleText } from 'node:util';
import { transports, type transport } from 'winston';
import Transport from 'winston-transport';
import type { Spool } from './spool.js';

const MESSAGE = Symbol.for('message');
type Line = Record<string | symbol, unknown>;

/** Hands finished lines to the spool. */
export class SpoolTransport extends Transport {
  constructor(private readonly spool: Spool) {
    super();
  }

  override log(line: Line, done: () => void) {
    const level = line['log.level'];
    this.spool.append(String(line[MESSAGE]), level === 'debug' || level === 'info');
    done();
  }
}

const COLOUR = { debug: 'gray', info: 'cyan', warn: 'yellow', error: 'red' } as const;

/** A line for people: time, level, service, phrase, then what varies. */
function pretty(line: Line): string {
  const level = String(line['log.level']) as keyof typeof COLOUR;
  const own = Object.entries((line.mesh as Record<string, unknown> | undefined) ?? {});
  const said = own.map(([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
  const error = line['error.message'] ? `\n  ${String(line['error.stack_trace'] ?? line['error.message'])}` : '';
  const time = String(line['@timestamp']).slice(11, 23);
  const head = `${time} ${styleText(COLOUR[level], level.padEnd(5))} ${String(line['service.name'])} ${String(line.message)}`;
  return `${head}${said.length ? ` ${said.join(' ')}` : ''}${error}`;
}

/** Lines on the standard error stream, which leaves standard output to what a command answers. */
export function screenTransport(kind: 'pretty' | 'json'): transport {
  const screen = new transports.Console({ stderrLevels: ['debug', 'info', 'warn', 'error'], forceConsole: false });
  if (kind === 'json') return screen;
  return Object.assign(screen, {
    format: { transform: (line: Line) => Object.assign({}, line, { [MESSAGE]: pretty(line) }) },
  });
}
