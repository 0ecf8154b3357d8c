import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { prepareDatabase, startPostgres, type EmbeddedPostgres } from '#postgres';
import { Backoff } from '../supervise/backoff.js';

/** Tells how the database stands: a state and what it waits for. */
export type Report = (state: 'starting' | 'ready' | 'restarting' | 'stopping' | 'stopped', detail?: string) => void;

/** The embedded PostgreSQL of one run of the mesh, started again on its port whenever it falls. */
export class Database {
  private server?: EmbeddedPostgres;
  private starting: Promise<unknown> = Promise.resolve();
  private stopping = false;

  constructor(
    private readonly dataDir: string,
    private readonly report: Report,
  ) {}

  /**
   * Starts it and makes schemas and roles for these processes.
   *
   * @returns its address without a user, for the runtime file
   * @throws Error saying why it does not start
   */
  async start(processes: readonly string[]): Promise<string> {
    this.report('starting');
    const starting = startPostgres({ dir: join(this.dataDir, 'postgres') });
    this.starting = starting.catch(() => undefined);
    const server = await starting;
    this.server = server;
    await this.prepare(processes);
    this.report('ready');
    this.watch(server);
    const url = new URL(server.url());
    url.username = '';
    url.password = '';
    return url.href;
  }

  /** Makes schemas and roles for these processes. */
  async prepare(processes: readonly string[]): Promise<void> {
    if (this.server) await prepareDatabase(this.server.url(), { processes, secretsDir: join(this.dataDir, 'secrets') });
  }

  get pid(): number | undefined {
    return this.server?.pid;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.starting; // half a cluster is worse than a second of patience
    if (!this.server) return;
    this.report('stopping');
    await this.server.stop();
    this.report('stopped');
  }

  /** Ends it at once; what was committed is on disk and comes back by recovery. */
  async kill(): Promise<void> {
    this.stopping = true;
    if (!this.server) return;
    try {
      process.kill(this.server.pid, 'SIGQUIT');
    } catch {
      // it has gone by itself
    }
    await this.server.gone;
  }

  private watch(server: EmbeddedPostgres) {
    void server.gone.then((lastWords) => (this.stopping ? undefined : this.again(server.port, lastWords)));
  }

  private async again(port: number, lastWords: string) {
    const backoff = new Backoff();
    for (let why = reasonIn(lastWords); !this.stopping;) {
      this.report('restarting', why);
      await pause(backoff.crashed(Date.now()));
      if (this.stopping) return;
      try {
        const starting = startPostgres({ dir: join(this.dataDir, 'postgres'), port });
        this.starting = starting.catch(() => undefined);
        this.server = await starting;
        this.report('ready');
        return this.watch(this.server);
      } catch (error) {
        why = (error as Error).message.split('\n').at(-1) ?? '';
      }
    }
  }
}

/** Why it went, from its last lines; one that was killed could say nothing. */
const reasonIn = (lastWords: string) =>
  lastWords.split('\n').findLast((line) => /(FATAL|PANIC):/.test(line))?.replace(/^.*?(FATAL|PANIC): */, '') ?? 'it was killed'; // prettier-ignore
