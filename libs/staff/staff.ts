import { Inject, Injectable } from '@nestjs/common';
import { Column, Entity, Index } from 'typeorm';
import { currentCaller } from '#auth';
import { Problem } from '#problem';
import { isId, learns, type Learnt, ViewRow } from '#resource';
import { Storage } from '#storage';

/** Where one member of staff may act, as the events of `manager` say. */
@Entity('staff')
export class StaffMember extends ViewRow {
  @Index('staff_user') @Column('uuid') user: string;
  @Column('varchar') role: string;
  @Column('uuid') chain: string;
  /** None for who acts in all of the chain. */
  @Column('uuid', { array: true }) cinemas: string[];
}

/** What those events carry. */
interface Binding {
  user: string;
  role: string;
  chain: string;
  cinemas: string[];
}
const bind = ({ user, role, chain, cinemas }: Binding) => ({ user, role, chain, cinemas });

/** The table of the staff, for the `learns` of a process that asks where its callers may act. */
export const staffLearnt: Learnt = learns<
  StaffMember,
  { 'manager.created': Binding; 'manager.changed': Binding; 'manager.removed': unknown }
>(StaffMember, { 'manager.created': bind, 'manager.changed': bind, 'manager.removed': () => null });

/** The caller's bounds: everything, a chain, or some of its cinemas. */
export interface Bounds {
  everywhere: boolean;
  /** Chains in all of which they act. */
  chains: readonly string[];
  /** Cinemas in which they act. */
  cinemas: readonly string[];
}

/** Whether that is in bounds: all of `chain`. */
export const holdsChain = ({ everywhere, chains }: Bounds, chain: string): boolean => everywhere || chains.includes(chain);

/** Whether that is in bounds: a cinema, or all of its chain. */
export const holdsCinema = (bounds: Bounds, { id, chain }: { id: string; chain: string }): boolean =>
  holdsChain(bounds, chain) || bounds.cinemas.includes(id);

const CHAIN_ADMIN = 'chain-admin';

/** Where the caller may act. A `chain-admin` who was never bound to a chain, the first administrator, acts everywhere; other staff bound nowhere acts nowhere. */
@Injectable()
export class Staff {
  constructor(@Inject(Storage) private readonly storage: Storage) {}

  /** @throws Problem `unauthenticated` (401) without a caller */
  async bounds(): Promise<Bounds> {
    const { id, roles } = currentCaller();
    // A client that speaks for itself has a name for an id.
    const known = isId(id)
      ? await this.storage.query<StaffMember>('SELECT role, chain, cinemas, removed FROM staff WHERE "user" = $1', [id])
      : [];
    const bound = known.filter(({ removed }) => !removed);
    // Whose chain was taken away keeps the role in a token for some minutes: that must not open all the others.
    const isDismissed = known.some(({ role, removed }) => removed && role === CHAIN_ADMIN);
    const held = bound.filter(({ role }) => roles.includes(role));
    const of = (isWhole: boolean) => held.filter(({ role }) => (role === CHAIN_ADMIN) === isWhole);
    return {
      everywhere: roles.includes(CHAIN_ADMIN) && bound.length === 0 && !isDismissed,
      chains: of(true).map(({ chain }) => chain),
      cinemas: of(false).flatMap(({ cinemas }) => cinemas),
    };
  }

  /** Only for who acts everywhere. @throws Problem `out-of-bounds` (403) */
  async actsEverywhere(): Promise<void> {
    if (!(await this.bounds()).everywhere) throw outside('only an administrator of all chains does this');
  }

  /** Only for who acts in all of `chain`. @throws Problem `out-of-bounds` (403) */
  async actsInChain(chain: string): Promise<void> {
    if (!holdsChain(await this.bounds(), chain)) throw outside('this belongs to a chain that you do not act in');
  }

  /** Only for who acts in that cinema, or in all of its chain. @throws Problem `out-of-bounds` (403) */
  async actsInCinema(cinema: { id: string; chain: string }): Promise<void> {
    if (!holdsCinema(await this.bounds(), cinema)) throw outside('this belongs to a cinema that you do not act in');
  }
}

const outside = (detail: string) => new Problem('out-of-bounds', 403, detail);
