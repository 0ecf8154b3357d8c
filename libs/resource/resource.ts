import type { Type } from '@nestjs/common';
import { PATH_METADATA } from '@nestjs/common/constants.js';
import type { BusEvent } from '#bus';
import { service, type ServiceDefinition, type ServiceOptions } from '#service';
import { AuditRecord } from './audit.js';
import { pluralOf, tellVersions } from './command.js';
import { ResourceConfig } from './config.js';
import { eraser } from './erasure.js';
import { ExpiredAnswers, keepAnswers, KeptAnswer } from './idempotency.js';
import { describeOverrides, describeVerbs } from './openapi/routes.js';
import { type Projection, projector } from './projection.js';
import type { Row, RowClass, ViewRow } from './row.js';

export { type AuditEntry, type AuditEvents, isStaff } from './audit.js';
export { CommandController, Input, type Outcome, type Verdict } from './command.js';
export { ResourceConfig } from './config.js';
export {
  type Asked,
  Idempotency,
  inFlight,
  KeepsOwnAnswers,
  keyReused,
  requestOf,
  RequireIdempotencyKey,
} from './idempotency.js';
export { readInput, readPatch } from './input.js';
export { invalidQuery } from './list/cursor.js';
export { readParameters } from './list/list.js';
export { type ListOptions, type Page, QueryController, type Ranking } from './query.js';
export { AnswersOne, AnswersOutcomes, Refuses } from './openapi/routes.js';
export { answerSchema, type Schema } from './openapi/schema.js';
export { listShape, objectShape, Shape, ShapeEach, shapes, textShape } from './openapi/shapes.js';
export type { Projection } from './projection.js';
export { etagOf, isId, isUnchanged, notFound, Row, ViewRow } from './row.js';
export { type Answer, Rows } from './rows.js';
export { serve } from '#service';

type Options = Omit<ServiceOptions, 'listens' | 'emits' | 'routes' | 'controllers'> & {
  controllers?: readonly Type[];
  /** What it keeps of other resources, in tables of its own, so that it need not ask them. */
  learns?: readonly Learnt[];
};

/** A table of what a process has learnt of another resource, and the events that it learns from. It has no routes. */
export interface Learnt {
  table: Type<ViewRow>;
  on: Readonly<Record<string, (body: never, event: BusEvent<never>) => object | null>>;
}

/** `T` as it is learnt from the events `E`. */
export const learns = <T extends ViewRow, E>(table: Type<T>, on: Projection<T, E>): Learnt => ({ table, on: on as Learnt['on'] });

const learners = (learnt: readonly Learnt[]) => ({
  tables: learnt.map(({ table }) => table),
  controllers: learnt.map(({ table, on }) => projector(table, on as Projection<ViewRow, unknown>)),
});

/** Answer where the outside sees it, `/api/<plural>`: the gateway passes paths as they are. @returns that path */
function mount(controller: Type): string {
  const route = `/api/${pluralOf(controller)}`;
  Reflect.defineMetadata(PATH_METADATA, route, controller);
  return route;
}

/** A resource whose rows are about people: the log has to forget those who are erased. */
const erases = ({ personal }: RowClass<Row>, process: string): Type[] =>
  personal.length > 0 ? [eraser(process.replace(/-command$/, ''), process)] : [];

/** What makes one write side different from the others. */
export type CommandOptions<T extends Row> = Options & {
  row: RowClass<T>;
  controller: Type;
  /** Controllers of further public paths, `/api/<the path of its @Controller>`. */
  also?: readonly Type[];
  /** True when a controller of its own has `@EventPattern` handlers. */
  listens?: boolean;
};

/**
 * The process of a resource's write side: its table, what staff did to it, the answers kept for idempotency, an outbox, and its routes.
 *
 * @throws TypeError when the row shows no column, since its events would say nothing
 */
export function commandService<T extends Row>(options: CommandOptions<T>): ServiceDefinition {
  const { row, controller, also = [], tables = [], controllers = [], providers = [], sections = [], ...given } = options;
  const { learns: learnt = [], listens = false, ...rest } = given;
  if (row.shown.length === 0) throw new TypeError(`${row.name}.shown names no column`);
  const erasers = erases(row, rest.name);
  const learner = learners(learnt);
  describeOverrides(controller);
  describeVerbs(controller, row);
  keepAnswers(controller);
  return service({
    ...rest,
    hooks: tellVersions,
    routes: [controller, ...also].map(mount),
    sections: [ResourceConfig, ...sections],
    tables: [row, KeptAnswer, AuditRecord, ...learner.tables, ...tables],
    emits: true,
    ...(listens || erasers.length + learnt.length > 0 ? { listens: true } : {}),
    controllers: [controller, ...also, ...erasers, ...learner.controllers, ...controllers],
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
 * @param options  `also`: further views, each with its own routes, and controllers of further public paths
 */
export function queryService<V extends ViewRow, E>(
  options: Options & View<V, E> & { also?: readonly (AnyView | Type)[] },
): ServiceDefinition {
  const { view, controller, on, also = [], tables = [], controllers = [], sections = [], learns: learnt = [], ...rest } = options;
  const learner = learners(learnt);
  const further = also.filter((each) => typeof each === 'function');
  const views: AnyView[] = [{ view, controller, on } as AnyView, ...also.filter((each) => typeof each === 'object')];
  for (const each of views) describeOverrides(each.controller);
  return service({
    ...rest,
    routes: [...views.map((each) => each.controller), ...further].map(mount),
    sections: [ResourceConfig, ...sections],
    tables: [...views.map((each) => each.view), ...learner.tables, ...tables],
    listens: true,
    controllers: [
      ...views.map((each) => each.controller),
      ...further,
      ...views.map((each) => projector(each.view, each.on as Projection<ViewRow, unknown>)),
      ...learner.controllers,
      ...controllers,
    ],
  });
}
