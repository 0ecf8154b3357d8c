import type { IncomingMessage, ServerResponse } from 'node:http';
import { context } from '#context';
import { type Problem, PROBLEM_JSON, problemBody } from '#problem';

/** An answer that the gateway gives itself. */
export interface Answer {
  status?: number;
  type: string;
  body: string | Buffer;
  headers?: Readonly<Record<string, string>>;
}

/** Send it whole; to HEAD its head. */
export function send(req: IncomingMessage, res: ServerResponse, { status = 200, type, body, headers }: Answer): void {
  const bytes = Buffer.from(body);
  res.writeHead(status, { ...headers, 'content-type': type, 'content-length': bytes.length });
  res.end(req.method === 'HEAD' ? undefined : bytes);
}

/**
 * Refuse a request. Its body may still be coming: a connection closed upon unread bytes is reset, and the sender loses the answer
 * with it, so one that is to be closed stays open for a moment, unread.
 *
 * @param isTrusted  its framing is sound, so the connection may go on to carry the next request
 */
export function refuse(req: IncomingMessage, res: ServerResponse, problem: Problem, lingerMs: number, isTrusted: boolean): void {
  if (res.headersSent || res.destroyed) return void res.destroy();
  const body = JSON.stringify(problemBody(problem, context()?.traceId));
  const isUnread = problem.status === 413 && !req.complete;
  const closing: Record<string, string> = isTrusted && !isUnread ? {} : { connection: 'close' };
  const headers = { ...problem.headers, ...closing };
  if (!isUnread) return send(req, res, { status: problem.status, type: PROBLEM_JSON, body, headers });
  res.writeHead(problem.status, { ...headers, 'content-type': PROBLEM_JSON, 'content-length': Buffer.byteLength(body) });
  // Complete to its reader, but not ended: the end would close.
  res.write(body);
  req.pause();
  const timer = setTimeout(() => res.end(), lingerMs);
  res.once('close', () => clearTimeout(timer));
}
