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

/** Put a row in place in one statement, unless the view has that version or a newer one. */
async function put(tx: EntityManager, view: Type<ViewRow>, event: BusEvent, row: object): Promise<void> {
  const columns = columnsOf(view);
  const fields = Object.entries(row).filter(([name]) => columns.has(name));
  const all: [string, unknown][] = [...fields, ['id', event.key], ['version', event.version], ['removed', false]];
  const names = all.map(([name]) => quoted(name));
  // A field without a value is cleared, not kept.
  const values = all.map(([name, value]) =>
    columns.get(name)!.kind === 'json' && value != null ? JSON.stringify(value) : (value ?? null),
  );
  const [id, version] = [names.indexOf('"id"') + 1, names.indexOf('"version"') + 1];
  // What comes late is not even tried: it may be of an older shape that the columns no longer take.
  await tx.query(
    `INSERT INTO ${tableOf(view)} AS v (${names.join(', ')}) SELECT ${names.map((_, i) => `$${i + 1}`).join(', ')}
     WHERE NOT EXISTS (SELECT 1 FROM ${tableOf(view)} now WHERE now.id = $${id} AND now.version >= $${version})
     ON CONFLICT (id) DO UPDATE SET ${names.map((name) => `${name} = excluded.${name}`).join(', ')} WHERE v.version < excluded.version`,
    values,
  );
}

/** Take a row out of sight and keep its version, or an older event that comes later would bring it back. */
async function remove(tx: EntityManager, view: Type<ViewRow>, { key, version }: BusEvent): Promise<void> {
  const required = [...columnsOf(view).values()].filter(
    ({ name, isNullable }) => !isNullable && !['id', 'version', 'removed'].includes(name),
  );
  const names = ['id', 'version', 'removed', ...required.map(({ name }) => quoted(name))];
  const values = ['$1', '$2', 'true', ...required.map(({ kind, isArray }) => (isArray ? `'{}'` : NOTHING[kind]))];
  await tx.query(
    `INSERT INTO ${tableOf(view)} AS v (${names.join(', ')}) VALUES (${values.join(', ')})
     ON CONFLICT (id) DO UPDATE SET removed = true, version = excluded.version WHERE v.version < excluded.version`,
    [key, version],
  );
}

/** A controller that folds events into `view`, each in the transaction that keeps its place in the log. */
export function projector<V extends ViewRow, E>(view: Type<V>, on: Projection<V, E>): Type {
  @Controller()
  class Projector {}
  for (const [name, project] of Object.entries(on) as [string, (body: unknown, event: BusEvent) => Partial<V> | null][]) {
    const handle = async ({ event, tx }: BusContext): Promise<void> => {
      const row = project(event.body, event);
      await (row ? put(tx, view, event, row) : remove(tx, view, event));
    };
    // The decorator wants the data first; this handler needs the event alone, which the context holds.
    const descriptor = { value: handle as (...args: unknown[]) => Promise<void>, writable: true, configurable: true };
    Object.defineProperty(Projector.prototype, name, descriptor);
    EventPattern(name, { views: [tableOf(view)] })(Projector.prototype, name, descriptor);
    Ctx()(Projector.prototype, name, 0);
  }
  return Projector;
}
