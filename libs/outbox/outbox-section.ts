import { IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';

/** How a process sends the events it wrote. */
@Section('outbox')
export class OutboxConfig {
  /** Events sent in one transaction, at most. */
  @IsInt()
  @Min(1)
  @Max(10_000)
  batchEvents: number;

  /** While events come faster than each can be sent by itself, those of so long are sent together, ms. */
  @IsInt()
  @Min(0)
  @Max(1_000)
  gatherMs: number;

  /** Between two looks for events that nobody announced, ms. */
  @IsInt()
  @Min(10)
  pollMs: number;

  @IsInt()
  @Min(10)
  statementTimeoutMs: number;

  /** Instances of a process take turns, and may wait for each other so long, ms. */
  @IsInt()
  @Min(10)
  lockTimeoutMs: number;

  /** Before a try that failed is repeated, at first, ms. */
  @IsInt()
  @Min(1)
  retryMinMs: number;

  /** Before a try that failed is repeated, at most, ms. */
  @IsInt()
  @Min(1)
  retryMaxMs: number;

  /** When the process stops, sending what is left may take, ms. */
  @IsInt()
  @Min(0)
  @Max(10_000)
  drainMs: number;
}
