import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bareEnvironment, clientSecretName, fileSources, type Flat, makeSecrets, projectRoot, revisionOf } from '#config';
import { quietPort } from '#postgres';
import { Callers, parsed } from '../shop/http.js';

/** Whom we measure. */
export const NAME = 'purchase-command';
const PROFILE = 'production';
const FILE = 'dist/apps/purchase/purchase.command.js';
const SECRETS = ['PURCHASE_KEY', 'TICKET_KEY', 'PROVIDER_KEY', clientSecretName(NAME)];

const CPU = /^process_cpu_seconds_total(?:\{[^}]*\})? ([\d.e+-]+)/m;

const READY_WITHIN_MS = 60_000;
const LOOK_MS = 50;
const STOPPED_WITHIN_MS = 20_000;

/** Answers for the configuration server, and lets settings be changed; there is no registry in this mesh of one. */
class Configuration {
  private readonly server: Server;
  private over: Flat = {};

  constructor() {
    this.server = createServer((request, response) => {
      if (request.url !== `/${NAME}/${PROFILE}`) return void response.writeHead(503).end();
      const propertySources = this.sources();
      const said = { name: NAME, profiles: [PROFILE], label: null, version: this.revision, state: null, propertySources };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said));
    });
  }

  async listen(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    const { port } = this.server.address() as { port: number };
    return `http://127.0.0.1:${port}`;
  }

  /** The settings that win over the files of config/. */
  set(over: Flat): void {
    this.over = over;
  }

  get revision(): string {
    return revisionOf(this.sources());
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private sources() {
    return [{ name: 'bench', source: this.over }, ...fileSources(join(projectRoot, 'config'), NAME, [PROFILE])];
  }
}

/** How it is started. */
export interface OwnProcessOptions {
  dataDir: string;
  /** A superuser's; the process takes its own role. */
  databaseUrl: string;
  /** A folder for V8's profile of its whole life. */
  profile?: string;
}

/** One purchase-command in a Node process of its own, started by its file as a container starts it. */
export class OwnProcess {
  private said = '';

  private constructor(
    private readonly child: ChildProcess,
    private readonly configuration: Configuration,
    readonly url: string,
  ) {
    child.stderr!.on('data', (text: Buffer) => (this.said = (this.said + text.toString()).slice(-4000)));
  }

  /** @throws Error with what it said when it does not answer */
  static async start({ dataDir, databaseUrl, profile }: OwnProcessOptions): Promise<OwnProcess> {
    makeSecrets(dataDir, SECRETS);
    const configuration = new Configuration();
    const [base, port] = await Promise.all([configuration.listen(), quietPort()]);
    const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
    const child = spawn(process.execPath, [...flags, join(projectRoot, FILE)], {
      env: {
        ...bareEnvironment(),
        ...{ MESH_DATA: dataDir, MESH_PROFILE: PROFILE, PORT: String(port) },
        ...{ DATABASE_URL: databaseUrl, CONFIG_URL: base, CONSUL_HTTP_ADDR: base },
      },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: process.platform !== 'win32',
    });
    const own = new OwnProcess(child, configuration, `http://127.0.0.1:${port}`);
    try {
      await own.until(async () => (await own.info()).config !== undefined, 'it does not answer');
      return own;
    } catch (error) {
      await own.stop();
      throw error;
    }
  }

  /** Change settings while it runs, and wait until it goes by them. */
  async set(over: Flat): Promise<void> {
    this.configuration.set(over);
    const { revision } = this.configuration;
    await this.until(async () => (await this.info()).config?.revision === revision, 'it does not take its settings');
  }

  async stop(): Promise<void> {
    const { child } = this;
    const isOver = () => child.exitCode !== null || child.signalCode !== null;
    const gone = isOver() ? Promise.resolve() : once(child, 'exit');
    child.kill('SIGTERM');
    if ((await Promise.race([gone, sleep(STOPPED_WITHIN_MS, 'late', { ref: false })])) === 'late') child.kill('SIGKILL');
    await gone;
    this.configuration.close();
  }

  /** Of processor time it has taken since its start, s. */
  async cpuSeconds(): Promise<number> {
    return Number(CPU.exec((await this.ask('/metrics')) ?? '')?.[1] ?? NaN);
  }

  /** Which configuration it goes by; nothing while it does not answer. */
  private async info(): Promise<{ config?: { revision: string } }> {
    return parsed<{ config: { revision: string } }>({ text: (await this.ask('/info')) ?? '' });
  }

  private async ask(path: string): Promise<string | undefined> {
    const callers = new Callers(this.url, 1);
    try {
      const { status, text } = await callers.ask(path);
      return status === 200 ? text : undefined;
    } catch {
      return undefined;
    } finally {
      callers.close();
    }
  }

  private async until(isSo: () => Promise<boolean>, otherwise: string): Promise<void> {
    const startedMs = performance.now();
    while (!(await isSo())) {
      const isOver = this.child.exitCode !== null || performance.now() - startedMs > READY_WITHIN_MS;
      if (isOver) throw new Error(`${NAME}: ${otherwise}:\n${this.said}`);
      await sleep(LOOK_MS);
    }
  }
}
