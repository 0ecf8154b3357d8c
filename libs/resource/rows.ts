import { type EntityManager, In, QueryFailedError } from 'typeorm';
import { context } from '#context';
import { emit, type Emitted } from '#outbox';
import { Problem } from '#problem';
import type { Storage } from '#storage';
import { blank, type Deed, difference, record, staff, type State } from './audit.js';
import { isId, notFound, type Row, type RowClass, stale } from './row.js';

/** What a command answers: the shown columns of a row with its id and version. */
export type Answer<T extends Row> = Partial<T> & { id: string; version: number };

const UNIQUE_VIOLATION = '23505';

/** `email` of `lower(email::text)`: a unique index may be over an expression. */
const columnOf = (key: string) => /^\w+\(+"?(\w+)/.exec(key)?.[1] ?? key;

/** 409 `<name>-exists` when `error` says that a unique key is taken; anything else is thrown on. */
function taken(name: string, error: unknown): never {
  const { code, detail } = (error instanceof QueryFailedError ? error.driverError : {}) as { code?: string; detail?: string };
  if (code !== UNIQUE_VIOLATION) throw error;
  const keys = /^Key \((.+?)\)=/.exec(detail ?? '')?.[1]?.replaceAll('"', '');
  const fields = keys?.split(', ').map(columnOf) ?? [];
  throw new Problem(`${name}-exists`, 409, `a ${name} with the same ${fields.join(' and ')} exists already`, { fields });
}

const without = (names: readonly string[], state: State): State =>
  Object.fromEntries(Object.entries(state).filter(([name]) => !names.includes(name)));

/**
 * The rows of one table. Each write is one transaction with its event and, when staff did it, its audit record; the ORM's own
 * `save` counts versions without comparing them.
 *
 * @param row   the table's class
 * @param name  singular, the first part of its events' names
 */
export class Rows<T extends Row> {
  /** Rows as they were read: what was before a change needs no second look, since the change compares versions. */
  private readonly read = new WeakMap<T, State>();

  constructor(
    private readonly row: RowClass<T>,
    private readonly name: string,
    private readonly storage: Storage,
  ) {}

  /**
   * The row of that id, as it is now.
   *
   * @throws Problem `not-found` (404); `stale` (412) when the request's `If-Match` names another version
   */
  async find(id: string): Promise<T> {
    const found = isId(id) ? await this.storage.transaction((tx) => tx.findOneBy<T>(this.row, { id } as never)) : null;
    if (!found) throw notFound(this.name, id);
    const wanted = context()?.ifMatch;
    if (wanted !== undefined && wanted !== found.version) throw stale(this.name, id, found.version);
    this.remember(found);
    return found;
  }

  /**
   * Store `next` and say so, or refuse if someone else stored it since it was read.
   *
   * @param event  past tense: the event is `<name>.<event>`
   * @param action what the audit record calls it
   * @throws Problem `stale` (412 with `If-Match`, else 409), `<name>-exists` (409) when a unique key is taken
   */
  write(event: string, next: T, action = event): Promise<Answer<T>> {
    return this.storage.transaction(async (tx) => {
      const isNew = next.version === undefined;
      const was = isNew ? undefined : await this.before(tx, next);
      if (isNew) await tx.insert<T>(this.row, next as never).catch((error: unknown) => taken(this.name, error));
      else await this.replace(tx, next);
      const is = this.row.state(next);
      const deed = { subjectId: next.id, action, ...(was ? difference(was, is) : { after: is }) };
      await emit(tx, this.happened(event, next), ...(await this.recorded(tx, [deed])));
      this.remember(next);
      return { id: next.id, version: next.version, ...is } as Answer<T>;
    });
  }

  /** Record that staff made `next`, which a statement of its own has stored and said in `tx`. */
  async recordMade(tx: EntityManager, next: T, action: string): Promise<void> {
    await emit(tx, ...(await this.recorded(tx, [{ subjectId: next.id, action, after: this.row.state(next) }])));
  }

  /** Take the row away. @throws Problem as `find` */
  remove(id: string): Promise<void> {
    return this.storage.transaction(async (tx) => {
      const found = await this.find(id);
      const { version } = found;
      const { affected } = await tx.delete(this.row, { id, version });
      if (!affected) throw stale(this.name, id);
      const gone = { name: `${this.name}.removed`, key: id, version: version + 1, body: { id } };
      await emit(tx, gone, ...(await this.recorded(tx, [{ subjectId: id, action: 'removed', before: this.row.state(found) }])));
    });
  }

  /**
   * Store `next`, a person's row with nothing personal left in it, as `<name>.erased`, and leave nothing of what it held before in
   * audit records or in answers kept for repeated requests. The log of events forgets it once it has this one.
   */
  erase(next: T): Promise<Answer<T>> {
    return this.storage.transaction(async (tx) => {
      const { row, name } = this;
      const was = await this.before(tx, next);
      await this.replace(tx, next);
      const is = row.state(next);
      const { before, after } = difference(without(row.personal, was ?? {}), without(row.personal, is));
      const blanked = await blank(tx, { subject: name, subjectId: next.id }, row.personal);
      await tx.query(`DELETE FROM idempotency WHERE body ->> 'id' = $1`, [next.id]);
      const deed = { subjectId: next.id, action: 'erased', before, after };
      await emit(tx, this.happened('erased', next), ...(await this.recorded(tx, [deed])), ...blanked);
      return { id: next.id, version: next.version, ...is } as Answer<T>;
    });
  }

  /** Create those of `inputs` that are not there already. @returns their ids */
  async insertNew(tx: EntityManager, inputs: readonly T[]): Promise<Set<string>> {
    await tx
      .createQueryBuilder()
      .insert()
      .into<T>(this.row)
      .values(inputs as never)
      .orIgnore()
      .updateEntity(false)
      .execute();
    const stored = await tx.findBy<T>(this.row, { id: In(inputs.map(({ id }) => id)) } as never);
    const deeds = stored.map((next) => ({ subjectId: next.id, action: 'created', after: this.row.state(next) }));
    await emit(tx, ...stored.map((next) => this.happened('created', next)), ...(await this.recorded(tx, deeds)));
    return new Set(stored.map(({ id }) => id));
  }

  private happened(event: string, next: T): Emitted {
    return { name: `${this.name}.${event}`, key: next.id, version: next.version, body: this.row.state(next) };
  }

  private recorded(tx: EntityManager, deeds: readonly Deed[]): Promise<Emitted[]> {
    const caller = staff();
    return caller ? record(tx, caller, this.name, deeds) : Promise.resolve([]);
  }

  private remember(row: T): void {
    if (staff()) this.read.set(row, structuredClone(this.row.state(row)));
  }

  /** What the row showed before `next`; undefined when nobody will ask. */
  private async before(tx: EntityManager, next: T): Promise<State | undefined> {
    if (!staff()) return undefined;
    const known = this.read.get(next);
    if (known) return known;
    const found = await tx.findOneBy<T>(this.row, { id: next.id } as never);
    return found ? this.row.state(found) : {};
  }

  private async replace(tx: EntityManager, next: T): Promise<void> {
    const { id, version, ...fields } = next;
    const change = { ...fields, version: version + 1 };
    const stored = tx.update<T>(this.row, { id, version }, change as never);
    const { affected } = await stored.catch((error: unknown) => taken(this.name, error));
    if (!affected) throw stale(this.name, id);
    next.version = version + 1;
  }
}
