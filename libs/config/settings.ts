import type { Log } from '#log';
import { type ConfigFault, faultText, readSections, type SectionClass } from './section.js';
import type { ConfigEnvironment } from './sources.js';

/** Where the running values came from: the server, the last good snapshot while it is away, or the files themselves. */
export type SettingsOrigin = 'server' | 'snapshot' | 'files';

/** Configuration that its sections refuse. The message names each key, its value, its origin and what is expected. */
export class ConfigError extends Error {
  constructor(readonly faults: readonly ConfigFault[]) {
    super(`the configuration is wrong:\n${faults.map((fault) => `  ${faultText(fault)}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

/**
 * The sections of one process. A section is one live object for the life of the process: a hot change writes its fields in place,
 * so whoever reads `config.timeoutMs` at the time of use has the current value without listening.
 */
export class Settings {
  private readonly live = new Map<SectionClass, object>();
  private readonly listeners = new Set<() => void>();
  private environment: ConfigEnvironment;
  private from: SettingsOrigin;
  private stop: () => void = () => undefined;

  /** @throws ConfigError when a section refuses its values */
  constructor(
    classes: readonly SectionClass[],
    environment: ConfigEnvironment,
    from: SettingsOrigin,
    private readonly log: Log,
  ) {
    const read = readSections(classes, environment.propertySources);
    const faults = read.flatMap((part) => part.faults);
    if (faults.length > 0) throw new ConfigError(faults);
    for (const { cls, section } of read) this.live.set(cls, section);
    this.environment = environment;
    this.from = from;
  }

  /** The live section of that class. @throws Error when the process did not declare it: a bug */
  section<T extends object>(cls: SectionClass<T>): T {
    const section = this.live.get(cls);
    if (!section) throw new Error(`${cls.name} is not among the sections of this process`);
    return section as T;
  }

  /** Which revision of the configuration runs here. */
  get revision(): string {
    return this.environment.version ?? 'unknown';
  }

  get origin(): SettingsOrigin {
    return this.from;
  }

  /** Be told after a change. @returns a function that ends it */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Take over new values if every section accepts them, else keep the old and say which is wrong. */
  apply(environment: ConfigEnvironment, from: SettingsOrigin): void {
    const read = readSections([...this.live.keys()], environment.propertySources);
    const faults = read.flatMap((part) => part.faults);
    if (faults.length > 0) {
      this.log.error('configuration refused', { faults: faults.map(faultText), kept: this.revision });
      return;
    }
    for (const { cls, section } of read) replaceFields(this.live.get(cls)!, section);
    const isNews = environment.version !== this.environment.version;
    this.environment = environment;
    this.from = from;
    if (!isNews) return;
    this.log.info('configuration changed', { revision: this.revision, from });
    for (const listener of this.listeners) listener();
  }

  /** What to end when this process closes; set by whoever keeps these settings fresh. */
  keptBy(stop: () => void): this {
    this.stop = stop;
    return this;
  }

  close(): void {
    this.stop();
    this.listeners.clear();
  }
}

function replaceFields(target: object, source: object) {
  for (const key of Object.keys(target)) if (!(key in source)) Reflect.deleteProperty(target, key);
  Object.assign(target, source);
}
