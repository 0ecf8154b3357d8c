import { IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';

/** What the public door allows. Every field may change while it runs. */
@Section('gateway')
export class GatewayConfig {
  /** To the head of an answer, all tries together, ms. */
  @IsInt() @Min(50) routeMs: number;
  /** Largest request body, bytes. */
  @IsInt() @Min(1024) bodyBytes: number;
  /** Most header fields of a request. */
  @IsInt() @Min(10) @Max(1000) headerCount: number;
  /** Longest path with its query, bytes. */
  @IsInt() @Min(256) targetBytes: number;
  /** How long a connection stays open after a body was refused unread, ms. */
  @IsInt() @Min(0) @Max(10_000) lingerMs: number;
  /** How long a route is remembered after its last instance left, ms. */
  @IsInt() @Min(0) keepRouteMs: number;
  /** To get a service's OpenAPI document, ms. */
  @IsInt() @Min(50) documentMs: number;
  /** How long browsers keep the pages' scripts and styles, s. */
  @IsInt() @Min(0) assetSeconds: number;
}
