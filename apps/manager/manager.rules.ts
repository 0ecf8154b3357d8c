import type { InputError } from '#problem';
import type { ManagerState, StaffRole } from './manager.events.js';

export const STAFF_ROLES: readonly StaffRole[] = ['manager', 'cashier', 'usher', 'chain-admin'];

/** Whom a manager of cinemas appoints there. */
const BENEATH: readonly StaffRole[] = ['cashier', 'usher'];

/** Whether a manager of `cinemas` may give somebody that place: at the till or the door, and nowhere else than there. */
export const isBeneath = ({ role, cinemas: wanted }: ManagerState, cinemas: readonly string[]): boolean =>
  BENEATH.includes(role) && wanted.length > 0 && wanted.every((id) => cinemas.includes(id));

/** What does not fit together in a place among the staff. */
export function placeFaults({ role, cinemas }: ManagerState): InputError[] {
  if (role === 'chain-admin' && cinemas.length > 0)
    return [{ pointer: '/cinemas', detail: 'must be empty for a chain-admin, who acts in all cinemas of the chain' }];
  if (role !== 'chain-admin' && cinemas.length === 0)
    return [{ pointer: '/cinemas', detail: `must name at least one cinema in which the ${role} acts` }];
  return [];
}
