import { Body, Controller, Get, HttpCode, Inject, Post, Query, ValidationPipe } from '@nestjs/common';
import { Ctx, EventPattern } from '@nestjs/microservices';
import { Type } from 'class-transformer';
import { IsEmail, IsInt, Max, Min, type ValidationError } from 'class-validator';
import { AllowClients, Public } from '#auth';
import { BusContext } from '#bus';
import { environment } from '#config';
import { invalidInput, Problem } from '#problem';
import type { UserState } from '../user/user.events.js';
import { Keys } from './keys/keys.js';
import { OAuthConfig } from './oauth-section.js';
import { mayGoOn, Accounts } from './provider/accounts.js';
import { Authority } from './provider/authority.js';
import { resourceServer } from './provider/configuration.js';
import { RESOURCE } from './provider/tokens.js';
import { Records } from './store/records.js';
import { Revocations } from './store/revocations.js';

/** From which revocation on, and how long to wait for one. */
export class RevocationsQuery {
  @Type(() => Number) @IsInt() @Min(0) after = 0;
  @Type(() => Number) @IsInt() @Min(0) @Max(20) waitSeconds = 0;
}

/** Whose token to make. */
export class TokenRequest {
  @IsEmail() email: string;
}

const faults = (errors: ValidationError[]) =>
  invalidInput(
    errors.map(({ property, constraints = {} }) => ({ pointer: `/${property}`, detail: Object.values(constraints).join(', ') })),
  );
const checked = new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true, exceptionFactory: faults });

/** What the mesh asks of its authorization server; nothing here is shown at the gateway. */
@Controller('internal')
export class InternalController {
  constructor(
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(Keys) private readonly keys: Keys,
    @Inject(Accounts) private readonly accounts: Accounts,
    @Inject(Authority) private readonly authority: Authority,
    @Inject(OAuthConfig) private readonly config: OAuthConfig,
  ) {}

  /** What was revoked after a number, as soon as there is something. Ids tell nothing to whoever has not the token. */
  @Get('revocations')
  @Public()
  async revoked(@Query(checked) { after, waitSeconds }: RevocationsQuery) {
    return this.revocations.news(after, waitSeconds * 1000);
  }

  /** Publish a new signing key. */
  @Post('keys/rotate')
  @HttpCode(200)
  @AllowClients('mesh-cli')
  async rotate() {
    const { kid, signsAt } = await this.keys.rotate();
    return { kid, signsAt: signsAt.toISOString() };
  }

  /** An access token of a user, to try things out with. @throws Problem `not-found` (404), in the production profile always */
  @Post('tokens')
  @HttpCode(200)
  @AllowClients('mesh-cli')
  async token(@Body(checked) { email }: TokenRequest) {
    const { profile } = environment();
    if (profile !== 'dev' && profile !== 'test') throw new Problem('not-found', 404, `there is nothing at this address`);
    const account = await this.accounts.findByEmail(email);
    if (!account || !mayGoOn(account)) throw new Problem('not-found', 404, `nobody can sign in as ${email}`);
    const { provider } = this.authority;
    const client = await provider.Client.find('mesh-cli');
    if (!client) throw new Problem('not-found', 404, 'the client mesh-cli has no secret here');
    const grant = new provider.Grant({ accountId: account.id, clientId: client.clientId });
    const scope = 'openid profile email roles';
    grant.addOIDCScope(scope);
    grant.addResourceScope(RESOURCE, scope);
    const grantId = await grant.save();
    const token = new provider.AccessToken({ accountId: account.id, client, grantId, gty: 'development' });
    token.scope = scope;
    token.resourceServer = new provider.ResourceServer(RESOURCE, resourceServer);
    return { access_token: await token.save(), expires_in: this.config.accessTokenSeconds };
  }
}

/** Follows the users: where one is disabled, loses a role, or has another password, all that began before is over. */
@Controller()
export class UserListener {
  constructor(@Inject(Records) private readonly records: Records) {}

  @EventPattern('user.changed')
  changed(@Ctx() { event }: BusContext<UserState>) {
    return this.end(event);
  }

  @EventPattern('user.erased')
  erased(@Ctx() { event }: BusContext<UserState>) {
    return this.end(event);
  }

  private async end({ key, body }: BusContext<UserState>['event']): Promise<void> {
    if (body.signedOutAt !== undefined) await this.records.endAccount(key, new Date(body.signedOutAt));
  }
}
