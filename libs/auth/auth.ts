import { randomUUID } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Inject, Injectable, type Provider, type Type } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';
import { type Caller, context } from '#context';
import { Problem } from '#problem';
import { accessOf, isAllowed, knowsCallers } from './access.js';
import { insufficient, invalidToken, withoutToken } from './refusal.js';
import { jwtStrategy, type TokenIssuer } from './token.js';

export { type Access, accessOf, Allow, AllowClients, Guest, isAllowed, knowsCallers, Public, type Role } from './access.js';
export { AuthConfig } from './auth-section.js';
export { meshIssuer } from './issuer.js';
export { type Keys, KeySet } from './keys.js';
export { insufficient, withoutToken } from './refusal.js';
export { type Revocations, RevocationFeed, type Revoked } from './revocations.js';
export { type TokenIssuer, Verifier } from './token.js';

/** Who is calling now. @throws Problem `unauthenticated` (401) when nobody is known: the route lacks @Allow */
export function currentCaller(): Caller {
  const caller = context()?.caller;
  if (!caller) throw withoutToken('this needs an access token');
  return caller;
}

/** A guard over one passport strategy that answers with problems. */
function tokenGuard(strategy: string): Type<CanActivate> {
  @Injectable()
  class TokenGuard extends AuthGuard(strategy) {
    override handleRequest<T>(error: unknown, caller: T | false, info?: unknown): T {
      if (error) throw error as Error;
      if (caller) return caller;
      if (info instanceof Problem) throw info;
      const why = info instanceof Error ? info.message : '';
      throw why === 'No auth token' ? withoutToken() : invalidToken(why || 'it is not valid');
    }
  }
  return TokenGuard;
}

/**
 * What makes a process ask who is calling: a passport-jwt strategy and a guard in front of every route, which denies all that is
 * neither `@Public()` nor `@Allow(…)` nor `@AllowClients(…)`.
 *
 * @param issuer  whose tokens are accepted
 */
export function authProviders(issuer: TokenIssuer): Provider[] {
  // Passport keeps strategies by name in one global table: folded processes must not replace each other's.
  const strategy = `jwt-${randomUUID()}`;
  const Token = tokenGuard(strategy);

  @Injectable()
  class AccessGuard implements CanActivate {
    constructor(@Inject(Token) private readonly token: CanActivate) {}

    async canActivate(execution: ExecutionContext): Promise<boolean> {
      if (execution.getType() !== 'http') return true;
      const [controller, handler] = [execution.getClass(), execution.getHandler()];
      const access = accessOf(controller, handler);
      const request = execution.switchToHttp().getRequest<{ user: Caller; headers: { authorization?: string } }>();
      if (access === 'public' && !(request.headers.authorization !== undefined && knowsCallers(controller, handler))) return true;
      await this.token.canActivate(execution);
      const { user } = request;
      const now = context();
      if (now) now.caller = user;
      if (access !== 'public' && !isAllowed(access, user)) throw insufficient(access);
      return true;
    }
  }

  return [Token, { provide: APP_GUARD, useClass: AccessGuard }, jwtStrategy(strategy, issuer)];
}
