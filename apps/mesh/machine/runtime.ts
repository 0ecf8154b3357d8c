import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RuntimeFile } from '#config';
import { identify, stillRuns, type Identity } from './identity.js';

/** The runtime file as the launcher writes it: what processes need, and what the command line needs to speak to the launcher. */
export interface MeshFile extends RuntimeFile {
  /** When the launcher's process began, so that a later process with its number is not taken for it. */
  born: string;
  /** The Node processes it has started, for whoever must clean up after it was killed. */
  children: Identity[];
  control?: { url: string; token: string };
}

/** Thrown when a mesh runs from this data folder already. */
export class AlreadyRunning extends Error {
  constructor(readonly mesh: MeshFile) {
    super(
      `a mesh runs from this folder already: process ${mesh.pid}, ${mesh.gateway}. Stop it with Ctrl-C there, or: kill ${mesh.pid}`,
    );
  }
}

const fileOf = (dataDir: string) => join(dataDir, 'mesh.json');

/** What the last launcher of this folder wrote, whether it still runs or not; undefined without one. */
export function readMesh(dataDir: string): MeshFile | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(dataDir), 'utf8')) as MeshFile;
  } catch {
    return undefined;
  }
}

/** The mesh that runs from this folder now. */
export function runningMesh(dataDir: string): MeshFile | undefined {
  const mesh = readMesh(dataDir);
  return mesh && stillRuns({ pid: mesh.pid, born: mesh.born }) ? mesh : undefined;
}

/** The launcher's hold on its data folder: one at a time, and gone when it goes. */
export class Runtime {
  private constructor(
    private readonly dataDir: string,
    private content: MeshFile,
  ) {}

  /**
   * Takes the folder.
   *
   * @param leftovers  told the processes of a launcher that was killed and are still there; they must end before anything starts
   * @throws AlreadyRunning
   */
  static async take(
    dataDir: string,
    content: Omit<MeshFile, 'pid' | 'born'>,
    leftovers: (of: MeshFile, children: Identity[]) => Promise<void>,
  ): Promise<Runtime> {
    mkdirSync(dataDir, { recursive: true, mode: 0o755 });
    const runtime = new Runtime(dataDir, { ...content, pid: process.pid, born: identify(process.pid)?.born ?? '' });
    while (!runtime.claim()) {
      const other = readMesh(dataDir);
      if (other && stillRuns({ pid: other.pid, born: other.born })) throw new AlreadyRunning(other);
      if (other) await leftovers(other, other.children.filter(stillRuns));
      setAside(dataDir, other);
    }
    return runtime;
  }

  /** Writes what has changed, whole or not at all. */
  update(change: Partial<MeshFile>): void {
    this.content = { ...this.content, ...change };
    const temporary = this.write();
    renameSync(temporary, fileOf(this.dataDir));
  }

  get mesh(): MeshFile {
    return this.content;
  }

  /** Leaves the folder. */
  release(): void {
    if (readMesh(this.dataDir)?.pid === process.pid) rmSync(fileOf(this.dataDir), { force: true });
  }

  /** A link appears whole and only where nothing is: of two launchers one wins. */
  private claim(): boolean {
    const temporary = this.write();
    try {
      linkSync(temporary, fileOf(this.dataDir));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  private write(): string {
    const temporary = join(this.dataDir, `.mesh.${process.pid}.json`);
    writeFileSync(temporary, `${JSON.stringify(this.content, null, 2)}\n`, { mode: 0o600 });
    return temporary;
  }
}

/** Removes the file of a dead launcher, and puts it back if it was another launcher's that came in between. */
function setAside(dataDir: string, dead: MeshFile | undefined): void {
  const aside = join(dataDir, `.mesh.${process.pid}.stale`);
  try {
    renameSync(fileOf(dataDir), aside);
    const taken = JSON.parse(readFileSync(aside, 'utf8')) as MeshFile;
    if (dead && (taken.pid !== dead.pid || taken.born !== dead.born)) linkSync(aside, fileOf(dataDir));
  } catch {
    // gone already, or unreadable: either way the next claim decides
  } finally {
    rmSync(aside, { force: true });
  }
}
