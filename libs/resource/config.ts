import { IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';

/** The numbers of the REST conventions. */
@Section('resource')
export class ResourceConfig {
  /** Items of a list when the caller names no `limit`. */
  @IsInt() @Min(1) @Max(1000) pageItems: number;
  /** The largest `limit`. */
  @IsInt() @Min(1) @Max(1000) maxPageItems: number;
  /** How alike a word must be to be found, percent of common trigrams. */
  @IsInt() @Min(10) @Max(100) searchSimilarityPercent: number;
  /** The longest thing to search for, characters. */
  @IsInt() @Min(1) @Max(1000) maxSearchLength: number;
  /** How long `Min-Version` waits for the projection, ms. */
  @IsInt() @Min(0) @Max(5000) minVersionWaitMs: number;
  /** Between two looks while it waits, ms. */
  @IsInt() @Min(5) @Max(1000) minVersionPollMs: number;
  /** How long an answer is given again for its Idempotency-Key, seconds. */
  @IsInt() @Min(60) idempotencyTtlSeconds: number;
  /** How long a repeated request waits for the first one's answer, ms. */
  @IsInt() @Min(0) @Max(5000) idempotencyWaitMs: number;
  /** Between two looks while it waits, ms. */
  @IsInt() @Min(5) @Max(1000) idempotencyPollMs: number;
  /** Between two clearings of expired keys, ms. */
  @IsInt() @Min(1000) idempotencyClearMs: number;
}
