import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { projectRoot, type RuntimeFile } from '#config';
import { removePostgres } from '#postgres';

/** A line of `mesh up --json`. */
export interface MeshEvent {
  event: string;
  process?: string;
  state?: string;
  text?: string;
  done?: number;
  total?: number;
  api?: string;
  seconds?: number;
}

/** How a whole mesh is started. */
export interface WholeMeshOptions {
  /** `--unfold`, or `--fold a,b;c`; folded into one process by default. */
  fold?: string[];
  /** Start on these data again; they then outlive `stop()`. */
  dataDir?: string;
  env?: Record<string, string>;
  /** The tree it runs from, when it is another one than this. */
  root?: string;
}

// Far more than a start takes, and less than a test may: one that hangs must be ended by who started it.
const READY_WITHIN_MS = 40_000;
/** With a Node process for each of thirty processes, on two cores. */
const UNFOLDED_WITHIN_MS = 90_000;
const STOPPED_WITHIN_MS = 25_000;
const frontOf = (root: string) => join(root, 'apps/mesh/front.mjs');

/** Wait until `test` holds. @throws Error naming `what` when it does not within `withinMs` */
export async function until(what: string, test: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<number> {
  const startedAt = Date.now();
  for (;;) {
    if (await test()) return Date.now() - startedAt;
    if (Date.now() - startedAt > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(20);
  }
}

/** Whether a process with that id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The whole mesh as `npm start` runs it, on free ports and data of its own. */
export class WholeMesh {
  readonly events: MeshEvent[] = [];
  /** What it said that is no event: errors. */
  said = '';
  private readonly front: string;
  private readonly readyWithinMs: number;
  private readonly child: ChildProcess;
  private readonly exit: Promise<unknown>;
  private found?: RuntimeFile;
  private granted?: { token: string; untilMs: number };

  constructor(
    readonly dataDir: string,
    private readonly owned: boolean,
    { fold = [], env = {}, root = projectRoot }: WholeMeshOptions,
  ) {
    this.front = frontOf(root);
    this.readyWithinMs = fold.includes('--unfold') ? UNFOLDED_WITHIN_MS : READY_WITHIN_MS;
    const ports = ['--port', '0', '--config-port', '0', '--discovery-port', '0'];
    this.child = spawn(process.execPath, [this.front, 'up', '--json', ...ports, ...fold], {
      env: this.env(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.exit = once(this.child, 'exit');
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.hear(line));
    this.child.stderr!.on('data', (text: Buffer) => (this.said += text.toString()));
  }

  /** The launcher's process id. */
  get pid(): number {
    return this.child.pid!;
  }

  /** Where its parts are; known once it is ready, and kept after its end. */
  get runtime(): RuntimeFile {
    this.found ??= JSON.parse(readFileSync(join(this.dataDir, 'mesh.json'), 'utf8')) as RuntimeFile;
    return this.found;
  }

  get api(): string {
    return this.runtime.gateway;
  }

  /** An access token of the command line's client, which may write. */
  async token(): Promise<string> {
    if (this.granted && this.granted.untilMs > Date.now()) return this.granted.token;
    const secret = readFileSync(join(this.dataDir, 'secrets/client-secret-mesh-cli'), 'utf8').trim();
    const answer = await fetch(`${this.api}/oauth/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`mesh-cli:${secret}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    if (answer.status !== 200) throw new Error(`no token: ${await answer.text()}`);
    const { access_token: token, expires_in: seconds } = (await answer.json()) as { access_token: string; expires_in: number };
    this.granted = { token, untilMs: Date.now() + (seconds * 1000) / 2 };
    return token;
  }

  /** @throws Error with what it said when it is not ready in time */
  async ready(): Promise<this> {
    const isReady = () => this.events.some(({ event }) => event === 'ready');
    await until('the mesh is ready', () => isReady() || this.child.exitCode !== null, this.readyWithinMs).catch(() => undefined);
    if (isReady() && this.runtime) return this;
    throw new Error(`the mesh is not ready:\n${this.said}\n${this.events.map((e) => JSON.stringify(e)).join('\n')}`);
  }

  /** Run `mesh <args>` against it. */
  async mesh(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    try {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [this.front, ...args], { env: this.env({}) });
      return { code: 0, stdout, stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, stdout, stderr };
    }
  }

  /** HTTP to the gateway; JSON bodies are written and read. */
  async http(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const json: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await fetch(`${this.api}${path}`, { method, headers: { ...json, ...headers }, body: JSON.stringify(body) });
    const text = await answer.text();
    const isJson = /[/+]json/.test(answer.headers.get('content-type') ?? '');
    return { status: answer.status, headers: answer.headers, body: (isJson && text ? JSON.parse(text) : text) as Answer['body'] };
  }

  /** The same as the command line's client. */
  async write(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.http(method, path, body, { authorization: `Bearer ${await this.token()}`, ...headers });
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Wait for its end. @returns the exit code, or null after a signal */
  async ended(): Promise<number | null> {
    const late = sleep(STOPPED_WITHIN_MS, 'late', { ref: false });
    if ((await Promise.race([this.exit, late])) === 'late') throw new Error(`the mesh did not end:\n${this.said}`);
    return this.child.exitCode;
  }

  /** Ctrl-C, and away with its data unless they were given. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.signal('SIGINT');
    await this.ended().finally(() => this.child.kill('SIGKILL'));
    if (!this.owned) return;
    // As root, the data may lie elsewhere.
    await removePostgres(join(this.dataDir, 'postgres'));
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  private env(more: Record<string, string>): NodeJS.ProcessEnv {
    const { PATH, HOME, LANG } = process.env;
    return { PATH, HOME, LANG, MESH_DATA: this.dataDir, ...more };
  }

  private hear(line: string) {
    try {
      this.events.push(JSON.parse(line) as MeshEvent);
    } catch {
      this.said += `${line}\n`;
    }
  }
}

/** What the gateway answered. */
export interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown> & { items?: { id: string }[]; next?: string | null };
}

/** Start the whole mesh and wait until it is ready. */
export async function startWholeMesh(options: WholeMeshOptions = {}): Promise<WholeMesh> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'cinemanzana-mesh-'));
  const mesh = new WholeMesh(dataDir, options.dataDir === undefined, options);
  try {
    return await mesh.ready();
  } catch (error) {
    mesh.signal('SIGKILL'); // what it started ends with it
    await mesh.stop();
    throw error;
  }
}
