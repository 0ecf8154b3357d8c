import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { bareEnvironment, clientSecretName, environment, projectRoot, type RuntimeFile } from '#config';
import { placeOf, processUrl, removePostgres } from '#postgres';
import { Callers } from './http.js';

/** How one process stands, as the launcher says. */
export interface Standing {
  name: string;
  state: string;
  pid?: number;
}

type MeshFile = RuntimeFile & { control?: { url: string; token: string } };

/** 33 s unfolded on two idle cores. */
const READY_WITHIN_MS = 180_000;
const STOPPED_WITHIN_MS = 30_000;
const LOOK_MS = 100;

/** A whole mesh of a drill's own, on free ports and data that go with it. Its processes are the only ones that a drill ends. */
export class OwnMesh {
  private readonly child: ChildProcess;
  private readonly exit: Promise<unknown>;
  private said = '';
  private isReady = false;

  private constructor(
    readonly dataDir: string,
    fold: readonly string[],
  ) {
    const ports = ['--port', '0', '--config-port', '0', '--discovery-port', '0'];
    this.child = spawn(
      process.execPath,
      [join(projectRoot, 'apps/mesh/front.mjs'), 'up', '--json', '--no-demo', ...ports, ...fold],
      {
        env: { ...bareEnvironment(), MESH_DATA: dataDir },
        stdio: ['ignore', 'pipe', 'pipe'],
        // Ctrl-C is for the drill, which stops it in order.
        detached: process.platform !== 'win32',
      },
    );
    this.exit = once(this.child, 'exit');
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.hear(line));
    this.child.stderr!.on('data', (text: Buffer) => (this.said += text.toString()));
  }

  /** @throws Error with what it said when it does not become ready */
  static async start(fold: readonly string[] = []): Promise<OwnMesh> {
    const mesh = new OwnMesh(mkdtempSync(join(tmpdir(), 'cinemanzana-drill-')), fold);
    try {
      await mesh.ready();
      return mesh;
    } catch (error) {
      await mesh.stop();
      throw error;
    }
  }

  get file(): MeshFile {
    return JSON.parse(readFileSync(join(this.dataDir, 'mesh.json'), 'utf8')) as MeshFile;
  }

  get gateway(): string {
    return this.file.gateway;
  }

  /** A superuser's address of its database, which outlives restarts. */
  get adminUrl(): string {
    return placeOf(join(this.dataDir, 'postgres')).url();
  }

  /** The database's address with that process's own role. */
  databaseUrl(process: string): string {
    return processUrl(this.adminUrl, process, join(this.dataDir, 'secrets'));
  }

  /** The secret of the command line's client. */
  get secret(): string {
    return environment({ MESH_DATA: this.dataDir }).secret(clientSecretName('mesh-cli')) ?? '';
  }

  /** How its processes stand. */
  async standings(): Promise<Standing[]> {
    const { control } = this.file;
    if (!control) return [];
    const door = new Callers(control.url, 1);
    try {
      const { text } = await door.ask('/processes', { headers: { authorization: `Bearer ${control.token}` } });
      return (JSON.parse(text) as { processes: Standing[] }).processes;
    } finally {
      door.close();
    }
  }

  /** The id of one of its own processes, or of its PostgreSQL; undefined while there is none. */
  async pidOf(name: string): Promise<number | undefined> {
    if (name === 'postgresql') {
      const { dataDir } = placeOf(join(this.dataDir, 'postgres'));
      return Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]) || undefined;
    }
    return (await this.standings()).find((standing) => standing.name === name)?.pid;
  }

  /** Drain and stop it, and away with its data. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGINT');
    const late = sleep(STOPPED_WITHIN_MS, 'late', { ref: false });
    if ((await Promise.race([this.exit, late])) === 'late') this.child.kill('SIGKILL');
    await this.exit;
    // As root, the data may lie elsewhere.
    await removePostgres(join(this.dataDir, 'postgres'));
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  private async ready() {
    const startedMs = performance.now();
    while (!this.isReady) {
      const isOver = this.child.exitCode !== null || performance.now() - startedMs > READY_WITHIN_MS;
      if (isOver) throw new Error(`the mesh of this drill does not start:\n${this.said.slice(-4000)}`);
      await sleep(LOOK_MS);
    }
  }

  private hear(line: string) {
    if (line.includes('"event":"ready"')) this.isReady = true;
    else if (line.includes('"event":"note"')) this.said += `${line}\n`;
  }
}
