import { Type } from 'class-transformer';
import {
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Matches,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import type { Role } from '#auth';
import { Section } from '#config';

const ROLES: readonly Role[] = ['customer', 'cashier', 'usher', 'manager', 'chain-admin', 'operator'];

/** A program that may ask for tokens. */
export class ClientEntry {
  /** Its name towards us. A secret named after it, `CLIENT_SECRET_<ID>`, proves that it is itself. */
  @IsString() @Matches(/^[a-z][a-z0-9-]{1,62}$/) id: string;

  /** What people read on the page that asks for their consent. */
  @IsString() name: string;

  /** Where people are sent back to. One that starts with a slash is below PUBLIC_URL. Without any, it only speaks for itself. */
  @IsOptional() @IsArray() @IsString({ each: true }) redirectUris: string[] = [];

  /** Where they are sent after signing out. */
  @IsOptional() @IsArray() @IsString({ each: true }) postLogoutRedirectUris: string[] = [];

  /** It runs where no secret can be kept: in a browser or on a phone. */
  @IsOptional() @IsBoolean() isPublic = false;

  /** It runs on the user's own machine, so a redirect to its loopback address may name any port (RFC 8252 §7.3). */
  @IsOptional() @IsBoolean() isNative = false;

  /** It is ours, so nobody is asked whether it may know them. */
  @IsOptional() @IsBoolean() isFirstParty = false;

  /** It may ask for tokens of its own (client credentials). */
  @IsOptional() @IsBoolean() speaksForItself = false;

  /** What its own tokens may do. */
  @IsOptional() @IsArray() @ArrayUnique() @IsIn(ROLES, { each: true }) roles: Role[] = [];
}

/** What the authorization server allows, and for how long. Every number may change while it runs. */
@Section('oauth')
export class OAuthConfig {
  @IsArray() @ValidateNested({ each: true }) @Type(() => ClientEntry) clients: ClientEntry[];

  /** Life of an access token, s. */
  @IsInt() @Min(30) @Max(300) accessTokenSeconds: number;
  /** Life of an ID token, s. */
  @IsInt() @Min(30) @Max(86_400) idTokenSeconds: number;
  /** Life of an authorization code, s. */
  @IsInt() @Min(10) @Max(600) codeSeconds: number;
  /** Between opening the sign-in page and having signed in, s. */
  @IsInt() @Min(60) @Max(86_400) interactionSeconds: number;
  /** A sign-in that nobody uses ends after, s. */
  @IsInt() @Min(300) sessionSeconds: number;

  /** Between the publication of a new signing key and its first signature, s. */
  @IsInt() @Min(1) @Max(3600) keySignsAfterSeconds: number;
  /** Between two looks at the keys, ms: the safety net below notifications. */
  @IsInt() @Min(100) keyPollMs: number;

  /** How long a revocation is told, s: longer than any token it ends still has. */
  @IsInt() @Min(300) revocationSeconds: number;
  /** Between two looks for revocations, ms: the safety net below notifications. */
  @IsInt() @Min(100) @Max(4000) revocationPollMs: number;
  /** Between two removals of what is over, ms. */
  @IsInt() @Min(100) clearMs: number;

  /** For a password to be checked, ms. */
  @IsInt() @Min(100) passwordMs: number;
  /** Wrong passwords for one account from one address in the window before it must pause. */
  @IsInt() @Min(1) wrongPerAccount: number;
  /** Wrong passwords, and other forms that cost us something, from one address in the window. */
  @IsInt() @Min(1) wrongPerAddress: number;
  /** The window, s. */
  @IsInt() @Min(1) windowSeconds: number;
  /** The first pause, s; each further wrong password doubles it, up to the limit. */
  @IsInt() @Min(1) pauseSeconds: number;
  @IsInt() @Min(1) pauseLimitSeconds: number;
  /** Largest form, bytes. */
  @IsInt() @Min(1024) formBytes: number;
  /** How long a browser keeps the style sheet, whose address changes with it, s. */
  @IsInt() @Min(0) assetSeconds: number;
}
