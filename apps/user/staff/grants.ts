import { Controller, Inject } from '@nestjs/common';
import { Ctx, EventPattern } from '@nestjs/microservices';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { BusContext, BusEvent } from '#bus';
import { Log } from '#log';
import { Problem } from '#problem';
import { Storage } from '#storage';
import type { ManagerState, StaffRole } from '../../manager/manager.events.js';
import { Accounts, User } from '../account.js';

/** The role that a place among the staff gave to a user; the id is the place's. */
@Entity('granted_role')
export class GrantedRole {
  @PrimaryColumn('uuid') id: string;
  /** Of the place: an older event changes nothing. */
  @Column('int') version: number;
  @Index('granted_role_user') @Column('uuid', { nullable: true }) user?: string | null;
  /** None once the place is ended. */
  @Column('varchar', { nullable: true }) role?: StaffRole | null;
}

/** What a change of place does to a user's roles. */
interface Change {
  user: string;
  was?: StaffRole | null;
  is?: StaffRole | null;
}

/** Gives users the role of their place among the staff, and takes it away with the place. */
@Controller()
export class Grants {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Accounts) private readonly accounts: Accounts,
    @Inject(Log) private readonly log: Log,
  ) {}

  @EventPattern('manager.created')
  created(@Ctx() { event }: BusContext<ManagerState>): Promise<void> {
    return this.follow(event, event.body);
  }

  @EventPattern('manager.changed')
  changed(@Ctx() { event }: BusContext<ManagerState>): Promise<void> {
    return this.follow(event, event.body);
  }

  @EventPattern('manager.removed')
  removed(@Ctx() { event }: BusContext): Promise<void> {
    return this.follow(event);
  }

  private async follow({ key, version }: BusEvent, place?: ManagerState): Promise<void> {
    const [was] = await this.storage.query<GrantedRole>('SELECT * FROM granted_role WHERE id = $1 FOR UPDATE', [key]);
    if (was && was.version >= version) return;
    const [user, is] = [place?.user ?? was?.user, place?.role];
    await this.storage.query(
      `INSERT INTO granted_role (id, version, "user", role) VALUES ($1, $2, $3, $4)
       ON CONFLICT (id) DO UPDATE SET version = excluded.version, "user" = excluded."user", role = excluded.role`,
      [key, version, user ?? null, is ?? null],
    );
    if (user) await this.apply({ user, was: was?.role, is });
  }

  private async apply({ user: id, was, is }: Change): Promise<void> {
    const user = await this.storage.transaction((tx) => tx.findOneBy(User, { id }));
    if (!user || user.erased) return this.log.info('role of a user who is gone left alone', { userId: id });
    // Places end and begin in no certain order: what another one gives is not taken by the end of this one.
    const given = await this.storage.query<{ role: StaffRole }>(
      'SELECT role FROM granted_role WHERE "user" = $1 AND role IS NOT NULL',
      [id],
    );
    const kept = user.roles.filter((role) => role !== was || given.some((other) => other.role === role));
    const roles = is && !kept.includes(is) ? [...kept, is] : kept;
    if (roles.length === user.roles.length && roles.every((role) => user.roles.includes(role))) return;
    try {
      await this.accounts.setRoles(user, roles.length > 0 ? roles : ['customer']);
    } catch (error) {
      if (!(error instanceof Problem) || error.type !== 'last-administrator') throw error;
      // It would be refused for ever: better an administrator too many than none, and than all later events waiting.
      this.log.warn('the last administrator keeps the role', { userId: id });
    }
  }
}
