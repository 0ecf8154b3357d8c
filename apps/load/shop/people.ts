import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { v7 as uuid } from 'uuid';
import { bareEnvironment, projectRoot } from '#config';
import { Callers, parsed } from './http.js';

/** Who buys: what is sent of them with each request, and what is said of them in the body of a hold. */
export interface Person {
  headers: () => Promise<Record<string, string>>;
  body: { email?: string };
}

/** A guest, another one each time. */
export const guest = (): Person => ({ headers: () => Promise.resolve({}), body: { email: `${uuid()}@drill.example` } });

/** A token lives 300 s. */
const TOKEN_MS = 200_000;
const TRIES = 40;
const PAUSE_MS = 500;

/** Somebody with an account, signed in as long as it takes. */
export class Customer implements Person {
  readonly body = {};
  private token?: { text: Promise<string>; takenMs: number };

  private constructor(
    private readonly dataDir: string,
    private readonly email: string,
  ) {}

  /** Makes the account. @param dataDir  of the mesh, whose launcher can speak for its users */
  static async register(gateway: string, dataDir: string): Promise<Customer> {
    const email = `${uuid()}@drill.example`;
    const callers = new Callers(gateway, 1);
    try {
      const account = { email, password: uuid(), name: 'Drill' };
      for (let tries = 1; ; tries++) {
        const reply = await callers.ask('/api/users', { method: 'POST', headers: { 'idempotency-key': email }, body: account });
        if (parsed<{ id: string }>(reply).id) return new Customer(dataDir, email);
        if (tries >= TRIES) throw new Error(`no account can be made: ${reply.status} ${reply.text.slice(0, 300)}`);
        await sleep(PAUSE_MS);
      }
    } finally {
      callers.close();
    }
  }

  headers = async (): Promise<Record<string, string>> => {
    if (!this.token || performance.now() - this.token.takenMs > TOKEN_MS) {
      this.token = { text: this.signIn(), takenMs: performance.now() };
      // What failed once is not kept.
      this.token.text.catch(() => (this.token = undefined));
    }
    return { authorization: `Bearer ${await this.token.text}` };
  };

  private async signIn(): Promise<string> {
    const front = join(projectRoot, 'apps/mesh/front.mjs');
    const env = { ...bareEnvironment(), MESH_DATA: this.dataDir };
    const { stdout } = await promisify(execFile)(process.execPath, [front, 'token', '--user', this.email], { env });
    return stdout.trim();
  }
}
