import { IsInt, IsOptional, IsString, IsUrl, Max, Min } from 'class-validator';
import { Section } from '#config';

/** How e-mails leave a process. */
@Section('mail')
export class MailConfig {
  /** Who our e-mails are from. */
  @IsString() from: string;
  /** Where e-mails are put as files while there is no SMTP server; relative to the data folder. */
  @IsString() outboxFolder: string;
  /** The SMTP server, `smtps://user@host`; the secret SMTP_URL wins. */
  @IsOptional() @IsUrl({ protocols: ['smtp', 'smtps'], require_protocol: true, require_tld: false }) smtpUrl?: string;
  /** For one e-mail to be taken by that server, ms. */
  @IsInt() @Min(100) @Max(120_000) smtpTimeoutMs: number;
  /** E-mails that one instance sends at a time. */
  @IsInt() @Min(1) @Max(50) atOnce: number;
  /** After these, before the next, ms: what they are made with is left to requests meanwhile. */
  @IsInt() @Min(0) @Max(60_000) restMs: number;
  /** Between two looks for e-mails that nobody announced, ms. */
  @IsInt() @Min(10) pollMs: number;
  /** Before an e-mail that failed is tried again, at first and at most, ms. */
  @IsInt() @Min(1) retryMinMs: number;
  @IsInt() @Min(1) retryMaxMs: number;
  /** After this an e-mail is given up, hours. */
  @IsInt() @Min(1) giveUpHours: number;
  /** When the process stops, the e-mails under way may take, ms. */
  @IsInt() @Min(0) @Max(10_000) drainMs: number;
}
