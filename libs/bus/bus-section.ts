import { IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';

/** How a process reads events. */
@Section('bus')
export class BusConfig {
  /** Partitions worked on at a time, each with a connection of its own. */
  @IsInt()
  @Min(1)
  @Max(16)
  parallel: number;

  /** Events handled in one transaction, at most. */
  @IsInt()
  @Min(1)
  @Max(10_000)
  batchEvents: number;

  /** Bytes of bodies read at a time, at most; always at least one event. */
  @IsInt()
  @Min(1024)
  batchBytes: number;

  /** After so long a batch commits what it has done, ms. */
  @IsInt()
  @Min(1)
  batchMs: number;

  /** The handlers of one event may take, ms. */
  @IsInt()
  @Min(10)
  handlerMs: number;

  /** A handler's statement may take, ms. */
  @IsInt()
  @Min(10)
  statementTimeoutMs: number;

  /** A handler's statement may wait for a lock, ms. */
  @IsInt()
  @Min(10)
  lockTimeoutMs: number;

  /** Between two looks for events that nobody announced, ms. */
  @IsInt()
  @Min(10)
  pollMs: number;

  /** Before another look at a partition that another instance holds, ms. */
  @IsInt()
  @Min(1)
  busyMs: number;

  /** Before an event that failed is tried again, at first, ms. */
  @IsInt()
  @Min(1)
  retryMinMs: number;

  /** Before an event that failed is tried again, at most, ms. */
  @IsInt()
  @Min(1)
  retryMaxMs: number;

  /** An event that failed so often through a fault of its own is parked, … */
  @IsInt()
  @Min(1)
  parkAfterTries: number;

  /** … and not before so long after the first time, ms. */
  @IsInt()
  @Min(0)
  parkAfterMs: number;

  /** While views are rebuilt: without a word for so long, another instance begins anew, ms. */
  @IsInt()
  @Min(1000)
  rebuildLeaseMs: number;

  /** How long events are kept that are not the last of their key, days. */
  @IsInt()
  @Min(1)
  @Max(3650)
  keepDays: number;

  /** Between two removals of older ones, ms. */
  @IsInt()
  @Min(1000)
  @Max(2 ** 31 - 1)
  compactEveryMs: number;

  /** When the process stops, the batch under way may take, ms. */
  @IsInt()
  @Min(0)
  @Max(10_000)
  drainMs: number;
}
