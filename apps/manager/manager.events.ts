/** What the rest of the mesh may know about the staff: which user acts where. Owned here; others `import type` it. */
export interface ManagerState {
  user: string;
  role: StaffRole;
  /** The chain they act in. */
  chain: string;
  /** The cinemas they act in; of a chain-admin none, since it is all of the chain. */
  cinemas: string[];
}

export type StaffRole = 'manager' | 'cashier' | 'usher' | 'chain-admin';

export interface ManagerEvents {
  'manager.created': ManagerState;
  'manager.changed': ManagerState;
  'manager.removed': { id: string };
}
