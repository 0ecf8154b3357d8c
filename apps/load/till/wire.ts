import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';
const LENGTH = /\r\ncontent-length: *(\d+)/i;
/** `HTTP/1.1 ` and three digits. */
const STATUS = { from: 9, to: 12 };

/** Told an answer's status, and its body as it came. */
export type Answered = (status: number, body: string) => void;

/**
 * One kept connection on which one request is under way at a time. It reads as little of HTTP as our own servers write, since the
 * measured process shares its two cores with whoever measures.
 */
export class Wire {
  private answered?: Answered;
  private failed?: (error: Error) => void;
  private read = '';

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text) => this.take(String(text)));
    socket.on('error', (error) => this.failed?.(error));
    socket.on('close', () => this.failed?.(new Error('the connection was closed instead of an answer')));
  }

  static open(port: number): Promise<Wire> {
    return new Promise((done, fail) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => done(new Wire(socket)));
      socket.once('error', fail);
    });
  }

  /** Send the text of a whole request. */
  ask(request: string, answered: Answered, failed: (error: Error) => void): void {
    // What is written to a socket that is gone is told to nobody.
    if (this.socket.destroyed) return failed(new Error('the server closed a connection that was idle'));
    this.answered = answered;
    this.failed = failed;
    this.socket.write(request, 'latin1');
  }

  close(): void {
    this.failed = undefined;
    this.socket.destroy();
  }

  private take(text: string) {
    this.read += text;
    const headEnd = this.read.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const bodyFrom = headEnd + HEAD_END.length;
    const length = LENGTH.exec(this.read.slice(0, headEnd))?.[1];
    if (length === undefined) return this.failed?.(new Error('an answer without a length'));
    if (this.read.length < bodyFrom + Number(length)) return;
    const [status, body] = [Number(this.read.slice(STATUS.from, STATUS.to)), this.read.slice(bodyFrom)];
    const { answered } = this;
    this.answered = undefined;
    this.failed = undefined;
    this.read = '';
    answered?.(status, body);
  }
}
