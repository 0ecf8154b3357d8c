import { type INestApplication, RequestMethod, SetMetadata } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { ModulesContainer } from '@nestjs/core';
import { getSchemaPath, type OpenAPIObject } from '@nestjs/swagger';
import { type Access, accessOf, knowsCallers } from '#auth';

/** The tag by which a process says that it tells at `/access` who may call what. */
export const ACCESS_TAG = 'mesh-access';

/** The tag of a process that verifies tokens itself, since they are of other kinds than ours: an authorization server. */
export const OWN_AUTH_TAG = 'mesh-auth=self';

/** One route of a process, and who may call it. */
export interface RouteAccess {
  /** In capitals; `ALL` for any. */
  method: string;
  /** `/api/movies/:id`. */
  path: string;
  access: Access;
  /** How long a caller waits for the head of its answer, ms, when that is longer than usual. */
  timeoutMs?: number;
  /** True when everyone is let in, and who brings a token is known. */
  isForGuests?: boolean;
  /** True when all that it does is to say why there is no such thing. */
  isRefused?: boolean;
}

const ANSWERS_WITHIN = 'answers-within';

/** Callers wait so long for the head of this route's answer, ms, in place of their breaker's time-out. */
export const AnswersWithin = (timeoutMs: number) => SetMetadata(ANSWERS_WITHIN, timeoutMs);

// Where the package keeps what its decorator says; it does not export the name.
const EXCLUDED = 'swagger/apiExcludeEndpoint';

const meta = (key: string, target: object): unknown => Reflect.getMetadata(key, target);
const pathsOf = (target: object): string[] => [meta(PATH_METADATA, target) ?? ''].flat().map(String);
const clean = (path: string) => `/${path}`.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');

/** The methods of a class that answer requests, inherited ones included. */
function handlersOf(controller: NewableFunction): object[] {
  const found = new Map<string, object>();
  for (let proto = controller.prototype as object; proto !== Object.prototype; proto = Object.getPrototypeOf(proto) as object) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(proto)))
      if (typeof value === 'function' && !found.has(name)) found.set(name, value as object);
  }
  return [...found.values()].filter((handler) => meta(METHOD_METADATA, handler) !== undefined);
}

/** Every route of a process, and who may call it, as its decorators say. */
export function routesOf(app: INestApplication): RouteAccess[] {
  const controllers = [...app.get(ModulesContainer).values()].flatMap(({ controllers }) => [...controllers.values()]);
  return controllers.flatMap(({ metatype }) => {
    const controller = metatype as NewableFunction;
    return pathsOf(controller).flatMap((prefix) =>
      handlersOf(controller).flatMap((handler) =>
        pathsOf(handler).map((path) => ({
          method: RequestMethod[meta(METHOD_METADATA, handler) as RequestMethod],
          path: clean(`${prefix}/${path}`),
          access: accessOf(controller, handler),
          timeoutMs: meta(ANSWERS_WITHIN, handler) as number | undefined,
          isForGuests: knowsCallers(controller, handler) || undefined,
          isRefused: meta(EXCLUDED, handler) !== undefined || undefined,
        })),
      ),
    );
  });
}

const REFUSALS: Readonly<Record<number, string>> = {
  401: 'A valid access token is required',
  403: 'The caller has no role that may do this',
};
const refusal = (status: number) => ({
  description: REFUSALS[status]!,
  content: { 'application/problem+json': { schema: { $ref: getSchemaPath('Problem') } } },
});

/** Say in an OpenAPI document who may call what: `security` in its own terms, `x-access` in ours. */
export function describeAccess(document: OpenAPIObject, routes: readonly RouteAccess[]): void {
  const isTold = document.components?.schemas?.Problem !== undefined;
  for (const { method, path, access, isForGuests } of routes) {
    const item = document.paths[path.replace(/:(\w+)/g, '{$1}')];
    const operation = item?.[method.toLowerCase() as 'get'];
    if (!operation) continue;
    operation.security = access === 'public' ? (isForGuests ? [{}, { token: [] }] : []) : [{ token: [] }];
    Object.assign(operation, { 'x-access': access });
    const refused = access === 'public' ? (isForGuests ? [401] : []) : [401, 403];
    for (const status of isTold ? refused : []) operation.responses[status] ??= refusal(status);
  }
}
