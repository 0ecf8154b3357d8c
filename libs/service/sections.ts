import { ArrayMinSize, IsArray, IsIn, IsInt, IsString, Max, Min } from 'class-validator';
import { Section } from '#config';
import type { Level } from '#log';

/** What every process's log does. */
@Section('log')
export class LogConfig {
  /** The least level that is written. */
  @IsIn(['debug', 'info', 'warn', 'error'])
  level: Level;

  /** Field names whose values are never written. */
  @IsArray()
  @ArrayMinSize(1)
  @IsString({ each: true })
  mask: string[];
}

/** What every process's HTTP server does. */
@Section('service')
export class ServiceConfig {
  /** Between leaving discovery and refusing requests, ms. */
  @IsInt()
  @Min(0)
  @Max(10_000)
  drainMs: number;

  /** For requests under way after that, ms. */
  @IsInt()
  @Min(0)
  @Max(30_000)
  closeMs: number;

  /** Largest request body, bytes. */
  @IsInt()
  @Min(1024)
  bodyBytes: number;

  /** Deepest nesting of a JSON body, levels. */
  @IsInt()
  @Min(4)
  @Max(1000)
  jsonDepth: number;

  /** Members of all objects and lists of a JSON body together. */
  @IsInt()
  @Min(100)
  jsonMembers: number;

  /** For the head of a request to arrive, ms. */
  @IsInt()
  @Min(100)
  headersTimeoutMs: number;

  /** How long an idle connection is kept, ms. */
  @IsInt()
  @Min(1000)
  keepAliveMs: number;
}
