import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { runWithout } from '#context';
import type { Log } from '#log';
import { environment } from './environment.js';
import { ConfigSection } from './config-section.js';
import type { SectionClass } from './section.js';
import { Settings, type SettingsOrigin } from './settings.js';
import { type ConfigEnvironment, fileSources, type Flat, type PropertySource } from './sources.js';

/** Whose settings to load, and how to say what is waited for. */
export interface LoadOptions {
  /** The process's name, which is the application's name to the server. */
  process: string;
  profile: string;
  sections: readonly SectionClass[];
  log: Log;
  /** Told what is being waited for, while it is. */
  waiting?: (why: string) => void;
  /** Ends the wait. */
  signal?: AbortSignal;
  /** The server; default is what the environment says now (it may change while waiting). */
  url?: () => string;
  /** Folder of snapshots; default `<data>/snapshots`. */
  snapshotDir?: string;
  /** Begin with the files of this clone and take over what the server says later: for those that the server itself stands on. */
  beginWithFiles?: boolean;
}

// These two apply before there is any configuration to take them from.
/** How long a starting process tries the server before it takes its last good snapshot, ms. */
const GRACE_MS = 2000;
/** Between two tries while starting, ms. */
const RETRY_MS = 100;
const REQUEST_TIMEOUT_MS = 1000;

const withOwn = (sections: readonly SectionClass[]) => [...new Set<SectionClass>([ConfigSection, ...sections])];

class Source {
  private etag?: string;

  constructor(private readonly options: LoadOptions) {}

  get url(): string {
    const { process, profile, url } = this.options;
    const base = (url?.() ?? environment().configUrl).replace(/\/$/, '');
    return `${base}/${process}/${profile}`;
  }

  /** What the server says now, or undefined when nothing changed since the last answer. @throws Error when it does not answer well */
  async ask(): Promise<ConfigEnvironment | undefined> {
    const answer = await request(this.url, {
      headers: { accept: 'application/json', ...(this.etag ? { 'if-none-match': this.etag } : {}) },
      headersTimeout: REQUEST_TIMEOUT_MS,
      bodyTimeout: REQUEST_TIMEOUT_MS,
    });
    const text = await answer.body.text();
    if (answer.statusCode === 304) return undefined;
    if (answer.statusCode !== 200) throw new Error(`${this.url} answered ${answer.statusCode}`);
    const { etag } = answer.headers;
    this.etag = typeof etag === 'string' ? etag : undefined;
    const said = JSON.parse(text) as ConfigEnvironment;
    // A stock server over plain files has no version: the content itself tells two revisions apart.
    return { ...said, version: said.version ?? createHash('sha256').update(text).digest('hex').slice(0, 12) };
  }
}

class Snapshot {
  private readonly file: string;

  constructor({ process, profile, snapshotDir }: LoadOptions) {
    this.file = join(snapshotDir ?? join(environment().dataDir, 'snapshots'), `${process}-${profile}.json`);
  }

  read(): ConfigEnvironment | undefined {
    try {
      return JSON.parse(readFileSync(this.file, 'utf8')) as ConfigEnvironment;
    } catch {
      return undefined;
    }
  }

  write(said: ConfigEnvironment) {
    mkdirSync(dirname(this.file), { recursive: true, mode: 0o700 });
    const half = `${this.file}.${process.pid}.tmp`;
    writeFileSync(half, JSON.stringify(said), { mode: 0o600 });
    renameSync(half, this.file);
  }
}

async function first(
  source: Source,
  snapshot: Snapshot,
  options: LoadOptions,
): Promise<{ said: ConfigEnvironment; from: SettingsOrigin }> {
  const { log, waiting, signal, beginWithFiles } = options;
  if (beginWithFiles) return { said: fileEnvironment(options), from: 'files' };
  const graceEndsAt = Date.now() + GRACE_MS;
  for (;;) {
    try {
      const said = await source.ask();
      if (said) return { said, from: 'server' };
    } catch (error) {
      const kept = Date.now() > graceEndsAt ? snapshot.read() : undefined;
      if (kept) {
        log.warn('configuration server away: starting from the last good snapshot', {
          url: source.url,
          revision: kept.version,
          error,
        });
        return { said: kept, from: 'snapshot' };
      }
      waiting?.(`the configuration server at ${new URL(source.url).origin}`);
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}

/**
 * The sections of a process from the configuration server, kept fresh until closed. While the server is away a running process keeps
 * what it has and a starting one takes its last good snapshot, or waits when it has none.
 *
 * @throws ConfigError when a section refuses its values
 */
export async function loadSettings(options: LoadOptions): Promise<Settings> {
  const { log, sections } = options;
  const source = new Source(options);
  const snapshot = new Snapshot(options);
  const { said, from } = await first(source, snapshot, options);
  const settings = new Settings(withOwn(sections), said, from, log);
  if (from === 'server') snapshot.write(said);
  let away = from === 'snapshot';
  const poll = async () => {
    try {
      const next = await source.ask();
      if (away) log.info('configuration server is back', { url: source.url });
      away = false;
      if (!next || (next.version === settings.revision && settings.origin === 'server')) return;
      settings.apply(next, 'server');
      if (settings.revision === next.version) snapshot.write(next);
    } catch (error) {
      if (!away) log.warn('configuration server away: keeping what runs', { url: source.url, error });
      away = true;
    }
  };
  const ended = new AbortController();
  const keep = async () => {
    const config = settings.section(ConfigSection);
    while (!ended.signal.aborted) {
      await sleep(config.pollMs, undefined, { signal: ended.signal, ref: false }).catch(() => undefined);
      if (!ended.signal.aborted) await poll();
    }
  };
  void runWithout(keep);
  return settings.keptBy(() => ended.abort());
}

function fileEnvironment({ process: name, profile, dir, over }: FileOptions): ConfigEnvironment {
  const files = fileSources(dir ?? join(environment().root, 'config'), name, [profile]);
  const propertySources = over ? [{ name: 'given', source: over }, ...files] : files;
  return { name, profiles: [profile], label: null, version: revisionOf(propertySources), state: null, propertySources };
}

/** A short name for these very values: the same on every process that has the same. */
export const revisionOf = (propertySources: readonly PropertySource[]): string =>
  createHash('sha256').update(JSON.stringify(propertySources)).digest('hex').slice(0, 12);

/** Whose files to read. */
export interface FileOptions extends Pick<LoadOptions, 'process' | 'profile' | 'sections' | 'log'> {
  dir?: string;
  /** Values that win over the files. */
  over?: Flat;
}

/** The sections of a process straight from the files, never to change: for tests. */
export const fileSettings = (options: FileOptions): Settings =>
  new Settings(withOwn(options.sections), fileEnvironment(options), 'files', options.log);
