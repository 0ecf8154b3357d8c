import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Log } from '#log';

/** Rows carry Consul's own names, so what is kept, saved and answered is one thing. */
interface Indexed {
  CreateIndex: number;
  ModifyIndex: number;
}

export interface NodeRow extends Indexed {
  ID: string;
  Node: string;
  Address: string;
  Datacenter: string;
  TaggedAddresses: Record<string, string> | null;
  Meta: Record<string, string> | null;
}

export interface ServiceRow extends Indexed {
  Node: string;
  /** Registered with this agent, not with the catalog: it shows under `/v1/agent`. */
  local: boolean;
  ID: string;
  Service: string;
  Tags: string[];
  Address: string;
  TaggedAddresses?: Record<string, { Address: string; Port: number }>;
  /** Null when none was given: the catalog shows it so. */
  Meta: Record<string, string> | null;
  Port: number;
  Weights: { Passing: number; Warning: number };
  EnableTagOverride: boolean;
}

export type Status = 'passing' | 'warning' | 'critical';

/** How this agent itself looks after a check. */
export interface CheckSpec {
  http?: string;
  method?: string;
  headers?: Record<string, string[]>;
  body?: string;
  tlsSkipVerify?: boolean;
  tcp?: string;
  ttlMs?: number;
  intervalMs?: number;
  timeoutMs?: number;
  deregisterAfterMs?: number;
  successBeforePassing?: number;
  failuresBeforeCritical?: number;
}

export interface CheckRow extends Indexed {
  Node: string;
  local: boolean;
  CheckID: string;
  Name: string;
  Status: Status;
  Notes: string;
  Output: string;
  ServiceID: string;
  ServiceName: string;
  ServiceTags: string[];
  Type: string;
  Definition: Record<string, unknown>;
  spec?: CheckSpec;
}

export interface KvRow extends Indexed {
  LockIndex: number;
  Key: string;
  /** Unsigned, 64 bits: more than a number can hold. */
  Flags: string;
  /** Base64; null when empty. */
  Value: string | null;
  Session?: string;
}

export interface SessionRow extends Indexed {
  ID: string;
  Name: string;
  Node: string;
  /** Nanoseconds. */
  LockDelay: number;
  Behavior: 'release' | 'delete';
  TTL: string;
  NodeChecks: string[];
  ServiceChecks: unknown[] | null;
}

interface Saved {
  nodeId: string;
  index: number;
  touched: [string, number][];
  nodes: NodeRow[];
  services: ServiceRow[];
  checks: CheckRow[];
  kv: KvRow[];
  graves: [string, number][];
  sessions: SessionRow[];
}

/** Key of a row that belongs to a node: ids are unique on their node only. */
export const at = (node: string, id: string) => `${node}\n${id}`;

interface Waiter {
  changed: () => boolean;
  wake: () => void;
}

/**
 * What the agent knows, with one index that grows with every change, as Consul's does with its Raft log.
 * Each change names the topics that it touches; who waits for a topic is woken by its changes and by no others.
 */
export class Store {
  index: number;
  /** This machine's id, kept for ever. */
  readonly nodeId: string;
  readonly nodes: Map<string, NodeRow>;
  readonly services: Map<string, ServiceRow>;
  readonly checks: Map<string, CheckRow>;
  readonly kv: Map<string, KvRow>;
  /** Index at which a key was deleted: or nobody waiting for its folder would hear of it. */
  readonly graves: Map<string, number>;
  readonly sessions: Map<string, SessionRow>;
  private readonly topics: Map<string, number>;
  private readonly waiters = new Set<Waiter>();
  private released = false;
  private dirty = false;
  private writing?: Promise<void>;
  private next?: Promise<void>;

  /** @param file  where the state is kept; none: it lives as long as the process */
  constructor(
    private readonly file: string | undefined,
    private readonly log: Log,
  ) {
    const saved = this.load();
    this.nodeId = saved?.nodeId ?? randomUUID();
    // A fresh state starts above whatever an earlier one can have said, so that no client waits for an index that lies behind.
    this.index = saved?.index ?? Math.floor(Date.now() / 1000);
    this.nodes = new Map(saved?.nodes.map((row) => [row.Node, row]));
    this.services = new Map(saved?.services.map((row) => [at(row.Node, row.ID), row]));
    this.checks = new Map(saved?.checks.map((row) => [at(row.Node, row.CheckID), row]));
    this.kv = new Map(saved?.kv.map((row) => [row.Key, row]));
    this.graves = new Map(saved?.graves);
    this.sessions = new Map(saved?.sessions.map((row) => [row.ID, row]));
    this.topics = new Map(saved?.touched);
  }

  /** Index of the last change of any of `topics`; 0 when there was none. */
  touched(...topics: string[]): number {
    return Math.max(0, ...topics.map((topic) => this.topics.get(topic) ?? 0));
  }

  /** Make one change at the next index, keep it, and wake whoever waits for one of its topics. */
  commit(topics: Iterable<string>, change: (index: number) => void): void {
    this.index += 1;
    change(this.index);
    for (const topic of topics) this.topics.set(topic, this.index);
    this.dirty = true;
    this.saved().catch(() => undefined);
    for (const waiter of this.waiters) if (waiter.changed()) waiter.wake();
  }

  /** Wait until `changed` holds, `timeoutMs` is over, `signal` aborts, or nobody is to wait any more. */
  async until(changed: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.released || signal.aborted || changed()) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.waiters.delete(waiter);
        resolve();
      };
      const waiter: Waiter = { changed, wake };
      const timer = setTimeout(wake, timeoutMs);
      signal.addEventListener('abort', wake);
      this.waiters.add(waiter);
    });
  }

  /** Resolves when all changes so far are on disk. A disk that refuses is logged; the registry goes on from memory. */
  saved(): Promise<void> {
    if (!this.dirty) return this.writing ?? Promise.resolve();
    this.next ??= (this.writing ?? Promise.resolve()).then(() => {
      this.next = undefined;
      this.writing = this.write().finally(() => (this.writing = undefined));
      return this.writing;
    });
    return this.next;
  }

  /** Let nobody wait, from now on. */
  release(): void {
    this.released = true;
    for (const { wake } of this.waiters) wake();
  }

  private async write() {
    this.dirty = false;
    if (!this.file) return;
    const half = `${this.file}.tmp`;
    try {
      const handle = await open(half, 'w', 0o600);
      try {
        await handle.writeFile(JSON.stringify(this.toSave()));
        await handle.datasync();
      } finally {
        await handle.close();
      }
      await rename(half, this.file);
    } catch (error) {
      this.log.error('registry state not saved', { file: this.file, error });
    }
  }

  private toSave(): Saved {
    const { nodeId, index } = this;
    const [nodes, services, checks, kv, sessions] = [
      [...this.nodes.values()],
      [...this.services.values()],
      [...this.checks.values()],
      [...this.kv.values()],
      [...this.sessions.values()],
    ];
    return { nodeId, index, touched: [...this.topics], nodes, services, checks, kv, graves: [...this.graves], sessions };
  }

  private load(): Saved | undefined {
    if (!this.file) return undefined;
    mkdirSync(dirname(this.file), { recursive: true, mode: 0o700 });
    let saved: string;
    try {
      saved = readFileSync(this.file, 'utf8');
    } catch {
      return undefined;
    }
    try {
      return JSON.parse(saved) as Saved;
    } catch (error) {
      // Processes register themselves again, so an empty registry mends itself; a wrong one would not.
      renameSync(this.file, `${this.file}.broken`);
      this.log.error('registry state unreadable: starting empty', { kept: `${this.file}.broken`, error });
      return undefined;
    }
  }
}
