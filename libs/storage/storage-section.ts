import { IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';

/** How a process uses its database. */
@Section('storage')
export class StorageConfig {
  /** Connections at most; none are kept while nothing is asked. */
  @IsInt()
  @Min(1)
  @Max(50)
  poolSize: number;

  /** Further connections at most, for statements that are transactions of their own and do not wait for each other's answers. */
  @IsInt()
  @Min(1)
  @Max(50)
  lanes: number;

  /** An idle connection is closed after, ms. */
  @IsInt()
  @Min(100)
  idleMs: number;

  /** A request's statement may take, ms. */
  @IsInt()
  @Min(10)
  statementTimeoutMs: number;

  /** A request's statement may wait for a lock, ms. */
  @IsInt()
  @Min(10)
  lockTimeoutMs: number;

  /** A transaction whose owner does nothing is rolled back after, ms. */
  @IsInt()
  @Min(100)
  idleTransactionMs: number;

  /** For a connection, new or out of the pool, a request waits, ms. */
  @IsInt()
  @Min(10)
  connectTimeoutMs: number;

  /** Requests that may wait for a connection at a time; the next is refused at once. */
  @IsInt()
  @Min(1)
  maxWaiting: number;

  /** Migrations of a process may take, ms. */
  @IsInt()
  @Min(1000)
  migrationTimeoutMs: number;

  /** Between two tries to reach the database, at first and at most, ms. */
  @IsInt()
  @Min(10)
  retryMinMs: number;

  @IsInt()
  @Min(10)
  retryMaxMs: number;
}
