import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceDefinition } from '#service';
import { startTestMesh, type TestMesh } from '#testing';

/** argon2id at no cost: tests check what is done with a hash, not how long one takes. */
const CHEAP = { 'user.hashMemoryKib': 64, 'user.hashPasses': 1 };

/** Both sides of users, and what every spec does with them. */
export class Users {
  readonly outbox = mkdtempSync(join(tmpdir(), 'outbox-'));
  mesh: TestMesh;
  private count = 0;

  /** Start them. @param config  beside cheap hashes and a folder of their own for e-mails */
  async start(processes: readonly ServiceDefinition[], config: Record<string, string | number> = {}): Promise<this> {
    this.mesh = await startTestMesh({ processes, config: { ...CHEAP, 'mail.outboxFolder': this.outbox, ...config } });
    return this;
  }

  async stop(): Promise<void> {
    await this.mesh.stop();
    rmSync(this.outbox, { recursive: true });
  }

  command() {
    return this.mesh.http('user-command');
  }

  /** POST as someone; without a token as nobody. */
  post(path: string, body: object = {}, bearer?: string) {
    const call = this.command().post(path).send(body);
    return bearer === undefined ? call : call.set('authorization', bearer);
  }

  /** What a client of the mesh asks. */
  async internal(path: string, body: object, client = 'oauth') {
    return this.post(`/internal/accounts/${path}`, body, await this.mesh.bearerFor({ client }));
  }

  check(email: string, password: string) {
    return this.internal('check', { email, password });
  }

  /** A new customer nobody else has made, with a token. */
  async register(over: object = {}) {
    const email = `Person.${++this.count}@Example.org`;
    const { body } = await this.post('/api/users', { email, password: 'correct horse 1', ...over }).expect(201);
    const id = body.id as string;
    return { id, email: body.email as string, bearer: await this.mesh.bearerFor({ id, roles: ['customer'], client: 'web' }) };
  }

  admin(id = '01890000-0000-7000-8000-00000000ad01') {
    return this.mesh.bearerFor({ id, roles: ['chain-admin'], client: 'web' });
  }

  async get(path: string, bearer: string, version = 1) {
    const ask = () => this.mesh.http('user-query').get(path).set('authorization', bearer).set('Min-Version', String(version));
    let answer = await ask();
    for (let i = 0; i < 30 && answer.headers.stale; i++) answer = await ask();
    return answer;
  }

  /** Audit records that match, once there are so many. */
  async audit(query: string, wanted = 1) {
    const bearer = await this.admin();
    for (let i = 0; ; i++) {
      const { body } = await this.mesh.http('user-query').get(`/api/audit?${query}`).set('authorization', bearer).expect(200);
      if (body.items.length >= wanted || i === 60) return body.items as Record<string, unknown>[];
      await sleep(50);
    }
  }

  /** The e-mails put into files for a user, the newest last, once there are so many. */
  async mails(userId: string, wanted = 1): Promise<string[]> {
    for (let i = 0; ; i++) {
      const files = readdirSync(this.outbox).filter((file) => file.includes(userId) && !file.startsWith('.'));
      if (files.length >= wanted || i === 60) return files.sort().map((file) => readFileSync(join(this.outbox, file), 'utf8'));
      await sleep(50);
    }
  }
}

/** The token in an e-mail's link. */
export const tokenIn = (mail = ''): string => /\?token=([\w-]{43})$/m.exec(mail)?.[1] ?? '';
