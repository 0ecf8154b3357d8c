import { randomUUID } from 'node:crypto';
import {
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  type Provider,
  SetMetadata,
  type Type,
} from '@nestjs/common';
import { APP_GUARD, Reflector } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';
import { type Caller, context } from '#context';
import { Problem } from '#problem';
import { jwtStrategy, type TokenIssuer } from './token.js';

export { developmentIssuer, type TokenIssuer } from './token.js';

/** Who may do something; `Allow` with none of these is a mistake the compiler finds. */
export type Role = 'customer' | 'cashier' | 'usher' | 'manager' | 'chain-admin' | 'operator';

const ALLOWED = 'allowed-roles';
const PUBLIC = 'is-public';

/** Let callers with one of these roles in; the others get 401 or 403. On a class or a method, the method's winning. */
export const Allow = (...roles: [Role, ...Role[]]) => SetMetadata(ALLOWED, roles);

/** Let everyone in, token or not. */
export const Public = () => SetMetadata(PUBLIC, true);

/** Who is calling now. @throws Problem `unauthenticated` (401) when nobody is known: the route lacks @Allow */
export function currentCaller(): Caller {
  const caller = context()?.caller;
  if (!caller) throw unauthenticated('this needs an access token');
  return caller;
}

// RFC 6750 §3: the error code is given only when a token was sent.
const unauthenticated = (detail: string, error?: string) =>
  new Problem(
    'unauthenticated',
    401,
    detail,
    {},
    { 'WWW-Authenticate': `Bearer realm="cinemanzana"${error ? `, error="${error}"` : ''}` },
  );

/** A guard over one passport strategy that answers with problems. */
function tokenGuard(strategy: string): Type<CanActivate> {
  @Injectable()
  class TokenGuard extends AuthGuard(strategy) {
    override handleRequest<T>(error: unknown, caller: T | false, info?: unknown): T {
      if (error) throw error as Error;
      if (caller) return caller;
      const why = info instanceof Error ? info.message : '';
      if (why === 'No auth token') throw unauthenticated('send an access token as "Authorization: Bearer …"');
      throw unauthenticated(`the access token is refused: ${why || 'it is not valid'}`, 'invalid_token');
    }
  }
  return TokenGuard;
}

/** Stands where no issuer is trusted: whatever is sent, nobody is known. */
@Injectable()
class NoToken implements CanActivate {
  canActivate(): boolean {
    throw unauthenticated('no issuer of access tokens is trusted here, so this is closed');
  }
}

/**
 * What makes a process ask who is calling: a passport-jwt strategy and a guard in front of every route, which denies all that is
 * neither `@Public()` nor `@Allow(…)`.
 *
 * @param issuer  whose tokens are accepted; without one every protected route is 401
 */
export function authProviders(issuer: TokenIssuer | undefined): Provider[] {
  // Passport keeps strategies by name in one global table: folded processes must not replace each other's.
  const strategy = `jwt-${randomUUID()}`;
  const Token = issuer ? tokenGuard(strategy) : NoToken;

  @Injectable()
  class AccessGuard implements CanActivate {
    constructor(
      @Inject(Reflector) private readonly reflector: Reflector,
      @Inject(Token) private readonly token: CanActivate,
    ) {}

    async canActivate(execution: ExecutionContext): Promise<boolean> {
      if (execution.getType() !== 'http') return true;
      const of = [execution.getHandler(), execution.getClass()];
      // The nearer decorator decides: a public method in a protected class is public, and the other way round.
      const [isPublic, roles] = this.nearest(of);
      if (isPublic) return true;
      await this.token.canActivate(execution);
      const { user } = execution.switchToHttp().getRequest<{ user: Caller }>();
      const now = context();
      if (now) now.caller = user;
      if (roles.some((role) => user.roles.includes(role))) return true;
      const wanted = roles.length ? `one of the roles ${roles.join(', ')}` : 'a role that no token has';
      throw new Problem(
        'forbidden',
        403,
        `this needs ${wanted}`,
        {},
        { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' },
      );
    }

    private nearest(of: Parameters<Reflector['get']>[1][]): [boolean, readonly string[]] {
      for (const target of of) {
        if (this.reflector.get<boolean | undefined>(PUBLIC, target)) return [true, []];
        const roles = this.reflector.get<string[] | undefined>(ALLOWED, target);
        if (roles) return [false, roles];
      }
      return [false, []];
    }
  }

  return [Token, { provide: APP_GUARD, useClass: AccessGuard }, ...(issuer ? [jwtStrategy(strategy, issuer)] : [])];
}
