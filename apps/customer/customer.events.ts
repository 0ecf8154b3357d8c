/** What the rest of the mesh may know about customers; the id is the user's. Owned here; others `import type` it. */
export interface CustomerState {
  name?: string;
  /** E.164, `+51987654321`. */
  phone?: string;
  language?: 'es' | 'en';
  /** Earned by purchases. */
  points: number;
  consents: Consents;
  /** True once nothing personal is left. */
  erased?: boolean;
}

/** What the person agreed to; what is not named they did not. */
export interface Consents {
  newsletter?: boolean;
  profiling?: boolean;
}

export interface CustomerEvents {
  'customer.created': CustomerState;
  'customer.changed': CustomerState;
  'customer.erased': CustomerState;
}

/** One thing that a customer agreed to, or did no more. */
export interface ConsentState {
  customer: string;
  consent: keyof Consents;
  /** False when it was withdrawn or refused. */
  given: boolean;
  /** UTC, ISO 8601. */
  at: string;
}

/** Each under a key of its own, so that the log keeps all of them until the customer is erased. */
export interface ConsentEvents {
  'customer.consented': ConsentState;
  'customer.consentForgotten': { id: string };
}
