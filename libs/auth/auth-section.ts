import { IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';

/** How a process verifies who is calling. */
@Section('auth')
export class AuthConfig {
  /** Between two fetches of the issuer's keys, whatever tokens arrive, ms. */
  @IsInt()
  @Min(10)
  @Max(600_000)
  keysMinAgeMs: number;

  /** Keys older than this are fetched again when they are next used, ms. */
  @IsInt()
  @Min(1000)
  keysMaxAgeMs: number;

  /** Before another try when the issuer could not be asked, ms. */
  @IsInt()
  @Min(10)
  retryMs: number;

  /** How long the issuer may hold an answer about revoked tokens until there is news, s. */
  @IsInt()
  @Min(1)
  @Max(20)
  feedWaitSeconds: number;

  /** How long a revocation is remembered, s: the life of a token and the tolerance. */
  @IsInt()
  @Min(10)
  rememberSeconds: number;

  /** How long a request may wait for the keys and the first news of revocations, ms. */
  @IsInt()
  @Min(10)
  firstWordMs: number;

  /** Tokens whose verification is remembered at the gateway. */
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  cacheTokens: number;
}
