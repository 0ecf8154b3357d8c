import { Problem } from '#problem';
import type { Access } from './access.js';

const challenge = (error?: string) => ({
  // RFC 6750 §3: the error code is given only when a token was sent.
  'WWW-Authenticate': `Bearer realm="cinemanzana"${error ? `, error="${error}"` : ''}`,
});

/** 401 to a request without a token. @source RFC 6750 §3 */
export const withoutToken = (detail = 'send an access token as "Authorization: Bearer …"'): Problem =>
  new Problem('unauthenticated', 401, detail, {}, challenge());

/** 401 to a token that is not accepted. @param why  for people, without anything of the token */
export const invalidToken = (why: string): Problem =>
  new Problem('unauthenticated', 401, `the access token is refused: ${why}`, {}, challenge('invalid_token'));

/** 403 to a caller who may not. @source RFC 6750 §3.1 */
export function insufficient(access: Exclude<Access, 'public'>): Problem {
  const roles = access.roles.length ? [`one of the roles ${access.roles.join(', ')}`] : [];
  const clients = access.clients.length ? [`one of the clients ${access.clients.join(', ')} itself`] : [];
  const wanted = [...roles, ...clients].join(' or ') || 'a role that no token has';
  return new Problem('forbidden', 403, `this needs ${wanted}`, {}, challenge('insufficient_scope'));
}
