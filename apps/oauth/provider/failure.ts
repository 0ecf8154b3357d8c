import { Problem } from '#problem';

/** Whether somebody else does not answer now, and may in a moment: the database, or a service that is needed. */
export const isUnavailableProblem = (error: unknown): error is Problem =>
  error instanceof Problem && [502, 503, 504].includes(error.status);
