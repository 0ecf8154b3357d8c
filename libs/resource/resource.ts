import type { Type } from '@nestjs/common';
import { PATH_METADATA } from '@nestjs/common/constants.js';
import { service, type ServiceDefinition, type ServiceOptions } from '#service';
import { pluralOf } from './command.js';
import { ResourceConfig } from './config.js';
import { ExpiredAnswers, KeptAnswer } from './idempotency.js';
import { describeVerbs } from './openapi/routes.js';
import { type Projection, projector } from './projection.js';
import type { Row, RowClass, ViewRow } from './row.js';

export { type Answer, CommandController, Input, type Outcome } from './command.js';
export { RequireIdempotencyKey } from './idempotency.js';
export { type ListOptions, type Page, QueryController } from './query.js';
export type { Projection } from './projection.js';
export { Row, ViewRow } from './row.js';
export { serve } from '#service';

type Options = Omit<ServiceOptions, 'listens' | 'emits' | 'routes' | 'controllers'> & { controllers?: readonly Type[] };

/** Answer where the outside sees it, `/api/<plural>`: the gateway passes paths as they are. @returns that path */
function mount(controller: Type): string {
  const route = `/api/${pluralOf(controller)}`;
  Reflect.defineMetadata(PATH_METADATA, route, controller);
  return route;
}

/**
 * The process of a resource's write side: its table, the answers kept for idempotency, an outbox, and its routes.
 *
 * @throws TypeError when the row shows no column, since its events would say nothing
 */
export function commandService<T extends Row>(options: Options & { row: RowClass<T>; controller: Type }): ServiceDefinition {
  const { row, controller, tables = [], controllers = [], providers = [], sections = [], ...rest } = options;
  if (row.shown.length === 0) throw new TypeError(`${row.name}.shown names no column`);
  describeVerbs(controller, row);
  return service({
    ...rest,
    routes: [mount(controller)],
    sections: [ResourceConfig, ...sections],
    tables: [row, KeptAnswer, ...tables],
    emits: true,
    controllers: [controller, ...controllers],
    providers: [ExpiredAnswers, ...providers],
  });
}

/** The process of a resource's read side: its view, kept in step with events by `on`, and its routes. */
export function queryService<V extends ViewRow, E>(
  options: Options & { view: Type<V>; controller: Type; on: Projection<V, E> },
): ServiceDefinition {
  const { view, controller, on, tables = [], controllers = [], sections = [], ...rest } = options;
  return service({
    ...rest,
    routes: [mount(controller)],
    sections: [ResourceConfig, ...sections],
    tables: [view, ...tables],
    listens: true,
    controllers: [controller, projector(view, on), ...controllers],
  });
}
