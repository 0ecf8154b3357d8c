import type { ServerResponse } from 'node:http';
import type { Exchange, Sink, TryFailure } from './exchange.js';
import { isHopByHop, nominated } from './request.js';

/** Answers up to this size that are here whole go out in one write with their head, bytes. */
const ONE_WRITE_BYTES = 65_536;

/** The headers of an answer that go on to the next hop: names and values in turn. */
function answerHeaders({ headers }: Exchange): string[] {
  const own = nominated(typeof headers.connection === 'string' ? headers.connection : undefined);
  const flat: string[] = [];
  for (const name in headers) {
    if (isHopByHop(name) || own?.has(name)) continue;
    const value = headers[name];
    if (typeof value === 'string') flat.push(name, value);
    else for (const one of value ?? []) flat.push(name, one);
  }
  return flat;
}

/**
 * Pass an answer on as it comes, no faster than it is taken. When its service dies in the middle, so does our answer: an end that
 * looks like one would be a lie.
 *
 * @param idleMs   how long its body may stand still; event streams may for ever
 * @param streams  has the answer while it is an event stream
 * @returns when it is passed on, or cannot be
 */
export function passOn(
  exchange: Exchange,
  res: ServerResponse,
  idleMs: number,
  streams: Set<ServerResponse>,
): Promise<void> | void {
  const headers = answerHeaders(exchange);
  const isBodiless = res.req.method === 'HEAD' || exchange.status === 204 || exchange.status === 304;
  if (exchange.isComplete) {
    const body = exchange.takeEarly();
    if (exchange.headers['content-length'] === undefined && !isBodiless) headers.push('content-length', String(body.length));
    res.writeHead(exchange.status, headers);
    // A string goes out with the head in one write, a buffer in another.
    if (body.length <= ONE_WRITE_BYTES) res.end(body.toString('latin1'), 'latin1');
    else res.end(body);
    return;
  }
  res.writeHead(exchange.status, headers);
  if (!exchange.hasEarly) res.flushHeaders();
  const isEvents = exchange.headers['content-type']?.includes('text/event-stream') ?? false;
  if (isEvents) {
    streams.add(res);
    res.once('close', () => streams.delete(res));
  }
  return new Promise((done) => exchange.pipe(new Outlet(exchange, res, isEvents ? Infinity : idleMs, done)));
}

/** The rest of an answer that comes in pieces. */
class Outlet implements Sink {
  private timer?: NodeJS.Timeout;

  constructor(
    private readonly exchange: Exchange,
    private readonly res: ServerResponse,
    private readonly idleMs: number,
    private readonly done: () => void,
  ) {
    res.on('drain', () => {
      this.watch();
      exchange.resume();
    });
    res.once('close', () => this.close());
    this.watch();
  }

  data(chunk: Buffer): boolean {
    const isWanted = this.res.write(chunk);
    // While the reader is slow, it is not the service that stands still.
    if (isWanted) this.timer?.refresh();
    else this.unwatch();
    return isWanted;
  }

  end(): void {
    this.unwatch();
    this.res.end();
  }

  lost(_failure: TryFailure): void {
    this.res.destroy();
  }

  private close() {
    this.unwatch();
    this.exchange.giveUp('the reader went away');
    this.done();
  }

  private watch() {
    this.unwatch();
    if (this.idleMs === Infinity) return;
    this.timer = setTimeout(() => this.exchange.giveUp('its body stood still'), this.idleMs);
  }

  private unwatch() {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
