import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a registry said. */
export interface Said {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** The body as JSON. @throws SyntaxError when it is none */
  json: <T>() => T;
  index: number;
  tookMs: number;
}

/** Speaks the registry's HTTP API without any client's help. */
export function speaker(url: () => string) {
  return (method: string, path: string, body?: unknown): Promise<Said> =>
    new Promise((resolve, reject) => {
      const startedMs = performance.now();
      const request = httpRequest(url() + path, { method, agent: false }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => (text += part));
        answer.on('error', reject).on('end', () => {
          const { statusCode: status = 0, headers } = answer;
          const json = <T>() => JSON.parse(text) as T;
          resolve({
            status,
            headers,
            text,
            json,
            index: Number(headers['x-consul-index']),
            tookMs: performance.now() - startedMs,
          });
        });
      });
      request.on('error', reject);
      request.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
    });
}

export type Speak = ReturnType<typeof speaker>;

/** A process to be checked: it is well, or hangs, or dies, as told. */
export class Patient {
  status = 200;
  hangs = false;
  private server?: Server;
  port = 0;

  async live(port = 0): Promise<this> {
    this.server = createServer((_req, res) => {
      if (!this.hangs) res.writeHead(this.status).end('said');
    });
    await new Promise<void>((resolve) => this.server!.listen(port, '127.0.0.1', resolve));
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  /** As kill -9 looks from outside: nobody listens, and connections are reset. */
  async die(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => (this.server ? this.server.close(resolve) : resolve(undefined)));
  }
}

/** A row of `health/service`. */
export interface Row {
  Node: { Node: string; Address: string };
  Service: { ID: string; Service: string; Tags: string[]; Port: number; Address: string; Meta: Record<string, string> | null };
  Checks: { CheckID: string; Status: string; Output: string }[];
}

/** A row of `kv`. */
export interface Key {
  Key: string;
  Value: string | null;
  Flags: number;
  Session?: string;
  ModifyIndex: number;
}

/** News to who waits for it; the registry has it at hand, the rest is this machine's load. */
export const NEWS_WITHIN_MS = 700;
/** A process that ends, or answers no more, is not used any longer than this. */
export const GONE_WITHIN_MS = 3000;
