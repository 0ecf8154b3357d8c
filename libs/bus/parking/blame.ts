import { Problem } from '#problem';

/** The handlers of one event took too long. */
export class HandlersLate extends Problem {
  constructor(name: string, ms: number) {
    super('timeout', 504, `the handlers of ${name} took more than ${ms} ms`);
  }
}

/** Too busy, no answer, no answer in time: of the database, or of a service that was called. */
const SURROUNDINGS: readonly number[] = [429, 503, 504];
// Resources, the system, operators, a server that only reads. @source PostgreSQL documentation, appendix A
const SERVER = /^(53...|57...|58...|XX...|25006|40...|55P03)$/;

/**
 * Whether an event fails because of what it is, so that it is parked after some tries. When it fails because of what is around it,
 * all others would fail as well, and it is tried until that is mended.
 */
export function isOwnFault(error: unknown): boolean {
  if (error instanceof HandlersLate) return true;
  if (error instanceof Problem) return !SURROUNDINGS.includes(error.status);
  const { code, driverError } = Object(error) as { code?: unknown; driverError?: { code?: unknown } };
  return !SERVER.test(String(driverError?.code ?? code ?? ''));
}

/** What is said once, and kept with a parked event: a handler's filter may throw something that is no Error. */
export function reasonOf(error: unknown): string {
  const { name, message } = Object(error) as { name?: string; message?: string };
  return message === undefined ? (JSON.stringify(error) ?? String(error)) : `${name}: ${message}`;
}
