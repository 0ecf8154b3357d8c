import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { Problem } from '#problem';

/** A request on its way to some instance of a service. */
export interface Outgoing {
  method: Dispatcher.HttpMethod;
  /** With its query. */
  path: string;
  /** Names and values in turn. */
  headers: string[];
  /** None, the whole, or a stream made anew for each try that nothing was sent of. */
  body: null | string | Buffer | (() => Readable);
  /** To the head of the answer, ms, for each try; the breaker's setting without. */
  timeoutMs?: number;
  /** When the answer stops being wanted, ms since the epoch. */
  deadlineAt: number;
  /** Sending it twice has the effect of sending it once. */
  isIdempotent: boolean;
  /** Called when a streamed body is sent to its end. */
  sent?: () => void;
}

/** Methods that may be sent again after they may have been received. @source RFC 9110 §9.2.2 */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method);

/** What concerns one connection and must not be passed on. @source RFC 9110 §7.6.1 */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Ours to say on the next connection: its host, and that we will wait for no 100. */
const OURS: ReadonlySet<string> = new Set(['host', 'expect']);

/** Header names that a `Connection` header declares as meant for this connection only. */
export function nominated(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
}

export const isHopByHop = (lowerName: string): boolean => HOP_BY_HOP.has(lowerName);

/** The headers of a request that go on to the next hop. @param keep  lower-case names that it refuses stay behind */
export function endToEnd(req: IncomingMessage, keep?: (lowerName: string) => boolean): string[] {
  const { rawHeaders } = req;
  const own = nominated(req.headers.connection);
  const headers: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (HOP_BY_HOP.has(name) || OURS.has(name) || own?.has(name) || keep?.(name) === false) continue;
    headers.push(name, rawHeaders[i + 1]!);
  }
  return headers;
}

/** Whether a request comes with a body. @source RFC 9112 §6.3 */
export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0');

/** The refusal of a body that is too large. */
export const tooLarge = (limitBytes: number): Problem =>
  new Problem('body-too-large', 413, `a body may have at most ${limitBytes} bytes`, { limitBytes });

/** The end of a body that has none: its sender's doing, so no service is to blame for it. */
const brokenOff = (): Problem => new Problem('bad-request', 400, 'the body broke off');

/** Read a small body of known length whole. @throws Problem `bad-request` (400) when its sender goes away before its end */
export function readWhole(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    req.once('error', () => reject(brokenOff()));
    req.once('close', () => reject(brokenOff()));
  });
}

/**
 * A request's body, passed on as it comes and no faster than it is taken. undici destroys the body of a request that was answered
 * early; were that the incoming request itself, its connection would go with it, and the answer on it.
 */
export class Upload extends Readable {
  private sizeBytes = 0;
  private isReading = false;

  constructor(
    private readonly req: IncomingMessage,
    private readonly limitBytes: number,
  ) {
    super();
  }

  override _read(): void {
    if (!this.isReading) {
      this.isReading = true;
      this.req.on('data', this.received).once('end', this.ended).once('close', this.cut);
    }
    this.req.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.req.off('data', this.received).off('end', this.ended).off('close', this.cut);
    done(error);
  }

  private readonly received = (chunk: Buffer) => {
    this.sizeBytes += chunk.length;
    if (this.sizeBytes > this.limitBytes) {
      this.req.pause();
      this.destroy(tooLarge(this.limitBytes));
    } else if (!this.push(chunk)) this.req.pause();
  };
  private readonly ended = () => void this.push(null);
  private readonly cut = () => {
    if (!this.req.complete) this.destroy(brokenOff());
  };
}
