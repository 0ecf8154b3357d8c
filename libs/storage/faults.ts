import { QueryFailedError, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { Problem } from '#problem';

// SQLSTATE classes and what sockets say. @source PostgreSQL documentation, appendix A
const AWAY =
  /^(08...|57P0[1-4]|53300|25P03|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;
const AWAY_TEXT =
  /connection terminated|client has encountered a connection error|connection error and is not queryable|client was closed/i;
const SLOW = /^(57014|55P03|40P01|40001)$/;
const SLOW_TEXT = /timeout exceeded when trying to connect/;

/** Seconds after which a caller should try again: most outages of a database are restarts. */
const RETRY_AFTER = { 'Retry-After': '1' };

const unavailable = () =>
  new Problem(
    'storage-unavailable',
    503,
    'the database does not answer; nothing was changed that was not confirmed',
    {},
    RETRY_AFTER,
  );

/** The problem of a request that asked while the database was too busy: time-outs, deadlocks, a full queue. */
export const tooSlow = (): Problem =>
  new Problem('storage-slow', 503, 'the database was too busy for this request; try again', {}, RETRY_AFTER);

/** What the driver said, without what TypeORM wraps around it. Told by its shape: errors of the system may be of another realm. */
const causeOf = (error: unknown): { code?: unknown; message?: unknown; errors?: unknown[] } =>
  (error instanceof QueryFailedError ? (error.driverError as object) : Object(error)) as object;

function meaning(error: unknown): Problem | undefined {
  if (error instanceof QueryRunnerAlreadyReleasedError) return unavailable();
  const { code, message, errors } = causeOf(error);
  if (SLOW.test(String(code)) || SLOW_TEXT.test(String(message))) return tooSlow();
  if (AWAY.test(String(code)) || AWAY_TEXT.test(String(message))) return unavailable();
  // Several addresses tried, none answered.
  return errors?.length ? meaning(errors[0]) : undefined;
}

/** What a failure of the database means to a caller: 503 `storage-unavailable` or `storage-slow`; any other is given back as it is. */
export function storageFault(error: unknown): unknown {
  const problem = meaning(error);
  if (problem) problem.cause = error;
  return problem ?? error;
}

/** Whether the database is away, so that nobody's input is to blame. */
export const isUnavailable = (error: unknown): boolean => error instanceof Problem && error.type === 'storage-unavailable';

/** A database that was not made ready for this process. */
export class Unprepared extends Error {}

/** What a process that starts has to wait for, in a sentence with its cure; undefined when waiting would not help. */
export function reasonToWait(error: unknown, url: string, process: string): string | undefined {
  const { host, pathname } = new URL(url);
  const code = String(causeOf(error).code ?? '');
  const cure = `run npx mesh db prepare`;
  if (/^28/.test(code)) return `the database at ${host} does not let ${process} in: ${cure}`;
  if (code === '3D000') return `there is no database ${pathname.slice(1)} at ${host}: ${cure}`;
  if (error instanceof Unprepared) return `the database at ${host} is not prepared for ${process}: ${cure}`;
  return meaning(error) ? `the database at ${host} does not answer` : undefined;
}
