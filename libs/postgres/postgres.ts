import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { type Binaries, binaries } from './binaries.js';
import { archiving, type Cluster, initialise, openCluster, password, removeCluster } from './cluster.js';
import type { SystemUser } from './files.js';
import { type Guarded, startGuarded } from './guard.js';
import { claim, clearStale, disclaim, launcherOf, pause, postmasterOf, stopPostmaster } from './processes.js';

export { openClient } from './client.js';
export { CHANGED_SETTINGS, renameCluster } from './cluster.js';
export type { SystemUser } from './files.js';
export { prepareDatabase, processUrl, rebuildSchemaOf, roleOf, type PrepareOptions } from './prepare.js';

/** How the embedded PostgreSQL runs. */
export interface PostgresOptions {
  /** Where the cluster lives: its data, the superuser's password, the port it had last. */
  dir: string;
  /** 0, the default: the port it had last if that is free, else one the system picks. */
  port?: number;
  /** Committed means on disk. False only for tests, where it is three times faster. */
  durable?: boolean;
  /** Each line of PostgreSQL's own log. */
  onLog?: (line: string) => void;
  /** The folder of the npm package with the binaries; the installed one by default. */
  binariesFrom?: string;
}

// Sized for one laptop: 28 processes with 3 connections and a listener each, in 33 MB; JIT costs more than our statements.
const SETTINGS = ['max_connections=200', 'shared_buffers=32MB', 'jit=off', 'max_wal_size=256MB', 'log_checkpoints=off'];
const LOCAL_ONLY = ['listen_addresses=127.0.0.1', 'unix_socket_directories='];
// A commit reaches the system's cache at least: a killed server loses nothing, a machine without power does.
const FORGETFUL = ['fsync=off', 'full_page_writes=off'];

/** A predecessor may still be stopping, or its memory still be mapped: so long we try again. ms */
const STALE_PATIENCE_MS = 6_000;
const STALE = /lock file .* already exists|pre-existing shared memory block|is still in use/;
const PORT_TAKEN = /could not bind|could not create any TCP\/IP sockets|Address already in use/;

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  const listening = new Promise<boolean>((done) => probe.once('error', () => done(false)).once('listening', () => done(true)));
  probe.listen(port, '127.0.0.1');
  if (!(await listening)) return false;
  probe.close();
  await once(probe, 'close');
  return true;
}

/**
 * Where systems take no ports for outgoing connections from (Linux begins at 32768, others at 49152). From in there, a client that
 * keeps knocking while nobody listens is one day connected to itself, and then holds the port against its server.
 */
const QUIET_PORTS = { from: 15_000, to: 32_000 };

/** A free port for a server whose clients wait for it to come back. */
export async function quietPort(): Promise<number> {
  for (;;) {
    const port = randomInt(QUIET_PORTS.from, QUIET_PORTS.to);
    if (await isFree(port)) return port;
  }
}

async function choosePort({ dir }: Cluster): Promise<number> {
  const file = join(dir, 'port');
  const last = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  const port = last && (await isFree(last)) ? last : await quietPort();
  writeFileSync(file, `${port}\n`);
  return port;
}

/** A PostgreSQL of our own that runs. */
export class EmbeddedPostgres {
  constructor(
    private readonly cluster: Cluster,
    private readonly guarded: Guarded,
    readonly port: number,
  ) {
    void guarded.gone.then(() => disclaim(cluster.dir));
  }

  /** The postmaster's process id. */
  get pid(): number {
    return this.guarded.pid;
  }

  /** Where the data are, which may be outside of the folder asked for. */
  get dataDir(): string {
    return this.cluster.data;
  }

  /** Resolves when PostgreSQL is gone, wanted or not, with the last lines of its log. */
  get gone(): Promise<string> {
    return this.guarded.gone;
  }

  /** The superuser's address of a database. */
  url(database = 'cinemanzana'): string {
    return `postgres://mesh:${password(this.cluster)}@127.0.0.1:${this.port}/${database}`;
  }

  /** Stop it: clients are cut off, everything committed is on disk. */
  async stop(): Promise<void> {
    await this.guarded.stop();
    disclaim(this.cluster.dir);
  }

  /** End it as a power failure would, for drills. */
  async kill(): Promise<void> {
    process.kill(this.pid, 'SIGKILL');
    await this.gone;
  }
}

async function startOn(cluster: Cluster, programs: Binaries, options: PostgresOptions): Promise<EmbeddedPostgres> {
  const { durable = true, onLog = () => undefined } = options;
  const lasting = durable ? archiving(cluster) : FORGETFUL;
  const settings = [...SETTINGS, ...LOCAL_ONLY, ...lasting].flatMap((setting) => ['-c', setting]);
  for (const giveUpAt = Date.now() + STALE_PATIENCE_MS; ; await pause(200)) {
    const port = options.port || (await choosePort(cluster));
    clearStale(cluster.data);
    try {
      const guarded = await startGuarded(cluster, programs, ['-D', cluster.data, '-p', String(port), ...settings], onLog);
      return new EmbeddedPostgres(cluster, guarded, port);
    } catch (error) {
      const said = (error as Error).message;
      if (options.port && PORT_TAKEN.test(said)) throw new Error(`port ${port} for PostgreSQL is taken`, { cause: error });
      if (!(STALE.test(said) || PORT_TAKEN.test(said)) || Date.now() > giveUpAt)
        throw new Error(`PostgreSQL does not start on ${cluster.data}:\n${said}`, { cause: error });
    }
  }
}

/**
 * Start a PostgreSQL of our own, made on first use. It listens on 127.0.0.1 alone, and ends with this process however
 * that ends. One left behind by a launcher that is gone is stopped cleanly first.
 *
 * @throws Error when another process runs it, its package is not installed, or it does not come up
 */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const { dir, durable = true, binariesFrom } = options;
  const cluster = openCluster(dir, durable);
  claim(cluster.dir);
  try {
    const orphan = postmasterOf(cluster.data);
    if (orphan !== undefined) await stopPostmaster(orphan);
    const programs = binaries(cluster.user, binariesFrom);
    await initialise(cluster, programs, durable);
    return await startOn(cluster, programs, options);
  } catch (error) {
    disclaim(cluster.dir);
    throw error;
  }
}

/** A cluster's folders and how to reach it, whoever runs it. */
export interface ClusterPlace {
  /** PGDATA, which may be outside of the folder asked for. */
  dataDir: string;
  /** Beside the data, where PostgreSQL's user can reach it: what was written of the log, once there is a backup. */
  archiveDir: string;
  /** Whom its files must belong to, when not to us. */
  user?: SystemUser;
  isRunning: boolean;
  /** The superuser's address of a database, on the port it has now or had last. */
  url(database?: string): string;
}

/** Find the cluster in `dir`, or choose the folders of one that is to be made there, whose data must outlive a restart of the machine. */
export function placeOf(dir: string): ClusterPlace {
  const cluster = openCluster(dir, true);
  const portFile = join(cluster.dir, 'port');
  return {
    dataDir: cluster.data,
    archiveDir: join(dirname(cluster.data), 'archive'),
    user: cluster.user,
    isRunning: postmasterOf(cluster.data) !== undefined,
    url: (database = 'cinemanzana') =>
      `postgres://mesh:${password(cluster)}@127.0.0.1:${readFileSync(portFile, 'utf8').trim()}/${database}`,
  };
}

/**
 * Remove a cluster with all its data, also when they had to live outside of `dir`.
 *
 * @throws Error while a process runs it
 */
export async function removePostgres(dir: string): Promise<void> {
  if (!existsSync(dir)) return;
  const launcher = launcherOf(dir);
  if (launcher !== undefined) throw new Error(`process ${launcher} runs PostgreSQL on ${dir}: stop it first`);
  const orphan = postmasterOf(openCluster(dir, false).data);
  if (orphan !== undefined) await stopPostmaster(orphan);
  removeCluster(dir);
}
