import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { Problem, PROBLEM_JSON, problemBody } from '#problem';

/** Prepare the public server for what never becomes a request, and for what must be refused before it is asked for. */
export function guardConnections(server: Server): void {
  // Without a limit of its own the server would drop the fields beyond it, unseen; how many may come is the guard's to say.
  server.maxHeadersCount = 0;
  // And a request without a host it would answer with an empty 400.
  Object.assign(server, { requireHostHeader: false });
  // A sender that waits to be asked for its body is asked when the body is wanted; Node would ask first.
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => void server.emit('request', req, res));
  server.on('connect', (_req: IncomingMessage, socket: Duplex) =>
    hangUp(socket, new Problem('not-implemented', 501, 'this is no proxy')),
  );
  server.removeAllListeners('clientError');
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => hangUp(socket, meaningOf(error)));
}

function meaningOf({ code }: NodeJS.ErrnoException): Problem | undefined {
  switch (code) {
    case 'ECONNRESET':
    case 'EPIPE':
      return undefined;
    case 'HPE_HEADER_OVERFLOW':
      return new Problem('headers-too-large', 431, 'the head of the request is too large');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('request-timeout', 408, 'the request took too long to arrive');
    default:
      return new Problem('bad-request', 400, 'this is not a request as HTTP/1.1 has it');
  }
}

/** Answer what is no request, unless an answer is on its way: whatever came then would be taken for part of it. */
function hangUp(socket: Duplex, problem: Problem | undefined) {
  // The only trace Node keeps of an answer that has begun; its own handler looks there too.
  const { _httpMessage: answer } = socket as { _httpMessage?: ServerResponse };
  if (!problem || !socket.writable || answer?.headersSent) return void socket.destroy();
  const body = JSON.stringify(problemBody(problem));
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `Content-Type: ${PROBLEM_JSON}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
