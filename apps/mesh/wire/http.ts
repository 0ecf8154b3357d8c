import { request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';

/** How long the command line waits for an answer, ms: what it asks is near and small, and a stopped part must be told from a slow one. */
const TIMEOUT_MS = 5000;

/** What came back. */
export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
}

/** What is asked; a body goes as JSON. */
export interface Ask {
  method?: string;
  token?: string;
  headers?: Record<string, string>;
  body?: unknown;
  /** Sent as a form, in place of a body. */
  form?: Record<string, string>;
  timeoutMs?: number;
}

/**
 * Asks one server directly. The command line looks at the mesh from outside, also when nothing of it runs: there is no discovery to
 * ask and no breaker to spare, so this is not `#client`.
 *
 * @throws Error with the system's code (ECONNREFUSED, …), or ETIMEDOUT
 */
export async function ask(
  url: string,
  { method = 'GET', token, headers = {}, body, form, timeoutMs = TIMEOUT_MS }: Ask = {},
): Promise<Answer> {
  const sent = request(url, {
    method,
    agent: false,
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
      ...headers,
    },
    signal: AbortSignal.timeout(timeoutMs),
  });
  sent.end(form ? new URLSearchParams(form).toString() : body === undefined ? undefined : JSON.stringify(body));
  try {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return { status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') };
  } catch (error) {
    if ((error as Error).name !== 'AbortError' && (error as Error).name !== 'TimeoutError') throw error;
    throw Object.assign(new Error(`${new URL(url).host} did not answer within ${timeoutMs / 1000} s`), { code: 'ETIMEDOUT' });
  }
}

/**
 * Asks for JSON.
 *
 * @throws Error with the problem's detail when the answer is 400 or above
 */
export async function askJson<T>(url: string, how: Ask = {}): Promise<T> {
  const { status, text } = await ask(url, how);
  const body = parsed(text);
  if (status >= 400) {
    const { detail, title, errors } = (body ?? {}) as {
      detail?: string;
      title?: string;
      errors?: { pointer: string; detail: string }[];
    };
    const said = detail ?? title ?? `${url} answered ${status}`;
    const fields = (errors ?? []).filter((error) => !said.includes(error.detail)).map((error) => `\n  ${error.pointer}: ${error.detail}`); // prettier-ignore
    throw Object.assign(new Error(`${said}${fields.join('')}`), { status });
  }
  return body as T;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
