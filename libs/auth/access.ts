import { SetMetadata } from '@nestjs/common';

/** Who may do something; `Allow` with none of these is a mistake the compiler finds. */
export type Role = 'customer' | 'cashier' | 'usher' | 'manager' | 'chain-admin' | 'operator';

const ROLES = 'allowed-roles';
const CLIENTS = 'allowed-clients';
const PUBLIC = 'is-public';
const KNOWN = 'is-known';

/** Let callers with one of these roles in; the others get 401 or 403. On a class or a method, the method's winning. */
export const Allow = (...roles: [Role, ...Role[]]) => SetMetadata(ROLES, roles);

/** Let these clients in with tokens of their own, which no user has a part in: for what services ask of each other. */
export const AllowClients = (...clients: [string, ...string[]]) => SetMetadata(CLIENTS, clients);

/** Let everyone in, token or not. */
export const Public = () => SetMetadata(PUBLIC, true);

/** Let everyone in, and know a caller who brings a token: a wrong one is 401 even here, or its owner would act as nobody unawares. */
export const Guest =
  (): MethodDecorator & ClassDecorator => (target: object, _name?: string | symbol, descriptor?: PropertyDescriptor) => {
    const on = (descriptor?.value as object | undefined) ?? target;
    Reflect.defineMetadata(PUBLIC, true, on);
    Reflect.defineMetadata(KNOWN, true, on);
  };

/** Whether a caller of `handler` who brings a token is known by it although everyone is let in. */
export const knowsCallers = (controller: object, handler: object): boolean =>
  Boolean(Reflect.getMetadata(KNOWN, handler) ?? Reflect.getMetadata(KNOWN, controller));

/** Who is let in: everyone, or callers with one of the roles and the clients named. */
export type Access = 'public' | { roles: readonly string[]; clients: readonly string[] };

/** Who may call `handler` of `controller`. The nearer decorator decides: a public method in a protected class is public, and the other way round. */
export function accessOf(controller: object, handler: object): Access {
  for (const target of [handler, controller]) {
    if (Reflect.getMetadata(PUBLIC, target)) return 'public';
    const roles = Reflect.getMetadata(ROLES, target) as string[] | undefined;
    const clients = Reflect.getMetadata(CLIENTS, target) as string[] | undefined;
    if (roles || clients) return { roles: roles ?? [], clients: clients ?? [] };
  }
  return { roles: [], clients: [] };
}

/** Whether a caller is let in. @param caller  as the verified token says */
export function isAllowed(access: Access, caller: { id: string; roles: readonly string[]; client?: string }): boolean {
  if (access === 'public') return true;
  const isClientItself = caller.client !== undefined && caller.client === caller.id;
  return access.roles.some((role) => caller.roles.includes(role)) || (isClientItself && access.clients.includes(caller.id));
}
