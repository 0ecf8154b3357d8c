import { ecsFormat } from '@elastic/ecs-winston-format';
import type { LoggerService } from '@nestjs/common';
import { createLogger, type Logger, type transport } from 'winston';
import { context } from '#context';
import { screenTransport, SpoolTransport } from './transports.js';
import type { Spool } from './spool.js';
import { clean, isError, type Fields } from './fields.js';

export { Spool, type SpoolOptions } from './spool.js';
export type { Fields } from './fields.js';

/** How much a line matters, least first. */
export type Level = 'debug' | 'info' | 'warn' | 'error';

/** Whose lines they are, and where they go. */
export interface LogOptions {
  /** The process's name, `movie-command`. */
  service: string;
  version: string;
  /** The profile: dev, test, production. */
  environment: string;
  /** Where lines go for the shipper; none in tests. */
  spool?: Spool;
  /** What a terminal sees: short coloured lines, the JSON itself, or nothing. */
  screen?: 'pretty' | 'json' | 'none';
  level?: Level;
  /** Field names whose values are never written, whatever their case. */
  mask?: readonly string[];
}

/**
 * One ECS JSON line per event, with the trace and user of the current context.
 * The message is a constant phrase; all that varies goes into fields. Keys with a dot are ECS fields, others appear under `mesh`.
 *
 * @source Elastic Common Schema
 */
export class Log {
  constructor(
    private readonly winston: Logger,
    private readonly options: LogOptions,
    private readonly dataset: string,
  ) {}

  debug(message: string, fields?: Fields): void {
    this.write('debug', message, fields);
  }

  info(message: string, fields?: Fields): void {
    this.write('info', message, fields);
  }

  warn(message: string, fields?: Fields): void {
    this.write('warn', message, fields);
  }

  error(message: string, fields?: Fields): void {
    this.write('error', message, fields);
  }

  /** The same log under another `event.dataset`, `<service>.<dataset>`. */
  child(dataset: string): Log {
    return new Log(this.winston, this.options, `${this.options.service}.${dataset}`);
  }

  /** Change what is written from now on: the least level, and the field names whose values never are. */
  configure({ level, mask }: { level: Level; mask?: readonly string[] }): void {
    this.winston.level = level;
    if (mask) this.options.mask = mask;
  }

  /** Wait until all lines so far are on disk. */
  async flush(): Promise<void> {
    await this.options.spool?.flush();
  }

  /** What Nest itself wants to say, as lines of ours. */
  forNest(): LoggerService {
    const say =
      (level: Level) =>
      (message: unknown, ...rest: unknown[]) => {
        const error = isError(message) ? message : rest.find(isError);
        const text = isError(message) ? message.message : String(message);
        this.write(level, 'framework message', { text, origin: String(rest.at(-1) ?? ''), ...(error ? { error } : {}) });
      };
    return {
      log: say('debug'),
      error: say('error'),
      warn: say('warn'),
      debug: say('debug'),
      verbose: say('debug'),
      fatal: say('error'),
    };
  }

  private write(level: Level, message: string, fields: Fields = {}) {
    if (!this.winston.isLevelEnabled(level)) return;
    const now = context();
    this.winston.log(level, message, {
      'service.name': this.options.service,
      'service.version': this.options.version,
      'service.environment': this.options.environment,
      'event.dataset': this.dataset,
      ...(now ? { 'trace.id': now.traceId, 'span.id': now.spanId } : {}),
      ...(now?.caller ? { 'user.id': now.caller.id } : {}),
      ...clean(fields, this.options.mask ?? []),
    });
  }
}

/** The log of one process. */
export function createLog(options: LogOptions): Log {
  const { spool, screen = 'none', level = 'info' } = options;
  const transports: transport[] = [];
  if (spool) transports.push(new SpoolTransport(spool));
  if (screen !== 'none') transports.push(screenTransport(screen));
  const silent = transports.length === 0;
  const winston = createLogger({ level, silent, format: ecsFormat({ apmIntegration: false, convertErr: false }), transports });
  return new Log(winston, options, options.service);
}

/** A log that says nothing, for tests. */
export const silentLog: Log = createLog({ service: 'test', version: '0', environment: 'test' });
