import type { Type } from '@nestjs/common';
import { PATH_METADATA } from '@nestjs/common/constants.js';
import type { BusEvent } from '#bus';
import { service, type ServiceDefinition, type ServiceOptions } from '#service';
import { AuditRecord } from './audit.js';
import { pluralOf } from './command.js';
import { ResourceConfig } from './config.js';
import { eraser } from './erasure.js';
import { ExpiredAnswers, KeptAnswer } from './idempotency.js';
import { describeOverrides, describeVerbs } from './openapi/routes.js';
import { type Projection, projector } from './projection.js';
import type { Row, RowClass, ViewRow } from './row.js';

export { type AuditEntry, type AuditEvents, isStaff } from './audit.js';
export { CommandController, Input, type Outcome } from './command.js';
export { RequireIdempotencyKey } from './idempotency.js';
export { type ListOptions, type Page, QueryController } from './query.js';
export type { Projection } from './projection.js';
export { isId, notFound, Row, ViewRow } from './row.js';
export { type Answer, Rows } from './rows.js';
export { serve } from '#service';

type Options = Omit<ServiceOptions, 'listens' | 'emits' | 'routes' | 'controllers'> & { controllers?: readonly Type[] };

/** Answer where the outside sees it, `/api/<plural>`: the gateway passes paths as they are. @returns that path */
function mount(controller: Type): string {
  const route = `/api/${pluralOf(controller)}`;
  Reflect.defineMetadata(PATH_METADATA, route, controller);
  return route;
}

/** A resource whose rows are about people: the log has to forget those who are erased. */
const erases = ({ personal }: RowClass<Row>, process: string): Type[] =>
  personal.length > 0 ? [eraser(process.replace(/-command$/, ''), process)] : [];

/**
 * The process of a resource's write side: its table, what staff did to it, the answers kept for idempotency, an outbox, and its routes.
 *
 * @throws TypeError when the row shows no column, since its events would say nothing
 */
export function commandService<T extends Row>(options: Options & { row: RowClass<T>; controller: Type }): ServiceDefinition {
  const { row, controller, tables = [], controllers = [], providers = [], sections = [], ...rest } = options;
  if (row.shown.length === 0) throw new TypeError(`${row.name}.shown names no column`);
  const erasers = erases(row, rest.name);
  describeOverrides(controller);
  describeVerbs(controller, row);
  return service({
    ...rest,
    routes: [mount(controller)],
    sections: [ResourceConfig, ...sections],
    tables: [row, KeptAnswer, AuditRecord, ...tables],
    emits: true,
    ...(erasers.length > 0 ? { listens: true } : {}),
    controllers: [controller, ...erasers, ...controllers],
    providers: [ExpiredAnswers, ...providers],
  });
}

/** A view, how events make it, and its routes. */
interface View<V extends ViewRow, E> {
  view: Type<V>;
  controller: Type;
  on: Projection<V, E>;
}

/** A further view of a process, whatever its events. */
interface AnyView {
  view: Type<ViewRow>;
  controller: Type;
  on: Readonly<Record<string, (body: never, event: BusEvent<never>) => object | null>>;
}

/**
 * The process of a resource's read side: its view, kept in step with events by `on`, and its routes.
 *
 * @param options  `also`: further views, each with its own routes
 */
export function queryService<V extends ViewRow, E>(
  options: Options & View<V, E> & { also?: readonly AnyView[] },
): ServiceDefinition {
  const { view, controller, on, also = [], tables = [], controllers = [], sections = [], ...rest } = options;
  const views = [{ view, controller, on } as AnyView, ...also];
  for (const each of views) describeOverrides(each.controller);
  return service({
    ...rest,
    routes: views.map((each) => mount(each.controller)),
    sections: [ResourceConfig, ...sections],
    tables: [...views.map((each) => each.view), ...tables],
    listens: true,
    controllers: [
      ...views.map((each) => each.controller),
      ...views.map((each) => projector(each.view, each.on as Projection<ViewRow, unknown>)),
      ...controllers,
    ],
  });
}
