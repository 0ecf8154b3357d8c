import { IsIn, IsInt, IsString, Matches, Max, Min } from 'class-validator';
import { Section } from '#config';

/** What can become of a payment, so that a shop can be tried out with each. `config/provider.yml` tells what each one does. */
export const SCENARIOS = ['approve', 'decline', 'redirect', 'slow', 'twice', 'silent', 'late'] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** How the sandbox provider behaves. Every field may change while it runs. */
@Section('provider')
export class ProviderConfig {
  /** What becomes of a payment that names no scenario. */
  @IsIn(SCENARIOS) mode: Scenario;
  /** What becomes of refunds: done at once, done after `lateMs`, or refused with 503. */
  @IsIn(['done', 'late', 'unavailable']) refunds: 'done' | 'late' | 'unavailable';
  /** How long the answer takes in `slow`, ms. */
  @IsInt() @Min(0) @Max(60_000) slowMs: number;
  /** How long the decision takes in `late` and `silent`, ms. */
  @IsInt() @Min(0) @Max(86_400_000) lateMs: number;
  /** How long a buyer has on our page, minutes; then the payment is declined. */
  @IsInt() @Min(1) @Max(1440) pageMinutes: number;
  /** Who is told what became of payments, by its name in discovery, and where. */
  @IsString() @Matches(/^[a-z][a-z0-9-]*$/) notifyService: string;
  @IsString() @Matches(/^\/[\w/-]*$/) notifyPath: string;
  /** For a webhook to be answered, ms. */
  @IsInt() @Min(100) @Max(30_000) notifyTimeoutMs: number;
  /** Before a webhook that failed is sent again, at first and at most, ms. */
  @IsInt() @Min(1) notifyMinMs: number;
  @IsInt() @Min(1) notifyMaxMs: number;
  /** After this a webhook is given up, hours. */
  @IsInt() @Min(1) @Max(720) notifyGiveUpHours: number;
  /** Between two looks for what is due, ms. */
  @IsInt() @Min(10) pollMs: number;
  /** When the process stops, the webhook under way may take, ms. */
  @IsInt() @Min(0) @Max(10_000) drainMs: number;
}
