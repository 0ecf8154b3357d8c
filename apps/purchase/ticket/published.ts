import { Controller, Get, Header } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { JWK } from 'jose';
import { Public } from '#auth';
import { listShape, objectShape, shapes } from '#resource';
import { ticketKeys } from './key.js';

/** How long a door may go by what it has heard, seconds. */
const FRESH_SECONDS = 3600;
const { text } = shapes;
const JWK = objectShape({ kty: text, crv: text, x: text, kid: text, alg: text, use: text });
const JWK_SET = objectShape({ keys: listShape(JWK) });

/** What doors need to check tickets without asking anyone. */
@Controller('tickets')
@ApiTags('ticket')
export class TicketKeysController {
  /** The public keys of tickets, as a JSON Web Key Set. @source RFC 7517 §5 */
  @Get('keys')
  @Public()
  @Header('Cache-Control', `public, max-age=${FRESH_SECONDS}`)
  @Header('Content-Type', 'application/jwk-set+json')
  @ApiOperation({ operationId: 'ticketKeys', summary: 'Get the public keys that tickets are signed by' })
  @ApiResponse({
    status: 200,
    description: 'A JSON Web Key Set; tickets are compact JWS (EdDSA, typ `ticket`, aud `door`)',
    content: { 'application/jwk-set+json': { schema: JWK_SET } },
  })
  async keys(): Promise<{ keys: JWK[] }> {
    return { keys: (await ticketKeys()).map(({ publicJwk }) => publicJwk) };
  }
}
