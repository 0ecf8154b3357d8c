import type { IncomingMessage } from 'node:http';
import { hasBody } from '#client';
import { Problem } from '#problem';
import type { GatewayConfig } from './settings.js';

/** Where a request is for. */
export interface Target {
  /** As it came, with its query. */
  url: string;
  path: string;
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY']);
/** What makes a path worth a second look: escapes, backslashes, a dot or a slash after a slash. */
const SUSPICIOUS = /[%\\]|\/[./]/;
const HOST = /^(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?$/;

const bad = (detail: string) => new Problem('bad-request', 400, detail);

/**
 * Refuse what two servers could understand differently, or what no honest client sends: Node's parser lets it through.
 *
 * @throws Problem `bad-request` (400), `body-too-large` (413), `uri-too-long` (414), `headers-too-large` (431), `not-implemented` (501)
 * @source RFC 9112 §3, §6 and §11
 */
export function guard(req: IncomingMessage, config: GatewayConfig): Target {
  const { method = '', url = '' } = req;
  if (!METHODS.has(method)) throw new Problem('not-implemented', 501, `the method ${method} is not offered`);
  checkHeaders(req, config);
  checkBody(req, config);
  if (url.length > config.targetBytes) throw new Problem('uri-too-long', 414, `an address may have ${config.targetBytes} bytes`);
  return { url, path: pathOf(url) };
}

function checkHeaders({ rawHeaders, headers, httpVersionMinor }: IncomingMessage, { headerCount }: GatewayConfig) {
  if (rawHeaders.length > headerCount * 2) {
    throw new Problem('headers-too-large', 431, `a request may have ${headerCount} header fields`);
  }
  const counts = { host: 0, authorization: 0 };
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length !== 4 && name.length !== 13) continue;
    const lowerName = name.toLowerCase();
    if (lowerName === 'host' || lowerName === 'authorization') counts[lowerName]++;
  }
  if (counts.host > 1) throw bad('a request has one Host header');
  // Node reads the first; who stands behind may read the last.
  if (counts.authorization > 1) throw bad('a request has one Authorization header');
  // Only HTTP/1.0 may come without.
  if (headers.host === undefined ? httpVersionMinor > 0 : !HOST.test(headers.host)) throw bad('the Host header names no host');
  if (headers.upgrade !== undefined && /websocket/i.test(headers.upgrade)) {
    throw new Problem('not-implemented', 501, 'there are no WebSockets here');
  }
}

function checkBody(req: IncomingMessage, { bodyBytes }: GatewayConfig) {
  const { 'transfer-encoding': coding, 'content-length': length } = req.headers;
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked') throw bad('a body may be chunked, and coded in no other way');
    if (length !== undefined || req.httpVersionMinor === 0) throw bad('a body has one length');
  }
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw bad('Content-Length is a whole number');
  if (Number(length ?? 0) > bodyBytes) {
    throw new Problem('body-too-large', 413, `a body may have at most ${bodyBytes} bytes`, { limitBytes: bodyBytes });
  }
}

/**
 * Refuse the body of a request that has none: not everybody behind the door reads it, and what is left unread looks like a request.
 *
 * @throws Problem `bad-request` (400), after which the connection closes
 */
export function refuseBody(req: IncomingMessage): void {
  if ((req.method === 'GET' || req.method === 'HEAD') && hasBody(req))
    throw new Problem('bad-request', 400, `a ${req.method} has no body`, {}, { connection: 'close' });
}

/** The path of a target in origin form. @throws Problem `bad-request` (400) for any other form, and for paths that hide where they lead */
function pathOf(url: string): string {
  if (!url.startsWith('/') || url.startsWith('//')) throw bad('the target must be a path');
  if (/[^\x21-\x7e]|#/.test(url)) throw bad('the target holds characters that must be escaped');
  const end = url.indexOf('?');
  const path = end < 0 ? url : url.slice(0, end);
  if (!SUSPICIOUS.test(path)) return path;
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    throw bad('the path holds broken escapes');
  }
  const isHidden = /%2f/i.test(path) || /\\|\p{Cc}/u.test(decoded);
  const isRoundabout = decoded.includes('//') || decoded.split('/').some((part) => part === '.' || part === '..');
  if (isHidden || isRoundabout) throw bad('the path must not hide where it leads');
  return path;
}

// Who a request comes from and for whom is for the gateway to say, and so are its place in the queue and its deadline.
const CLAIMS =
  /^(?:x-forwarded-|x-user|x-real-ip$|x-client-|x-internal-|x-original-|x-rewrite-|x-deadline-ms$|x-priority$|traceparent$|forwarded$)/;

/** Whether a request header from outside may go on to a service. @param lowerName  in lower case */
export const isHonest = (lowerName: string): boolean => !CLAIMS.test(lowerName);
