import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'supertest';
import type TestAgent from 'supertest/lib/agent.js';
import { publish } from '#bus';
import { Storage } from '#storage';
import type { Running } from '#service';

/** The part of a test's mesh that a desk stands in. */
interface Mesh {
  http(name: string): TestAgent;
  running(name: string): Running;
}

/** Something that happened elsewhere, as the log tells it. */
export interface Told {
  name: string;
  key: string;
  version?: number;
  body: object;
}

/** A created row as its command answers it. */
export interface Made {
  id: string;
  version: number;
  [field: string]: unknown;
}

/** Where a spec works on one resource: its command and its query, as somebody. */
export class Desk {
  /**
   * @param name    of the resource, `movie`
   * @param bearer  who works here; empty for nobody
   */
  constructor(
    readonly mesh: Mesh,
    readonly name: string,
    readonly bearer = '',
    readonly plural = `${name}s`,
  ) {}

  /** The same desk with somebody else at it. */
  as(bearer: string): Desk {
    return new Desk(this.mesh, this.name, bearer, this.plural);
  }

  post(path: string, body?: string | object, headers: Record<string, string> = {}): Test {
    return this.ask('post', path).set(headers).send(body);
  }

  patch(id: string, body: object, headers: Record<string, string> = {}): Test {
    return this.ask('patch', `/${id}`).set(headers).send(body);
  }

  remove(id: string): Test {
    return this.ask('delete', `/${id}`);
  }

  get(path: string, headers: Record<string, string> = {}): Test {
    return this.ask('get', path).set(headers);
  }

  async create(body: object): Promise<Made> {
    const { body: made } = await this.post('', body).expect(201);
    return made as Made;
  }

  /** The row as its readers see it once they see that version; a busy machine may need longer than one wait. */
  async seen(id: string, version = 1, status = 200) {
    const ask = () => this.get(`/${id}`, { 'Min-Version': String(version) });
    let answer = await ask();
    for (let i = 0; i < 30 && answer.headers.stale; i++) answer = await ask();
    if (answer.status !== status || answer.headers.stale)
      throw new Error(`${this.name} ${id} in version ${version}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  }

  /** Tell what happened elsewhere: by the log, as those who listen hear it. */
  async tell(...events: readonly Told[]): Promise<void> {
    const told = events.map(({ version = 1, ...event }) => ({
      ...event,
      version,
      id: randomUUID(),
      at: new Date().toISOString(),
    }));
    await this.storage().transaction((tx) => publish(tx, told));
  }

  /** Rows of a table of one of its sides. */
  sql<T>(text: string, params: unknown[] = [], side: 'command' | 'query' = 'command'): Promise<T[]> {
    return this.storage(side).query<T>(text, params);
  }

  /** Wait until a statement finds something. @throws Error when it does not within some seconds */
  async found<T>(text: string, params: unknown[] = [], side: 'command' | 'query' = 'command'): Promise<T[]> {
    for (let i = 0; i < 250; i++) {
      const rows = await this.sql<T>(text, params, side);
      if (rows.length > 0) return rows;
      await sleep(20);
    }
    throw new Error(`nothing found by ${text}`);
  }

  private storage(side: 'command' | 'query' = 'command') {
    return this.mesh.running(`${this.name}-${side}`).app.get(Storage);
  }

  private ask(method: 'get' | 'post' | 'patch' | 'delete', path: string): Test {
    const http = this.mesh.http(`${this.name}-${method === 'get' ? 'query' : 'command'}`);
    const call = http[method](`/api/${this.plural}${path}`);
    return this.bearer ? call.set('authorization', this.bearer) : call;
  }
}
