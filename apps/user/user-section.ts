import { IsEmail, IsIn, IsInt, Matches, Max, Min } from 'class-validator';
import { Section } from '#config';

/** What a registration waits for before its account can sign in. */
export type Confirmation = 'none' | 'email' | 'administrator';

/** How accounts are made, kept and written to. */
@Section('user')
export class UserConfig {
  @IsIn(['none', 'email', 'administrator']) confirmation: Confirmation;
  /** The first administrator's, whom `mesh` makes at the first start. */
  @IsEmail() @Matches(/^[\x21-\x7e]+$/) firstAdministrator: string;

  /** argon2id: memory of one hash, KiB. */
  @IsInt() @Min(8) @Max(1_048_576) hashMemoryKib: number;
  /** argon2id: how often it goes over its memory. */
  @IsInt() @Min(1) @Max(100) hashPasses: number;
  /** argon2id: lanes. */
  @IsInt() @Min(1) @Max(16) hashLanes: number;
  /** Hashes computed at once. */
  @IsInt() @Min(1) @Max(64) hashesAtOnce: number;
  /** Hashes that may wait for their turn; more are refused. */
  @IsInt() @Min(1) hashesWaiting: number;

  /** Wrong current passwords that one account may give within `wrongPasswordSeconds`. */
  @IsInt() @Min(1) @Max(1000) wrongPasswords: number;
  @IsInt() @Min(1) wrongPasswordSeconds: number;

  /** How long a link to confirm an address holds, hours. */
  @IsInt() @Min(1) @Max(720) confirmLinkHours: number;
  /** How long a link to set a new password holds, minutes. */
  @IsInt() @Min(1) @Max(1440) resetLinkMinutes: number;
  /** Between two such links to one account, seconds: nobody can fill another's mailbox. */
  @IsInt() @Min(0) @Max(3600) resetEverySeconds: number;

  /** Accounts that one address may make in `registrationSeconds`. */
  @IsInt() @Min(1) @Max(100_000) registrations: number;
  /** s. */
  @IsInt() @Min(1) @Max(86_400) registrationSeconds: number;
}
