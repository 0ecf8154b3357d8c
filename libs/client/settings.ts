import { IsIn, IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';
import { BALANCER_NAMES, type BalancerName } from './balance.js';

/** How other services are called. Every field may change while calls run. */
@Section('client')
export class ClientConfig {
  /** Which instance gets the next request. */
  @IsIn(BALANCER_NAMES) balancer: BalancerName;
  /** Share of the newest answer in an instance's average response time, percent. */
  @IsInt() @Min(1) @Max(100) averagePercent: number;
  /** For all tries of a call whose request has no deadline, ms. */
  @IsInt() @Min(50) deadlineMs: number;
  /** For the registry's first word on a service that was not called before, ms. */
  @IsInt() @Min(0) firstWordMs: number;
  /** For a connection to be made, ms. */
  @IsInt() @Min(10) connectMs: number;
  /** How long an idle connection is kept, ms. */
  @IsInt() @Min(100) keepAliveMs: number;
  /** For a request body that is passed on as it comes, ms. */
  @IsInt() @Min(1000) uploadMs: number;
  /** A request body up to this size is read whole before it is passed on, and so can be sent again, bytes. */
  @IsInt() @Min(0) wholeBodyBytes: number;
  /** How long the body of an answer may stand still, ms. */
  @IsInt() @Min(100) bodyIdleMs: number;
  /** Largest answer that is read whole, bytes. */
  @IsInt() @Min(1024) bodyBytes: number;
  /** Tries of one request, the first included. */
  @IsInt() @Min(1) @Max(10) maxTries: number;
  /** Requests of the window that may be tried again, percent. */
  @IsInt() @Min(0) @Max(100) retryPercent: number;
  /** Retries that any window may hold, however few its requests. */
  @IsInt() @Min(0) retryMinimum: number;
  /** The window of the retry budget, s. */
  @IsInt() @Min(1) @Max(600) retryWindowSeconds: number;
  /** Failures in a row after which an instance gets no requests for a while. */
  @IsInt() @Min(1) ejectAfter: number;
  /** The first while, ms; it grows by as much each time. */
  @IsInt() @Min(10) ejectMs: number;
  /** The longest while, ms. */
  @IsInt() @Min(10) ejectLimitMs: number;
  /** Instances of a service that may be out at once, percent; one of several always may. */
  @IsInt() @Min(0) @Max(100) ejectPercent: number;
}
