import { IsArray, IsInt, IsOptional, IsTimeZone, IsUrl, Max, Min } from 'class-validator';
import { Section } from '#config';

/** How the provider is asked, believed and checked. */
@Section('payment')
export class PaymentConfig {
  /** For the provider to answer, ms. What takes longer is unknown, and asked again. */
  @IsInt() @Min(100) @Max(30_000) askMs: number;
  /** Before it is asked again, at first and at most, ms. */
  @IsInt() @Min(1) retryMinMs: number;
  @IsInt() @Min(1) retryMaxMs: number;
  /** Between two looks for payments and refunds that are due, ms. */
  @IsInt() @Min(10) pollMs: number;
  /** When the process stops, the one under way may take, ms. */
  @IsInt() @Min(0) @Max(10_000) drainMs: number;
  /** How old a webhook's signature may be, s. */
  @IsInt() @Min(1) @Max(3600) webhookSeconds: number;
  /** How long it is remembered which webhooks were taken, days. */
  @IsInt() @Min(1) @Max(365) rememberDays: number;
  /**
   * Places that a buyer may be sent back to, beside our own: `https://kiosk.example`. Anything else could lead
   * buyers from our provider's page to somebody else's.
   */
  @IsOptional() @IsArray() @IsUrl({ require_protocol: true, require_tld: false }, { each: true }) returnOrigins?: string[];
  /** The settlement of a day is compared on the next, from this hour of `timeZone` on. */
  @IsInt() @Min(0) @Max(23) reconcileHour: number;
  @IsTimeZone() timeZone: string;
  /** Days back that are compared when nobody was there to do it. */
  @IsInt() @Min(1) @Max(60) reconcileDays: number;
  /** Between two looks whether there is a day to compare, ms. */
  @IsInt() @Min(10) reconcilePollMs: number;
}
