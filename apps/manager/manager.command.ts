import { Body, Controller, Delete, HttpCode, Inject, Param, Patch } from '@nestjs/common';
import { Ctx, EventPattern } from '@nestjs/microservices';
import { ArrayMaxSize, ArrayUnique, IsArray, IsIn, IsUUID } from 'class-validator';
import { Column, Entity, Unique } from 'typeorm';
import { Allow, currentCaller } from '#auth';
import type { BusContext } from '#bus';
import { invalidInput, Problem } from '#problem';
import { type Answer, CommandController, commandService, learns, Row, Rows, serve, ViewRow } from '#resource';
import { Staff, staffLearnt } from '#staff';
import { Storage } from '#storage';
import type { ChainEvents } from '../chain/chain.events.js';
import type { CinemaEvents, CinemaState } from '../cinema/cinema.events.js';
import type { UserEvents, UserState } from '../user/user.events.js';
import type { ManagerState, StaffRole } from './manager.events.js';
import { isBeneath, placeFaults, STAFF_ROLES } from './manager.rules.js';

@Entity('manager')
@Unique('manager_user', ['user'])
export class Manager extends Row implements ManagerState {
  static override readonly shown: readonly (keyof ManagerState)[] = ['user', 'role', 'chain', 'cinemas'];

  @Column('uuid')
  @IsUUID()
  user: string;

  @Column('varchar')
  @IsIn(STAFF_ROLES)
  role: StaffRole;

  @Column('uuid')
  @IsUUID()
  chain: string;

  @Column('uuid', { array: true })
  @IsArray()
  @ArrayMaxSize(50)
  @ArrayUnique((id: unknown) => (typeof id === 'string' ? id.toLowerCase() : id))
  @IsUUID(undefined, { each: true })
  cinemas: string[] = [];
}

/** The chains there are. */
@Entity('known_chain')
export class KnownChain extends ViewRow {}

/** The cinemas there are, and whose. */
@Entity('known_cinema')
export class KnownCinema extends ViewRow {
  @Column('uuid') chain: string;
}

/** The users there are; an erased one is gone. */
@Entity('known_user')
export class KnownUser extends ViewRow {
  /** Whether it administrates: somebody bound nowhere who does so acts everywhere. */
  @Column() administrates: boolean;
}

@Controller('managers')
@Allow('chain-admin', 'manager')
export class ManagerCommandController extends CommandController(Manager, 'manager') {
  @Inject(Staff) private readonly staff: Staff;

  /** Change the role, or the cinemas. @throws Problem `out-of-bounds` (403), `own-account` (409), `invalid-input` (400) */
  @Patch(':id')
  override patch(@Param('id') id: string, @Body() body: unknown): Promise<Answer<Manager>> {
    return this.storage.transaction(async () => {
      const current = await this.find(id);
      await this.mayPlace(current);
      const asked = (typeof body === 'object' && body !== null ? body : {}) as Partial<ManagerState>;
      const moved = (['user', 'chain'] as const).filter((name) => asked[name] !== undefined && asked[name] !== current[name]);
      const detail = 'cannot be changed: end this place among the staff, and give another';
      if (moved.length > 0) throw invalidInput(moved.map((name) => ({ pointer: `/${name}`, detail })));
      return super.patch(id, body);
    });
  }

  /** End it: the user keeps the account, without the role. @throws Problem `out-of-bounds` (403), `own-account` (409) */
  @Delete(':id')
  @HttpCode(204)
  override remove(@Param('id') id: string): Promise<void> {
    return this.storage.transaction(async () => {
      await this.mayPlace(await this.find(id));
      return super.remove(id);
    });
  }

  /** Whatever is stored, new or changed, is checked as a whole. */
  protected override write(event: string, next: Manager, action?: string): Promise<Answer<Manager>> {
    return this.storage.transaction(async () => {
      const { user, chain, cinemas } = next;
      const lower = { user: user.toLowerCase(), chain: chain.toLowerCase(), cinemas: cinemas.map((id) => id.toLowerCase()) };
      await this.mayPlace(Object.assign(next, lower));
      await this.mustExist(next);
      if (next.version === undefined) await this.mustBeUser(next);
      return super.write(event, next, action);
    });
  }

  /** Whether the caller may give somebody that place, or take it. */
  private async mayPlace(place: ManagerState): Promise<void> {
    if (currentCaller().id === place.user)
      throw new Problem('own-account', 409, 'nobody changes the own place among the staff: ask somebody else who may');
    const { cinemas } = await this.staff.bounds();
    if (!isBeneath(place, cinemas)) await this.staff.actsInChain(place.chain);
  }

  /** @throws Problem `invalid-input` (400) */
  private async mustExist(place: ManagerState): Promise<void> {
    const faults = placeFaults(place);
    if (faults.length > 0) throw invalidInput(faults);
    const { chain, cinemas } = place;
    const isChain = await this.learnt('SELECT 1 FROM known_chain WHERE id = $1 AND NOT removed', [chain]);
    if (!isChain) throw invalidInput([{ pointer: '/chain', detail: `must be a chain: there is none with the id ${chain}` }]);
    if (cinemas.length === 0) return;
    const all = 'SELECT 1 FROM known_cinema WHERE id = ANY($1) AND chain = $2 AND NOT removed HAVING count(*) = $3';
    if (await this.learnt(all, [cinemas, chain, cinemas.length])) return;
    const known = await this.storage.query<{ id: string }>(
      'SELECT id FROM known_cinema WHERE id = ANY($1) AND chain = $2 AND NOT removed',
      [cinemas, chain],
    );
    const unknown = cinemas.map((id, i) => ({ id, i })).filter(({ id }) => !known.some((cinema) => cinema.id === id));
    throw invalidInput(
      unknown.map(({ id, i }) => ({ pointer: `/cinemas/${i}`, detail: `must be a cinema of the chain: ${id} is none` })),
    );
  }

  /** @throws Problem `invalid-input` (400) when there is no such user, `out-of-bounds` (403) when it administrates all chains */
  private async mustBeUser({ user }: ManagerState): Promise<void> {
    // Shared with nobody who learns of its erasure: that waits until this is stored, and then ends it.
    const known = await this.learnt<KnownUser>('SELECT administrates FROM known_user WHERE id = $1 AND NOT removed FOR SHARE', [
      user,
    ]);
    if (!known) throw invalidInput([{ pointer: '/user', detail: `must be a user: there is none with the id ${user}` }]);
    // Binding such a person to a chain takes all the others away.
    const isBound = await this.storage.query('SELECT 1 FROM manager WHERE "user" = $1', [user]);
    if (known.administrates && isBound.length === 0) await this.staff.actsEverywhere();
  }
}

/** Ends the place of a person who is erased. */
@Controller()
export class Departures {
  private readonly rows: Rows<Manager>;

  constructor(@Inject(Storage) private readonly storage: Storage) {
    this.rows = new Rows(Manager, 'manager', storage);
  }

  @EventPattern('user.erased')
  async erased(@Ctx() { event }: BusContext<UserState>): Promise<void> {
    const bound = await this.storage.query<{ id: string }>('SELECT id FROM manager WHERE "user" = $1', [event.key]);
    for (const { id } of bound) await this.rows.remove(id);
  }
}

const knowCinema = ({ chain }: CinemaState) => ({ chain });
const knowUser = ({ roles }: UserState) => ({ administrates: roles.includes('chain-admin') });

export const ManagerCommand = commandService({
  name: 'manager-command',
  row: Manager,
  controller: ManagerCommandController,
  listens: true,
  learns: [
    staffLearnt,
    learns<KnownChain, ChainEvents>(KnownChain, {
      ...{ 'chain.created': () => ({}), 'chain.changed': () => ({}), 'chain.removed': () => null },
    }),
    learns<KnownCinema, CinemaEvents>(KnownCinema, {
      ...{ 'cinema.created': knowCinema, 'cinema.changed': knowCinema, 'cinema.removed': () => null },
    }),
    learns<KnownUser, UserEvents>(KnownUser, {
      ...{ 'user.created': knowUser, 'user.changed': knowUser, 'user.erased': () => null },
    }),
  ],
  // After those who learn: what is erased has to be known as such before its place is looked for.
  controllers: [Departures],
  providers: [Staff],
});

await serve(import.meta, ManagerCommand);
