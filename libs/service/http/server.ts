import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { context, contextFromHeaders, runWith } from '#context';
import { notReady } from '#health';
import { Problem, PROBLEM_JSON, problemBody } from '#problem';

/** Takes a request, or leaves it to Nest by returning false. Runs in the request's context, ahead of Nest's pipeline. */
export type Listener = (req: IncomingMessage, res: ServerResponse) => boolean;

// A body larger than the limit is refused on its announced size, and the rest of an unannounced one is not read.
const MAX_HEADERS_COUNT = 100;
const CONNECTIONS_CHECK_MS = 1000;
/** How long a connection that looks idle is still listened to once the server takes no more, ms: some round trips. */
const LINGER_MS = 250;
/** For the last bytes to leave the socket's buffer, ms. */
const FLUSH_MS = 100;

/**
 * The HTTP server of a process. It listens from the first moment: until the process can work it answers `/health/live` itself and
 * everything else with 503, and while it stops it asks its callers to go elsewhere.
 */
export class HttpServer {
  readonly server: Server;
  private listener: RequestListener = (req, res) => this.notYet(req, res);
  private draining = false;
  private active = 0;
  private idle: () => void = () => undefined;

  /**
   * @param waitingFor  what the process waits for now, in sentences
   * @param isDoor      open to the outside, which is told no more than that we start
   */
  constructor(
    private readonly waitingFor: () => readonly string[],
    private readonly isDoor = false,
  ) {
    this.server = createServer({ connectionsCheckingInterval: CONNECTIONS_CHECK_MS }, (req, res) => this.take(req, res));
    this.server.maxHeadersCount = MAX_HEADERS_COUNT;
  }

  /** @returns the port that was picked @throws Error with code EADDRINUSE when the port is taken */
  listen(port: number, host = '127.0.0.1'): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        resolve((this.server.address() as AddressInfo).port);
      });
    });
  }

  /** Hand requests to `own` first, then to Nest's `rest`. */
  serve(rest: RequestListener, own?: Listener): void {
    this.listener = own ? (req, res) => void (own(req, res) || rest(req, res)) : rest;
  }

  limits({ headersTimeoutMs, keepAliveMs }: { headersTimeoutMs: number; keepAliveMs: number }): void {
    this.server.headersTimeout = headersTimeoutMs;
    this.server.keepAliveTimeout = keepAliveMs;
  }

  /** From now on every answer asks its caller to use another connection, and so another instance. */
  drain(): void {
    this.draining = true;
  }

  /**
   * Take no more connections, wait for what is under way, at most `timeoutMs`, then cut the rest.
   *
   * A request may be on its way on a connection that looks idle, and closing that would cut it unread. So the listener is closed
   * without the connections (Node's own `close` takes both), and they are served for a moment longer, each for one last answer.
   *
   * @returns how many requests were cut
   */
  async close(timeoutMs: number): Promise<number> {
    this.draining = true;
    const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(this.server, () => resolve()));
    const endsAt = Date.now() + timeoutMs;
    await sleep(Math.min(LINGER_MS, timeoutMs));
    const late = new AbortController();
    const quiet = new Promise<void>((resolve) => (this.active === 0 ? resolve() : (this.idle = resolve)));
    await Promise.race([quiet, sleep(Math.max(0, endsAt - Date.now()), undefined, { signal: late.signal })]).catch(
      () => undefined,
    );
    late.abort();
    const cut = this.active;
    this.server.close(); // ends Node's own timers, and the connections that are idle now
    // The last answer may still be on its way out of the socket's buffer.
    if (cut === 0) await Promise.race([closed, sleep(FLUSH_MS, undefined, { ref: false })]);
    this.server.closeAllConnections();
    await closed;
    return cut;
  }

  private take(req: IncomingMessage, res: ServerResponse) {
    this.active++;
    res.once('close', () => {
      if (--this.active === 0) this.idle();
    });
    if (this.draining) res.setHeader('Connection', 'close');
    runWith(contextFromHeaders(req.headers), () => this.listener(req, res));
  }

  private notYet(req: IncomingMessage, res: ServerResponse) {
    if (req.url === '/health/live' && !this.isDoor) {
      res.writeHead(200, { 'Content-Type': 'application/json' }).end('{"status":"ok","info":{},"error":{},"details":{}}');
      return;
    }
    answer(res, notReady(this.isDoor ? ['the start'] : this.waitingFor()), { Connection: 'close' });
  }
}

function answer(res: ServerResponse, problem: Problem, headers: Record<string, string> = {}) {
  res.writeHead(problem.status, { 'Content-Type': PROBLEM_JSON, ...problem.headers, ...headers });
  res.end(JSON.stringify(problemBody(problem, context()?.traceId)));
}

/** Answers what nobody took with a 404 problem. */
export const nothingHere: RequestListener = (_req, res) =>
  answer(res, new Problem('not-found', 404, 'there is nothing at this address'));
