import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';

/** What is asked. */
export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as a form. */
  form?: Record<string, string>;
}

/** What was answered. */
export interface Reply {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
}

/** A caller's own patience, of DESIGN's ladder, ms. */
const TIMEOUT_MS = 10_000;

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Load is for one's own machine alone. @throws Error for an address elsewhere */
export function checkOwn(url: string): void {
  const { hostname } = new URL(url);
  if (!LOOPBACK.has(hostname)) throw new Error(`${hostname} is not this machine: drills put load on nobody else`);
}

/**
 * Callers outside of the mesh: kept connections, no retries, no breaker, so that what happens is what a stranger would see. That is why
 * it is not `#client`.
 */
export class Callers {
  private readonly agent: Agent;
  private readonly origin: { hostname: string; port: string };

  /** @param sockets  at most, at a time */
  constructor(
    readonly base: string,
    sockets: number,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {
    checkOwn(base);
    const { port } = new URL(base);
    // `localhost` may be tried at two addresses, one of which refuses.
    this.origin = { hostname: '127.0.0.1', port };
    this.agent = new Agent({ keepAlive: true, maxSockets: sockets, scheduling: 'fifo' });
  }

  /** @throws Error when no answer came: nobody knows whether it was done */
  async ask(path: string, { method = 'GET', headers = {}, body, form }: Ask = {}): Promise<Reply> {
    const sent = request({
      ...this.origin,
      ...{ method, path, agent: this.agent, signal: AbortSignal.timeout(this.timeoutMs) },
      headers: {
        host: new URL(this.base).host,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
        ...headers,
      },
    });
    sent.end(form ? new URLSearchParams(form).toString() : body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return { status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') };
  }

  close(): void {
    this.agent.destroy();
  }
}

/** A body as JSON; an empty one when it is none. */
export function parsed<T = Record<string, unknown>>({ text }: Pick<Reply, 'text'>): Partial<T> {
  try {
    return JSON.parse(text) as Partial<T>;
  } catch {
    return {};
  }
}

/** The slug of a problem. */
export const slugOf = (reply: Reply): string =>
  String(parsed<{ type: string }>(reply).type ?? '').split('/').at(-1) || `status-${reply.status}`; // prettier-ignore
