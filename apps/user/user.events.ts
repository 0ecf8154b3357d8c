/** What the rest of the mesh may know about users. Owned here; others `import type` it. */
export interface UserState {
  /** As its owner wrote it; no two users have the same, whatever its case. Erased users have none. */
  email?: string;
  name?: string;
  language?: Language;
  /** E.164; only of accounts that were brought from elsewhere: what the customer begins with, and changes there. */
  phone?: string;
  roles: Role[];
  /** True once the e-mail address, or an administrator, has confirmed the account, or when it needed no confirmation. */
  confirmed: boolean;
  /** True while an administrator keeps it from signing in. */
  disabled: boolean;
  /** True once nothing personal is left; it is then also disabled, for ever. */
  erased?: boolean;
  /** Every session and grant begun before it is over, UTC, ISO 8601. */
  signedOutAt?: string;
}

export type Language = 'es' | 'en';
export type Role = 'customer' | 'cashier' | 'usher' | 'manager' | 'chain-admin' | 'operator';

export interface UserEvents {
  'user.created': UserState;
  'user.changed': UserState;
  'user.erased': UserState;
}
