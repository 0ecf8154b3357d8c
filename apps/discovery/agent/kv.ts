import { randomUUID } from 'node:crypto';
import type { Catalog } from './catalog.js';
import { parseDuration, Refusal } from './input.js';
import type { KvRow, SessionRow, Store } from './store.js';

/** The numbers that keys and sessions go by; they are part of the agent's section. */
export interface KvLimits {
  /** Deleted keys that are remembered, so that who waits for their folder hears of it. */
  graveKeys: number;
  sessionMinMs: number;
  sessionMaxMs: number;
  /** After a session ended, its locks cannot be taken for this long unless it says otherwise, ms. */
  lockDelayMs: number;
}

export interface Put {
  key: string;
  value: Buffer;
  flags?: string;
  /** Only if the key's ModifyIndex is this one; 0: only if there is no such key. */
  cas?: number;
  /** Only if this session has the lock or can have it. */
  acquire?: string;
  /** Only if this session has the lock, which it gives back. */
  release?: string;
}

export interface NewSession {
  Name?: string;
  Node?: string;
  /** Milliseconds. */
  LockDelay?: number;
  Behavior?: string;
  TTL?: string;
  Checks?: string[];
  NodeChecks?: string[];
}

/** A session may miss one renewal: it ends only after twice its time. @source Consul, SessionTTLMultiplier */
const TTL_GRACE = 2;
const NO_FLAGS = '0';

/** Keys with values, and the sessions that hold locks on them. */
export class Kv {
  private readonly store: Store;
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly lockedUntil = new Map<string, number>();

  constructor(
    private readonly catalog: Catalog,
    private readonly limits: KvLimits,
  ) {
    this.store = catalog.store;
    for (const row of this.store.sessions.values()) this.arm(row);
    catalog.onCheck((_key, row, before) => {
      if (row && row.Status !== 'critical') return;
      const { Node, CheckID } = (row ?? before)!;
      for (const session of this.sessions(Node)) if (session.NodeChecks.includes(CheckID)) this.endSession(session.ID);
    });
  }

  /** Rows whose key begins with `prefix`, in order. */
  list(prefix: string): KvRow[] {
    const rows = [...this.store.kv.values()].filter(({ Key }) => Key.startsWith(prefix));
    return rows.sort((a, b) => (a.Key < b.Key ? -1 : 1));
  }

  /** Keys that begin with `prefix`, cut behind the first separator that follows it, each once. */
  keys(prefix: string, separator: string): string[] {
    const cut = ({ Key }: KvRow) => {
      const end = separator === '' ? -1 : Key.indexOf(separator, prefix.length);
      return end < 0 ? Key : Key.slice(0, end + separator.length);
    };
    return [...new Set(this.list(prefix).map(cut))];
  }

  /** Index of the last change under `prefix`, or of that very key. */
  touched(prefix: string, exact: boolean): number {
    const hit = exact ? (key: string) => key === prefix : (key: string) => key.startsWith(prefix);
    const rows = [...this.store.kv.values()].map(({ Key, ModifyIndex }) => [Key, ModifyIndex] as const);
    return Math.max(0, ...[...rows, ...this.store.graves].filter(([key]) => hit(key)).map(([, index]) => index));
  }

  /** @returns false when a condition of `put` does not hold; then nothing changed */
  put(put: Put): boolean {
    const { key, value, flags = NO_FLAGS, cas, acquire, release } = put;
    const before = this.store.kv.get(key);
    if (cas !== undefined && cas !== (before?.ModifyIndex ?? 0)) return false;
    const lock = this.lockAfter(before, acquire, release);
    if (!lock) return false;
    const Value = value.length > 0 ? value.toString('base64') : null;
    const next = { LockIndex: lock.LockIndex, Key: key, Flags: flags, Value, ...(lock.Session ? { Session: lock.Session } : {}) };
    const unchanged =
      before &&
      before.Value === Value &&
      before.Flags === flags &&
      before.Session === lock.Session &&
      before.LockIndex === lock.LockIndex;
    if (unchanged) return true;
    this.store.commit(['kv'], (index) => {
      this.store.graves.delete(key);
      this.store.kv.set(key, { ...next, CreateIndex: before?.CreateIndex ?? index, ModifyIndex: index });
    });
    return true;
  }

  private lockAfter(
    before: KvRow | undefined,
    acquire?: string,
    release?: string,
  ): Pick<KvRow, 'LockIndex' | 'Session'> | undefined {
    if (acquire !== undefined) {
      if (!this.session(acquire)) throw new Refusal(500, `invalid session "${acquire}"`);
      if (before?.Session === acquire) return before;
      if (before?.Session || (this.lockedUntil.get(before?.Key ?? '') ?? 0) > Date.now()) return undefined;
      return { LockIndex: (before?.LockIndex ?? 0) + 1, Session: acquire };
    }
    if (release !== undefined) {
      if (!before || before.Session !== release) return undefined;
      return { LockIndex: before.LockIndex };
    }
    // A plain write does not ask for the lock, and leaves it with whom it is.
    return { LockIndex: 0, Session: before?.Session };
  }

  /** @returns false when `cas` is given and is not the key's index */
  remove(key: string, cas?: number): boolean {
    const row = this.store.kv.get(key);
    if (!row) return true;
    if (cas !== undefined && cas !== row.ModifyIndex) return false;
    this.bury([key]);
    return true;
  }

  removeAll(prefix: string): void {
    const keys = this.list(prefix).map(({ Key }) => Key);
    if (keys.length > 0) this.bury(keys);
  }

  private bury(keys: string[]) {
    this.store.commit(['kv'], (index) => {
      for (const key of keys) {
        this.store.kv.delete(key);
        this.store.graves.set(key, index);
      }
      const extra = Math.max(0, this.store.graves.size - this.limits.graveKeys);
      for (const key of [...this.store.graves.keys()].slice(0, extra)) this.store.graves.delete(key);
    });
  }

  /** All sessions, or those of a node, by id. */
  sessions(node?: string): SessionRow[] {
    const rows = [...this.store.sessions.values()].filter(({ Node }) => node === undefined || Node === node);
    return rows.sort((a, b) => (a.ID < b.ID ? -1 : 1));
  }

  /** @throws Refusal when `id` cannot be a session's */
  session(id: string): SessionRow | undefined {
    if (id.length !== 36) throw new Refusal(500, 'failed session lookup: index error: UUID must be 36 characters');
    return this.store.sessions.get(id);
  }

  /** @throws Refusal when something it needs is not there or not allowed */
  openSession(wanted: NewSession): SessionRow {
    const { Name = '', Node = this.catalog.self.node, Behavior = 'release', TTL = '' } = wanted;
    if (Behavior !== 'release' && Behavior !== 'delete') throw new Refusal(500, `Invalid Behavior setting '${Behavior}'`);
    this.checkTtl(TTL);
    if (!this.store.nodes.has(Node)) throw new Refusal(500, 'Missing node registration');
    const NodeChecks = wanted.NodeChecks ?? wanted.Checks ?? ['serfHealth'];
    for (const id of NodeChecks) {
      const check = this.catalog.checksOn(Node).find(({ CheckID }) => CheckID === id);
      if (!check) throw new Refusal(500, `Missing check '${id}' registration`);
      if (check.Status === 'critical') throw new Refusal(500, `Check '${id}' is in critical state`);
    }
    const LockDelay = (wanted.LockDelay ?? this.limits.lockDelayMs) * 1e6;
    const ID = randomUUID();
    this.store.commit(['sessions'], (index) => {
      const indexes = { CreateIndex: index, ModifyIndex: index };
      this.store.sessions.set(ID, { ID, Name, Node, LockDelay, Behavior, TTL, NodeChecks, ServiceChecks: null, ...indexes });
    });
    const row = this.store.sessions.get(ID)!;
    this.arm(row);
    return row;
  }

  private checkTtl(text: string) {
    if (text === '') return;
    const ms = parseDuration(text);
    if (ms === undefined) throw new Refusal(500, `Session TTL '${text}' invalid: time: invalid duration "${text}"`);
    const { sessionMinMs, sessionMaxMs } = this.limits;
    if (ms !== 0 && (ms < sessionMinMs || ms > sessionMaxMs)) {
      throw new Refusal(
        500,
        `Invalid Session TTL '${ms * 1e6}', must be between [${sessionMinMs / 1000}s=${sessionMaxMs / 3_600_000}h0m0s]`,
      );
    }
  }

  /** Give a session its whole time again. @returns undefined when it has ended */
  renewSession(id: string): SessionRow | undefined {
    const row = this.session(id);
    if (row) this.arm(row);
    return row;
  }

  /** End a session: its locks are given back, or their keys deleted, and cannot be taken before the lock delay is over. */
  endSession(id: string): void {
    const session = this.session(id);
    if (!session) return;
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
    this.store.commit(['sessions'], () => this.store.sessions.delete(id));
    const held = [...this.store.kv.values()].filter(({ Session }) => Session === id);
    for (const row of held) if (session.LockDelay > 0) this.lockedUntil.set(row.Key, Date.now() + session.LockDelay / 1e6);
    if (session.Behavior === 'delete' && held.length > 0) return this.bury(held.map(({ Key }) => Key));
    for (const { Session: _ended, ...row } of held) {
      this.store.commit(['kv'], (index) => this.store.kv.set(row.Key, { ...row, ModifyIndex: index }));
    }
  }

  close(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
  }

  private arm({ ID, TTL }: SessionRow) {
    clearTimeout(this.timers.get(ID));
    const ms = parseDuration(TTL) ?? 0;
    if (ms > 0)
      this.timers.set(
        ID,
        setTimeout(() => this.endSession(ID), ms * TTL_GRACE),
      );
  }
}
