import type { ServerResponse } from 'node:http';

const HEAD = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  vary: 'Accept',
  'x-accel-buffering': 'no', // nginx would gather events
};

/** Somebody who reads one stream. */
export class Viewer {
  private isOpen = false;

  /** @param slowBytes  with so much unread the stream is cut: its reader comes back when it can, and asks for what it missed */
  constructor(
    private readonly res: ServerResponse,
    private readonly slowBytes: number,
    private readonly dropped: () => void,
  ) {}

  /** Begin, with what is told first. */
  open(retryMs: number, first: Buffer | undefined): void {
    if (this.res.destroyed) return;
    this.isOpen = true;
    this.res.writeHead(200, HEAD);
    this.res.write(`retry: ${retryMs}\n\n`);
    if (first) this.res.write(first);
  }

  tell(event: Buffer): void {
    if (!this.isOpen || this.res.destroyed) return;
    if (this.res.writableLength <= this.slowBytes) return void this.res.write(event);
    this.dropped();
    this.res.destroy();
  }

  /** The process stops: the reader finds another one by itself. */
  end(): void {
    if (this.isOpen) this.res.end();
  }
}
