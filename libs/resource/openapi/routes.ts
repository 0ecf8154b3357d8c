import { applyDecorators, RequestMethod, type Type } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA, ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiExtraModels,
  ApiHeader,
  ApiOperation,
  ApiParam,
  ApiProperty,
  ApiQuery,
  ApiResponse,
  ApiSchema,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import type { Filter } from '../list/list.js';
import { wantsIdempotencyKey } from '../idempotency.js';
import { nounOf, type Row, type RowClass, type ViewRow } from '../row.js';
import { answerSchema, inputSchema, KINDS, type Schema, text, viewSchema } from './schema.js';
import { listShape, objectShape, shapes, textShape } from './shapes.js';

/** What is wrong at one place of the input. */
class InputFault {
  @ApiProperty({ type: 'string', format: 'json-pointer' }) pointer: string;
  @ApiProperty({ type: 'string' }) detail: string;
  @ApiProperty({ type: 'string', enum: ['query', 'header'], required: false, description: 'Without it, in the body' })
  in?: string;
}

/** The body of every error (RFC 9457). */
@ApiSchema({ name: 'Problem' })
class ProblemBody {
  @ApiProperty({ type: 'string', format: 'uri-reference' }) type: string;
  @ApiProperty({ type: 'string' }) title: string;
  @ApiProperty({ type: 'integer' }) status: number;
  @ApiProperty({ type: 'string' }) detail: string;
  @ApiProperty({ type: 'string', format: 'uri', required: false }) instance?: string;
  @ApiProperty({ type: [InputFault], required: false }) errors?: InputFault[];
}

// Where the package keeps what its decorators say; it does not export the names.
const DECORATORS = {
  API_RESPONSE: 'swagger/apiResponse',
  API_OPERATION: 'swagger/apiOperation',
  API_PARAMETERS: 'swagger/apiParameters',
} as const;
interface Parameter {
  in?: string;
  name?: string;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'The input is wrong; `errors` names each place',
  401: 'A valid access token is required',
  403: 'The caller has no role that may do this',
  404: 'There is no such thing',
  409: 'In conflict with the current state',
  412: 'It is not the version that If-Match names',
  413: 'The body is too large',
  415: 'The body is of another media type',
  422: 'The Idempotency-Key came before with another body',
  429: 'Too often: `Retry-After` says when to ask again',
};

const problem = (status: number) =>
  ApiResponse({
    status,
    description: REASONS[status],
    content: { 'application/problem+json': { schema: { $ref: getSchemaPath('Problem') } } },
  });

/** What a route refuses, by status: the problems that its description names beside what it answers. */
export const Refuses = (...statuses: readonly number[]): MethodDecorator => applyDecorators(...statuses.map(problem));

const ETAG = { ETag: { description: 'The version', required: true, schema: text() } };
const header = (name: string, description: string, schema: Schema) => ApiHeader({ name, description, required: false, schema });
/** The key of a POST, as the method says whether it must be there. */
const idempotencyKey = (isRequired = false) =>
  ApiHeader({
    name: 'Idempotency-Key',
    description: 'Repeats with the same key get the same answer, for 24 h',
    required: isRequired,
    schema: text({ pattern: '^[\\x21-\\x7e]{1,255}$' }),
  });
const isPost = (method: object) => Reflect.getMetadata(METHOD_METADATA, method) === RequestMethod.POST;
/** @source RFC 9110 §8.8.3 */
const ENTITY_TAGS = '^\\s*(\\*|(W/)?"[\\x21\\x23-\\x7e]*"(\\s*,\\s*(W/)?"[\\x21\\x23-\\x7e]*")*)\\s*$';
const IF_MATCH = header(
  'If-Match',
  'The ETag of the version that was read',
  text({ pattern: '^(\\*|(W/)?"[\\x21\\x23-\\x7e]*")$' }),
);
const ID = ApiParam({ name: 'id', schema: KINDS.id });

/** Put `decorators` on a method, as if they stood above it. */
function above(cls: NewableFunction, method: string, ...decorators: MethodDecorator[]): void {
  const prototype = cls.prototype as object;
  const descriptor = Object.getOwnPropertyDescriptor(prototype, method)!;
  for (const decorate of decorators) decorate(prototype, method, descriptor);
}

const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);
/** `movieRetire`: the noun first, so that a client's methods lie together. */
const operation = (verb: string, noun: string, summary = `${capital(verb)} a ${noun}`) =>
  ApiOperation({ operationId: `${noun}${capital(verb)}`, summary });

/** Describe the routes of a command controller: its generic bodies say nothing of themselves at run time. */
export function describeCommands<C extends NewableFunction, T extends Row>(commands: C, row: RowClass<T>, name: string): C {
  const answer = answerSchema(row);
  ApiTags(name)(commands);
  ApiBearerAuth('token')(commands);
  ApiExtraModels(ProblemBody)(commands);
  const location = { Location: { description: 'Where it is', required: true, schema: text({ format: 'uri-reference' }) } };
  above(
    commands,
    'create',
    ...[operation('create', name), idempotencyKey(), ApiConsumes('application/json'), ApiBody({ schema: inputSchema(row) })],
    ApiResponse({ status: 201, description: 'Created', schema: answer, headers: { ...ETAG, ...location } }),
    ...[400, 401, 403, 409, 413, 415, 422].map(problem),
  );
  above(
    commands,
    'patch',
    ...[operation('change', name), ID, IF_MATCH, ApiConsumes('application/merge-patch+json', 'application/json')],
    ApiBody({ schema: inputSchema(row, true) }),
    ApiResponse({ status: 200, description: 'Changed', schema: answer, headers: ETAG }),
    ...[400, 401, 403, 404, 409, 412, 413, 415].map(problem),
  );
  above(
    commands,
    'remove',
    ...[operation('remove', name), ID, IF_MATCH, ApiResponse({ status: 204, description: 'Removed' })],
    ...[400, 401, 403, 404, 409, 412].map(problem),
  );
  return commands;
}

const routeOf = (prototype: Record<string, NewableFunction>, method: string): string | undefined => {
  const handler = method === 'constructor' ? undefined : prototype[method];
  return handler && Reflect.hasMetadata(METHOD_METADATA, handler)
    ? String(Reflect.getMetadata(PATH_METADATA, handler))
    : undefined;
};

const SAYS = /^swagger\//;

/** What an inherited route says of itself goes for the method that stands in its place, unless that says something else. */
export function describeOverrides(controller: Type): void {
  const own = controller.prototype as Record<string, NewableFunction>;
  const inherited = Object.getPrototypeOf(own) as Record<string, NewableFunction>;
  for (const verb of Object.getOwnPropertyNames(own)) {
    if (routeOf(own, verb) === undefined || routeOf(inherited, verb) === undefined) continue;
    const [mine, theirs] = [own[verb]!, inherited[verb]!];
    // What is handed to a method is inherited by its name: one that takes nothing would still have a body read, and refused.
    if (mine.length === 0 && !Reflect.hasOwnMetadata(ROUTE_ARGS_METADATA, controller, verb))
      Reflect.defineMetadata(ROUTE_ARGS_METADATA, {}, controller, verb);
    for (const key of (Reflect.getMetadataKeys(theirs) as string[]).filter((key) => SAYS.test(key)))
      if (!Reflect.hasMetadata(key, mine)) Reflect.defineMetadata(key, Reflect.getMetadata(key, theirs), mine);
    const responses = (method: NewableFunction) => (Reflect.getMetadata(DECORATORS.API_RESPONSE, method) ?? {}) as object;
    Reflect.defineMetadata(DECORATORS.API_RESPONSE, { ...responses(theirs), ...responses(mine) }, mine);
    const parameters = (method: NewableFunction) => (Reflect.getMetadata(DECORATORS.API_PARAMETERS, method) ?? []) as Parameter[];
    const isNew = ({ in: place, name }: Parameter) => !parameters(mine).some((own) => own.in === place && own.name === name);
    const hasBody = parameters(mine).some((own) => own.in === 'body');
    const kept = parameters(theirs).filter((each) => (each.in === 'body' ? !hasBody : isNew(each)));
    Reflect.defineMetadata(DECORATORS.API_PARAMETERS, [...parameters(mine), ...kept], mine);
    if (wantsIdempotencyKey(mine)) above(controller, verb, idempotencyKey(true));
  }
}

/** Describe the verbs a subclass adds: each answers the row, unless it says otherwise itself. */
export function describeVerbs<T extends Row>(controller: Type, row: RowClass<T>): void {
  const prototype = controller.prototype as Record<string, NewableFunction>;
  for (const verb of Object.getOwnPropertyNames(prototype)) {
    const route = routeOf(prototype, verb);
    // In place of an inherited route it says what that one says.
    if (route === undefined || routeOf(Object.getPrototypeOf(prototype) as typeof prototype, verb) !== undefined) continue;
    const said = (key: string) => Reflect.hasMetadata(key, prototype[verb]!);
    const responses = (Reflect.getMetadata(DECORATORS.API_RESPONSE, prototype[verb]!) ?? {}) as object;
    const saysWhatIsDone = Object.keys(responses).some((status) => status.startsWith('2'));
    const ofOne = route.includes(':id') ? [ID, IF_MATCH, ...[404, 412].map(problem)] : [];
    const done = ApiResponse({ status: 200, description: 'Done', schema: answerSchema(row), headers: ETAG });
    above(
      controller,
      verb,
      ...(saysWhatIsDone ? [] : [done]),
      ...(said(DECORATORS.API_OPERATION) ? [] : [operation(verb, row.name.toLowerCase())]),
      ...(isPost(prototype[verb]!) ? [idempotencyKey(wantsIdempotencyKey(prototype[verb]!)), problem(422)] : []),
      ...[...ofOne, ...[400, 401, 403, 409, 413, 415].map(problem)],
    );
  }
}

const parameter = (name: string, description: string, schema: Schema) => ApiQuery({ name, description, required: false, schema });

const filterParameter = ({ parameter: name, column: { name: of, kind, values }, operator }: Filter) =>
  parameter(name, operator === '@>' ? `${of} hold this` : `${of} ${operator} this`, {
    ...KINDS[kind],
    ...(values ? { enum: values } : {}),
  });

const OUTCOMES = objectShape({
  results: listShape(
    objectShape(
      {
        status: textShape(['created', 'existed', 'accepted', 'refused']),
        id: shapes.id,
        errors: { type: 'array', items: { $ref: getSchemaPath(InputFault) } },
      },
      ...['id', 'errors'],
    ),
  ),
});

/** A route that makes many, and tells what became of each. */
export const AnswersOutcomes = (): MethodDecorator =>
  ApiResponse({ status: 200, description: '`results`: what became of each, in the order they came', schema: OUTCOMES });

const STALE = { Stale: { description: 'true when it is older than Min-Version', schema: text() } };

/** A route that answers one row of a view, as `GET /{id}` does. */
export const AnswersOne = (view: Type<ViewRow>): MethodDecorator =>
  applyDecorators(
    header('If-None-Match', 'The ETag that is here already', text({ pattern: ENTITY_TAGS })),
    // As the digits that it is: a header has no numbers.
    header('Min-Version', 'Wait for this version, at most half a second', text({ pattern: '^[1-9][0-9]{0,8}$' })),
    ApiResponse({ status: 200, description: 'It', schema: viewSchema(view), headers: { ...ETAG, ...STALE } }),
    ApiResponse({ status: 304, description: 'It is still that version', headers: ETAG }),
    ...[400, 404].map(problem),
  );

/** Describe the routes of a query controller. */
export function describeQueries<C extends NewableFunction>(
  queries: C,
  view: Type<ViewRow>,
  filters: Iterable<Filter>,
  { sorts, search, shows }: { sorts: readonly string[]; search?: string; shows?: Schema },
): C {
  const name = nounOf(view);
  const row = viewSchema(view);
  const items = { ...row, properties: { ...(row.properties as Schema), ...shows } };
  const page: Schema = { items: { type: 'array', items }, next: { type: ['string', 'null'] } };
  ApiTags(name)(queries);
  ApiExtraModels(ProblemBody)(queries);
  above(
    queries,
    'many',
    operation('list', name, 'List what matches, page by page'),
    ...[...filters].map(filterParameter),
    parameter('sort', 'By what; `-` in front reverses it', text({ enum: sorts.flatMap((sort) => [sort, `-${sort}`]) })),
    parameter('limit', 'Items of a page', { type: 'integer', minimum: 1 }),
    parameter('cursor', '`next` of the page before', text()),
    ...(search ? [parameter('q', `Words of ${search}; typing errors and accents are forgiven`, text({ minLength: 1 }))] : []),
    ApiResponse({
      status: 200,
      description: 'A page',
      schema: { type: 'object', properties: page as never, required: Object.keys(page) },
    }),
    problem(400),
  );
  above(queries, 'one', operation('get', name), ID, AnswersOne(view));
  return queries;
}
