import type { IncomingMessage } from 'node:http';

const BASE = '/oauth';
/** Where RFC 8414 puts the metadata of an issuer with a path. OpenID Connect puts them below the issuer. */
export const METADATA = '/.well-known/oauth-authorization-server';

/**
 * Make a request for us one that oidc-provider understands: below its own root, from the issuer's own address. Whatever a proxy or a
 * client says, the issuer is what the configuration says.
 *
 * @returns false when it is not for us
 */
export function mount(req: IncomingMessage, issuer: URL): boolean {
  const inner = innerUrl(req.url ?? '/');
  if (inner === undefined) return false;
  Object.assign(req, { originalUrl: BASE + inner });
  req.url = inner;
  // The last address is the one that the gateway saw; those before it anybody may have written.
  const forwarded = [req.headers['x-forwarded-for']].flat().at(-1)?.split(',').at(-1)?.trim();
  req.headers['x-forwarded-for'] = forwarded || req.socket.remoteAddress || 'unknown';
  req.headers['x-forwarded-proto'] = issuer.protocol.slice(0, -1);
  req.headers['x-forwarded-host'] = issuer.host;
  req.headers.host = issuer.host;
  return true;
}

function innerUrl(url: string): string | undefined {
  const [path = '', ...query] = url.split('?');
  if (path === METADATA + BASE) return [METADATA, ...query].join('?');
  if (path === BASE) return ['/', ...query].join('?');
  return path.startsWith(`${BASE}/`) ? url.slice(BASE.length) : undefined;
}
