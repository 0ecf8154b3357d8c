import { IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';

/** How a process talks to the registry, and what the registry does for it. */
@Section('discovery')
export class DiscoveryConfig {
  /** The registry asks each instance how it is this often, ms. */
  @IsInt() @Min(100) @Max(60_000) checkIntervalMs: number;
  /** An instance that does not answer within this is ill, ms. */
  @IsInt() @Min(50) @Max(60_000) checkTimeoutMs: number;
  /** An instance that was ill for this long is forgotten, seconds. A Consul server takes no less than 60. */
  @IsInt() @Min(60) @Max(86_400) deregisterSeconds: number;
  /** A question that waits for news comes back empty after this, seconds. */
  @IsInt() @Min(1) @Max(600) waitSeconds: number;
  /** Any other request to the registry has failed after this, ms. */
  @IsInt() @Min(50) @Max(60_000) requestMs: number;
  /** First pause after a failure, ms; it doubles with each further one. */
  @IsInt() @Min(1) @Max(10_000) backoffMs: number;
  /** Longest pause, ms. */
  @IsInt() @Min(10) @Max(60_000) backoffLimitMs: number;
  /** A pause is this much longer or shorter by chance, percent. */
  @IsInt() @Min(0) @Max(90) jitterPercent: number;
  /** After the registry was away, what it does not know any more is still used for this long, ms. */
  @IsInt() @Min(0) @Max(600_000) returnMs: number;
  /** With more than this part of a service's instances ill, all are tried, percent. */
  @IsInt() @Min(0) @Max(100) panicPercent: number;
}

/** The n-th pause after failures in a row, ms: doubling from the first up to the limit, and jittered, so that a mesh does not come back as one. */
export function pauseMs(config: DiscoveryConfig, failuresInARow: number): number {
  const { backoffMs, backoffLimitMs, jitterPercent } = config;
  const whole = Math.min(backoffMs * 2 ** Math.min(failuresInARow - 1, 16), backoffLimitMs);
  return whole * (1 + ((Math.random() * 2 - 1) * jitterPercent) / 100);
}
