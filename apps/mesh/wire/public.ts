import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, type Answer } from './http.js';

/** For the events of what was just made to reach who refers to it, and for a mesh that restarts, ms. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 100;
const TIMEOUT_MS = 10_000;

/** A page of a list. */
interface Page {
  items: Record<string, unknown>[];
  next: string | null;
}

/** A path that nobody answers yet is 404: its services are starting. */
const isAway = ({ status, headers }: Answer) =>
  status >= 500 || status === 429 || status === 404 || headers['retry-after'] !== undefined;

/** A thing that the request names is not known there yet: its event is on its way. */
const isEarly = (answer: Answer, pointers: readonly string[]): boolean => {
  if (answer.status !== 400) return false;
  const { errors = [] } = JSON.parse(answer.text) as { errors?: { pointer: string }[] };
  return errors.length > 0 && errors.every(({ pointer }) => pointers.some((known) => pointer.startsWith(known)));
};

/** The public API as who brings data in uses it: patient, and once only. */
export class PublicApi {
  constructor(
    readonly gateway: string,
    private readonly token: () => Promise<string>,
  ) {}

  /** All of a list, page by page. */
  async list(path: string): Promise<Record<string, unknown>[]> {
    const all: Record<string, unknown>[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const { text } = await this.patiently(() => this.send('GET', `${path}${path.includes('?') ? '&' : '?'}limit=100${cursor}`));
      const page = JSON.parse(text) as Page;
      if (!Array.isArray(page.items)) throw new Error(`GET ${path} answers ${text.slice(0, 300)}`);
      all.push(...page.items);
      cursor = page.next === null ? null : `&cursor=${encodeURIComponent(page.next)}`;
    }
    return all;
  }

  /**
   * POST, once whatever happens in between.
   *
   * @param early  pointers to what may not be known there yet: such a refusal is waited out
   * @throws Error with the problem's detail
   */
  async post<T = { id: string }>(path: string, body: object, ...early: string[]): Promise<T> {
    const { status, text } = await this.tryPost(path, body, ...early);
    if (status >= 400) throw new Error(`POST ${path} answers ${status}: ${text.slice(0, 500)}`);
    return JSON.parse(text) as T;
  }

  /** The same, whatever the answer. */
  tryPost(path: string, body: object, ...early: string[]): Promise<Answer> {
    const key = createHash('sha256')
      .update(JSON.stringify([path, body]))
      .digest('hex');
    return this.patiently(
      () => this.send('POST', path, body, { 'idempotency-key': key }),
      (answer) => isEarly(answer, early),
    );
  }

  /** PUT. @throws Error with the problem's detail */
  async put(path: string, body: object): Promise<void> {
    const { status, text } = await this.patiently(() => this.send('PUT', path, body));
    if (status >= 400) throw new Error(`PUT ${path} answers ${status}: ${text.slice(0, 500)}`);
  }

  private async send(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Answer> {
    return ask(`${this.gateway}${path}`, { method, token: await this.token(), headers, body, timeoutMs: TIMEOUT_MS });
  }

  private async patiently(send: () => Promise<Answer>, isTooEarly: (answer: Answer) => boolean = () => false): Promise<Answer> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await send().catch((error: unknown) => error as Error);
      const isFinal = !(answer instanceof Error) && !isAway(answer) && !isTooEarly(answer);
      if (isFinal || performance.now() >= until) {
        if (answer instanceof Error) throw answer;
        return answer;
      }
      await sleep(LOOK_MS);
    }
  }
}
