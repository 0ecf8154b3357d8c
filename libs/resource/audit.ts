import { Column, Entity, type EntityManager, Index, PrimaryColumn } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type Caller, context } from '#context';
import type { Emitted } from '#outbox';

/** Shown columns with their values; null where there was none. */
export type State = Record<string, unknown>;

/** What a member of staff did to one thing. */
export interface AuditEntry {
  /** The caller's id: a person's, or that of a client that spoke for itself. */
  who: string;
  /** Through which client. */
  client?: string;
  /** UTC, ISO 8601. */
  at: string;
  /** What kind of thing it was done to, `movie`. */
  subject: string;
  subjectId: string;
  /** `created`, `changed`, `removed`, or what else the event says. */
  action: string;
  /** Of a change only the columns that it changed. */
  before?: State;
  after?: State;
  traceId?: string;
  /** Where it was written. */
  process: string;
}

/** What is said of each record: once when it is made, and again, under the same key, when a person's values in it are blanked. */
export interface AuditEvents {
  'audit.recorded': AuditEntry;
  'audit.blanked': AuditEntry;
}

/** One write by staff, stored in the transaction of the write. */
@Entity('audit_record')
@Index('audit_record_of_subject', ['subject', 'subjectId'])
export class AuditRecord {
  @PrimaryColumn('uuid') id: string;
  /** 1, and more once values were blanked. */
  @Column('int') version: number;
  @Column('timestamptz') at: Date;
  @Column('varchar') who: string;
  @Column('varchar', { nullable: true }) client?: string;
  @Column('varchar') process: string;
  @Column('varchar', { nullable: true }) traceId?: string;
  @Column('varchar') subject: string;
  @Column('varchar') subjectId: string;
  @Column('varchar') action: string;
  @Column('jsonb', { nullable: true }) before?: State;
  @Column('jsonb', { nullable: true }) after?: State;
}

/** What was done to one thing; a created one has no `before`, a removed one no `after`. */
export interface Deed {
  subjectId: string;
  action: string;
  before?: State;
  after?: State;
}

/** Whether a caller's writes are recorded: everyone but a mere customer, and each client that speaks for itself. */
export const isStaff = ({ id, roles, client }: Caller): boolean => id === client || roles.some((role) => role !== 'customer');

/** The caller of now, when their writes are recorded. */
export function staff(): Caller | undefined {
  const caller = context()?.caller;
  return caller && isStaff(caller) ? caller : undefined;
}

const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** The columns in which two states differ, as they were and as they are. */
export function difference(was: State, is: State): { before: State; after: State } {
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter((name) => !isSame(was[name], is[name]));
  const of = (state: State) => Object.fromEntries(names.map((name) => [name, state[name] ?? null]));
  return { before: of(was), after: of(is) };
}

// #storage names each process's connections after it.
const processOf = (tx: EntityManager) => (tx.dataSource.options as { applicationName?: string }).applicationName ?? '';

/**
 * Record what `caller` did, in `tx`, the transaction that did it, in one statement however many deeds.
 *
 * @returns the events that say so, to be emitted with those of the deeds
 */
export async function record(
  tx: EntityManager,
  { id: who, client }: Caller,
  subject: string,
  deeds: readonly Deed[],
): Promise<Emitted<AuditEntry>[]> {
  if (deeds.length === 0) return [];
  const traceId = context()?.traceId;
  const same = { who, client, at: new Date().toISOString(), subject, traceId, process: processOf(tx) };
  const records = deeds.map((deed) => ({ id: uuidv7(), ...deed }));
  await tx.query(
    `INSERT INTO audit_record (id, version, at, who, client, process, "traceId", subject, "subjectId", action, before, after)
     SELECT r.id, 1, $2, $3, $4, $5, $6, $7, r."subjectId", r.action, r.before, r.after
     FROM json_to_recordset($1::json) AS r (id uuid, "subjectId" varchar, action varchar, before jsonb, after jsonb)`,
    [JSON.stringify(records), same.at, who, client ?? null, same.process, traceId ?? null, subject],
  );
  return records.map(({ id, ...deed }) => ({ name: 'audit.recorded', key: id, version: 1, body: { ...same, ...deed } }));
}

type Blanked = Omit<AuditRecord, 'at'> & { at: Date };

/**
 * Take the values of `columns` out of all records about one thing.
 *
 * @returns the events that say so, each under the key of its record
 */
export async function blank(
  tx: EntityManager,
  { subject, subjectId }: Pick<AuditEntry, 'subject' | 'subjectId'>,
  columns: readonly string[],
): Promise<Emitted<AuditEntry>[]> {
  const [rows] = await tx.query<[Blanked[], number]>(
    `UPDATE audit_record SET version = version + 1, before = before - $3::text[], after = after - $3::text[]
     WHERE subject = $1 AND "subjectId" = $2 AND (before ?| $3::text[] OR after ?| $3::text[]) RETURNING *`,
    [subject, subjectId, columns],
  );
  return rows.map(({ id, version, at, ...rest }) => {
    const said = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null)) as Omit<AuditEntry, 'at'>;
    return { name: 'audit.blanked', key: id, version, body: { ...said, at: at.toISOString() } };
  });
}
