import { Controller, type Type } from '@nestjs/common';
import { Ctx, EventPattern } from '@nestjs/microservices';
import type { EntityManager } from 'typeorm';
import { BusContext, type BusEvent } from '#bus';
import { type ColumnFacts, columnsOf, quoted, tableOf } from './list/list.js';
import type { ViewRow } from './row.js';

/** What each event makes of a view's row: its columns, or null when it is gone. */
export type Projection<V, E> = { [N in keyof E]?: (body: E[N], event: BusEvent<E[N]>) => Partial<V> | null };

/** What stands in a required column of a row that was removed before it was ever seen. */
const NOTHING: Readonly<Record<ColumnFacts['kind'], string>> = {
  ...{ text: `''`, int: '0', number: '0', boolean: 'false', date: `'epoch'`, instant: `'epoch'` },
  ...{ id: `'00000000-0000-0000-0000-000000000000'`, json: `'null'` },
};

/** What an event has made of a row: its columns, or null when it is gone. */
interface Projected {
  event: BusEvent;
  row: object | null;
}

/** One for each row: an event may say no more than what it changed. */
export function inTheEnd(projected: readonly Projected[]): Iterable<Projected> {
  const last = new Map<string, Projected>();
  for (const { event, row } of projected) {
    const before = last.get(event.key);
    if (before && before.event.version >= event.version) continue;
    last.set(event.key, { event, row: row && { ...before?.row, ...row } });
  }
  return last.values();
}

/** Writes the rows of a view. */
class Projecting {
  private readonly columns: Map<string, ColumnFacts>;
  readonly table: string;

  constructor(view: Type<ViewRow>) {
    this.columns = columnsOf(view);
    this.table = tableOf(view);
  }

  /** Of each row what became of it in the end; those with the same columns in one statement. */
  readonly all = async (tx: EntityManager, projected: readonly Projected[]): Promise<void> => {
    const rows: object[] = [];
    for (const { event, row } of inTheEnd(projected)) {
      if (row === null) await this.remove(tx, event);
      else rows.push(this.full(row, event));
    }
    for (const alike of Map.groupBy(rows, (row) => Object.keys(row).join()).values()) await this.put(tx, alike);
  };

  /** A field without a value is cleared, not kept. */
  private full(row: object, { key, version }: BusEvent): object {
    const fields = Object.entries(row).filter(([name]) => this.columns.has(name));
    return { ...Object.fromEntries(fields.map(([name, value]) => [name, value ?? null])), id: key, version, removed: false };
  }

  /** Put rows of the same columns in place, unless the view has that version of one or a newer one. */
  private async put(tx: EntityManager, rows: readonly object[]): Promise<void> {
    const names = Object.keys(rows[0]!).map(quoted);
    // What comes late is not even tried: it may be of an older shape that the columns no longer take.
    await tx.query(
      `INSERT INTO ${this.table} AS v (${names.join(', ')}) SELECT ${names.join(', ')} FROM json_populate_recordset(NULL::${this.table}, $1) new
       WHERE NOT EXISTS (SELECT 1 FROM ${this.table} now WHERE now.id = new.id AND now.version >= new.version)
       ON CONFLICT (id) DO UPDATE SET ${names.map((name) => `${name} = excluded.${name}`).join(', ')} WHERE v.version < excluded.version`,
      [JSON.stringify(rows)],
    );
  }

  /** Take a row out of sight and keep its version, or an older event that comes later would bring it back. */
  private async remove(tx: EntityManager, { key, version }: BusEvent): Promise<void> {
    const required = [...this.columns.values()].filter(
      ({ name, isNullable }) => !isNullable && !['id', 'version', 'removed'].includes(name),
    );
    const names = ['id', 'version', 'removed', ...required.map(({ name }) => quoted(name))];
    const values = ['$1', '$2', 'true', ...required.map(({ kind, isArray }) => (isArray ? `'{}'` : NOTHING[kind]))];
    await tx.query(
      `INSERT INTO ${this.table} AS v (${names.join(', ')}) VALUES (${values.join(', ')})
       ON CONFLICT (id) DO UPDATE SET removed = true, version = excluded.version WHERE v.version < excluded.version`,
      [key, version],
    );
  }
}

/** A controller that folds events into `view`, in the transaction that keeps their place in the log. */
export function projector<V extends ViewRow, E>(view: Type<V>, on: Projection<V, E>): Type {
  @Controller()
  class Projector {}
  const projecting = new Projecting(view);
  for (const [name, project] of Object.entries(on) as [string, (body: unknown, event: BusEvent) => Partial<V> | null][]) {
    const handle = (context: BusContext): void =>
      context.together(projecting.all, { event: context.event, row: project(context.event.body, context.event) });
    // The decorator wants the data first; this handler needs the event alone, which the context holds.
    const descriptor = { value: handle as (...args: unknown[]) => void, writable: true, configurable: true };
    Object.defineProperty(Projector.prototype, name, descriptor);
    EventPattern(name, { views: [projecting.table], isJoint: true })(Projector.prototype, name, descriptor);
    Ctx()(Projector.prototype, name, 0);
  }
  return Projector;
}
