import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { Problem } from '#problem';

/**
 * How a try failed:
 * `refused`: nothing was sent, so any request may be tried elsewhere;
 * `lost`: the connection broke after something was sent, and whether it took effect is unknown;
 * `given-up`: we ended it ourselves.
 */
export type FailureKind = 'refused' | 'lost' | 'given-up';

/** A try that brought no answer. */
export class TryFailure extends Error {
  constructor(
    readonly kind: FailureKind,
    override readonly cause: unknown,
  ) {
    super(`${kind}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Who follows a try from outside. */
export interface Watcher {
  /** The head of its answer is here. */
  answered(status: number): void;
  /** Nothing more will come of it; called once. */
  over(error?: Error): void;
  /** The request and its body are on their way. */
  sent?(): void;
}

/** Where the body of an answer goes. */
export interface Sink {
  /** @returns false to be sent no more until `resume` */
  data(chunk: Buffer): boolean;
  end(): void;
  /** The body breaks off here. */
  lost(failure: TryFailure): void;
}

// What undici finds wrong with a request before it sends it: another instance would get the same one.
const UNSENDABLE: readonly unknown[] = ['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED'];
/** Chunks kept for a sink that is not there yet, bytes: what undici reads at once. */
const EARLY_BYTES = 65_536;

/**
 * One request sent and its answer coming back. Written against undici's dispatch, not its `request`, which adds a stream to every
 * answer: a small one is here complete, head and body, in one turn, and can be passed on in one write.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  /** Settled with the head of the answer. @throws TryFailure, or the Problem that ended the request's own body */
  readonly head: Promise<void>;
  status = 0;
  headers: IncomingHttpHeaders = {};
  /** The whole answer is here. */
  isComplete = false;
  private readonly early: Buffer[] = [];
  private earlyBytes = 0;
  private isSent = false;
  private isOver = false;
  private controller?: Dispatcher.DispatchController;
  private failure?: TryFailure;
  private sink?: Sink;
  private resolve!: () => void;
  private reject!: (error: Error) => void;

  constructor(private readonly watcher: Watcher) {
    this.head = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whoever gives a try up does not wait for it any more.
    this.head.catch(() => undefined);
  }

  /** End it: the connection is closed, and the service may notice. */
  giveUp(why: string): void {
    if (this.isOver) return;
    const reason = new TryFailure('given-up', why);
    this.finish(reason);
    this.controller?.abort(reason);
  }

  /** Send the body there, what has come already first. */
  pipe(sink: Sink): void {
    const chunks = this.early.splice(0);
    this.sink = sink;
    let isWanted = true;
    for (const chunk of chunks) isWanted = sink.data(chunk) && isWanted;
    if (this.failure) sink.lost(this.failure);
    else if (this.isComplete) sink.end();
    else if (isWanted) this.resume();
    else this.controller?.pause();
  }

  /** Some of the body is here. */
  get hasEarly(): boolean {
    return this.early.length > 0;
  }

  /** What has come of the body so far. */
  takeEarly(): Buffer {
    const chunks = this.early.splice(0);
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  resume(): void {
    this.controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while it waited for its connection: it was not sent, and shall not be.
    if (this.isOver) return controller.abort(this.failure ?? new Error('given up'));
    this.isSent = true;
    this.controller = controller;
  }

  onRequestSent(): void {
    this.watcher.sent?.();
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
    this.watcher.answered(status);
    this.resolve();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.isOver) return;
    if (this.sink) {
      if (!this.sink.data(chunk)) controller.pause();
      return;
    }
    this.early.push(chunk);
    this.earlyBytes += chunk.length;
    if (this.earlyBytes >= EARLY_BYTES) controller.pause();
  }

  onResponseEnd(): void {
    if (this.isOver) return;
    this.isComplete = true;
    this.finish();
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    if (this.isOver) return;
    this.finish(this.meaningOf(error));
  }

  private meaningOf(error: Error): Error {
    if (error instanceof Problem || error instanceof TryFailure) return error;
    if (UNSENDABLE.includes((error as NodeJS.ErrnoException).code)) {
      return new Problem('bad-request', 400, `the request cannot be passed on: ${error.message}`);
    }
    return new TryFailure(this.isSent ? 'lost' : 'refused', error);
  }

  private finish(error?: Error) {
    this.isOver = true;
    this.failure = error === undefined || error instanceof TryFailure ? error : new TryFailure('given-up', error);
    this.watcher.over(error);
    if (error) this.reject(error);
    if (this.failure) this.sink?.lost(this.failure);
    else this.sink?.end();
  }
}
