import { Injectable, Inject, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import type { PropertySource, Scalar } from '#config';
import { Storage } from '#storage';

/** One change of a value at run time. The table is only ever added to: what is in force is the last change of each key. */
@Entity('config_change')
@Index('config_change_of_key', ['application', 'profile', 'key', 'revision'])
export class ConfigChange {
  /** Order of the changes, and the revision after this one. */
  @PrimaryGeneratedColumn('identity', { type: 'bigint', generatedIdentity: 'ALWAYS' })
  revision: string;

  /** Whom it concerns: a process's name, or `application` for all. */
  @Column('varchar')
  application: string;

  /** In which profile: its name, or `default` for all. */
  @Column('varchar')
  profile: string;

  /** Full key, `breaker.timeoutMs`. */
  @Column('varchar')
  key: string;

  /** The override that was in force before; null when there was none. */
  @Column('jsonb', { nullable: true })
  before: Scalar;

  /** The override from now on; null when the files decide again. */
  @Column('jsonb', { nullable: true })
  after: Scalar;

  @Column('varchar')
  author: string;

  @Column('timestamptz', { default: () => 'now()' })
  at: Date;
}

/** Where a change applies. */
export interface Scope {
  application: string;
  profile: string;
}

const CHANGED = 'config_changed';

/** The overrides in force, kept in memory and fresh: a request for configuration must not wait for the database. */
@Injectable()
export class Overrides implements OnModuleInit, OnModuleDestroy {
  private inForce: Pick<ConfigChange, 'application' | 'profile' | 'key' | 'after'>[] = [];
  private unlisten: () => Promise<void> = () => Promise.resolve();

  constructor(@Inject(Storage) private readonly storage: Storage) {}

  async onModuleInit() {
    this.unlisten = await this.storage.listen(CHANGED, () => void this.load().catch(() => undefined));
    await this.load();
  }

  async onModuleDestroy() {
    await this.unlisten();
  }

  /** The overrides for an application as property sources, the strongest first. Of several profiles the last is the strongest. */
  sources(application: string, profiles: readonly string[]): PropertySource[] {
    const scopes = [...profiles.toReversed(), 'default'].flatMap((profile) => [
      { application, profile },
      { application: 'application', profile },
    ]);
    return scopes.flatMap((scope) => this.of(scope));
  }

  /** Set a value, or with null let the files decide again. Any number of changes, in one transaction. */
  async change(changes: readonly (Scope & { key: string; value: Scalar })[], author: string): Promise<ConfigChange[]> {
    const made = await this.storage.transaction(async (tx) => {
      // One at a time: each records what it replaced.
      await tx.query(`SELECT pg_advisory_xact_lock(hashtext('config_change'))`);
      const written: ConfigChange[] = [];
      for (const { application, profile, key, value } of changes) {
        const before = await tx.findOne(ConfigChange, { where: { application, profile, key }, order: { revision: 'DESC' } });
        written.push(
          await tx.save(ConfigChange, { application, profile, key, before: before?.after ?? null, after: value, author }),
        );
      }
      await tx.query(`SELECT pg_notify($1, '')`, [CHANGED]);
      return written;
    });
    await this.load();
    return made;
  }

  /** The last changes, the newest first. @param limit  1–1000 */
  history(where: Partial<Scope & { key: string }>, limit: number): Promise<ConfigChange[]> {
    return this.storage.db.getRepository(ConfigChange).find({ where, order: { revision: 'DESC' }, take: limit });
  }

  /** What must be set for everything to be as it was right after `revision`. */
  async since(revision: string): Promise<(Scope & { key: string; value: Scalar })[]> {
    const rows: ConfigChange[] = await this.storage.query(
      `SELECT DISTINCT ON (application, profile, key) application, profile, key, before FROM config_change
       WHERE revision > $1 ORDER BY application, profile, key, revision`,
      [revision],
    );
    return rows.map(({ application, profile, key, before }) => ({ application, profile, key, value: before }));
  }

  private of({ application, profile }: Scope): PropertySource[] {
    const rows = this.inForce.filter((row) => row.application === application && row.profile === profile);
    if (rows.length === 0) return [];
    const source = Object.fromEntries(rows.map(({ key, after }) => [key, after]));
    return [{ name: `override:${application}/${profile}`, source }];
  }

  private async load() {
    this.inForce = await this.storage.query(
      `SELECT application, profile, key, after FROM (
         SELECT DISTINCT ON (application, profile, key) application, profile, key, after FROM config_change
         ORDER BY application, profile, key, revision DESC) last
       WHERE after IS NOT NULL AND after <> 'null'::jsonb`,
    );
  }
}
