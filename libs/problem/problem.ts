import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** The media type of a problem. @source RFC 9457 §6.1 */
export const PROBLEM_JSON = 'application/problem+json';

/** One wrong place in the input: where (RFC 6901 JSON pointer) and what is wrong there. */
export interface InputError {
  pointer: string;
  detail: string;
}

/**
 * An error a caller can act on.
 *
 * @param type     stable slug, listed in config/problems.yml
 * @param status   HTTP status, 400–599
 * @param detail   for people: what happened and how to mend it
 * @param extra    members for programs, sent beside the standard ones
 * @param headers  response headers that belong to it, such as `Retry-After`
 * @source RFC 9457
 */
export class Problem extends Error {
  constructor(
    readonly type: string,
    readonly status: number,
    readonly detail: string,
    readonly extra: Record<string, unknown> = {},
    readonly headers: Record<string, string> = {},
  ) {
    super(`${type}: ${detail}`);
    this.name = 'Problem';
  }
}

/** The problem of an input with one or more wrong places (400 `invalid-input`). */
export function invalidInput(errors: InputError[]): Problem {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return new Problem(
    'invalid-input',
    400,
    first ? `${first.pointer || 'the body'}: ${first.detail}${more}` : 'the input is wrong',
    {
      errors,
    },
  );
}

interface HttpLike {
  status?: unknown;
  statusCode?: unknown;
  message?: unknown;
}

// What frameworks throw has a status but no slug of ours.
const SLUG_OF_STATUS: Readonly<Record<number, string>> = {
  400: 'bad-request',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  406: 'not-acceptable',
  408: 'request-timeout',
  409: 'conflict',
  412: 'stale',
  413: 'body-too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
  422: 'unprocessable',
  429: 'too-many-requests',
  431: 'headers-too-large',
  501: 'not-implemented',
  503: 'unavailable',
};

/** What any thrown value means to the caller. A bug becomes `internal` (500) and says nothing of itself. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { status, statusCode, message } = (typeof error === 'object' && error !== null ? error : {}) as HttpLike;
  const code = typeof status === 'number' ? status : typeof statusCode === 'number' ? statusCode : 500;
  const slug = SLUG_OF_STATUS[code];
  if (slug && code !== 500) return new Problem(slug, code, typeof message === 'string' ? message : slug);
  if (code >= 400 && code < 500) return new Problem('bad-request', code, typeof message === 'string' ? message : 'bad request');
  return new Problem('internal', 500, 'something broke on our side; the trace id finds it in the logs');
}

// Compiled files lie one folder deeper, under dist/.
const root = new URL(import.meta.url.endsWith('.ts') ? '../../' : '../../../', import.meta.url);
const titles = parse(readFileSync(new URL('config/problems.yml', root), 'utf8')) as Readonly<Record<string, string>>;

/** Every problem type of the mesh with its title, from config/problems.yml. */
export const problemTitles: Readonly<Record<string, string>> = titles;

/**
 * The body of a problem as `application/problem+json`.
 *
 * @param traceId  32 hex digits; becomes `instance: urn:trace:<id>`
 * @source RFC 9457 §3
 */
export function problemBody(problem: Problem, traceId?: string): Record<string, unknown> {
  const { type, status, detail, extra } = problem;
  return {
    ...extra,
    type: `/problems/${type}`,
    title: titles[type] ?? type,
    status,
    detail,
    ...(traceId ? { instance: `urn:trace:${traceId}` } : {}),
  };
}

/** The problem a remote service answered with, so that a 409 stays the same 409 through every hop. */
export function fromProblemBody(status: number, body: unknown): Problem {
  const {
    type,
    title,
    detail,
    instance,
    status: _status,
    ...extra
  } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const slug = typeof type === 'string' ? type.replace(/^\/problems\//, '') : toProblem({ status }).type;
  const said = typeof detail === 'string' ? detail : typeof title === 'string' ? title : `the remote service answered ${status}`;
  return new Problem(slug, status, said, extra);
}
