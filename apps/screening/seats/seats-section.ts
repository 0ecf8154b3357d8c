import { IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';

/** How seat maps are told live. */
@Section('seats')
export class SeatsConfig {
  /** Live streams of this process; more are refused. */
  @IsInt() @Min(1) @Max(100_000) streams: number;
  /** Between two signs of life on a stream, ms. */
  @IsInt() @Min(10) @Max(60_000) heartbeatMs: number;
  /** What happens to a map within so long is told together, ms. */
  @IsInt() @Min(0) @Max(5000) gatherMs: number;
  /** Between two looks at what is watched, for news that nobody announced, ms. */
  @IsInt() @Min(10) @Max(60_000) lookMs: number;
  /** Who was away for longer gets the whole map, s. */
  @IsInt() @Min(1) @Max(86_400) resumeSeconds: number;
  /** A reader with so much unread is dropped, bytes. */
  @IsInt() @Min(1024) @Max(16_777_216) slowBytes: number;
  /** How long a reader that lost us should wait before it asks again, ms. */
  @IsInt() @Min(0) @Max(60_000) retryMs: number;
}
