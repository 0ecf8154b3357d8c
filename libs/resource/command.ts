import { setTimeout as sleep } from 'node:timers/promises';
import {
  Body,
  type CanActivate,
  Delete,
  type ExecutionContext,
  HttpCode,
  Inject,
  Injectable,
  Param,
  Patch,
  type PipeTransform,
  Post,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { PATH_METADATA } from '@nestjs/common/constants.js';
import { ApiBody } from '@nestjs/swagger';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { v7 as uuidv7 } from 'uuid';
import { context, remainingMs } from '#context';
import { type InputError, Problem } from '#problem';
import { Storage } from '#storage';
import { ResourceConfig } from './config.js';
import { type Quick, quickOf } from './body/quick.js';
import { readInput, readPatch } from './input.js';
import { describeCommands } from './openapi/routes.js';
import { inputSchema } from './openapi/schema.js';
import { entityTags, etagOf, invalidHeader, type Row, type RowClass } from './row.js';
import { type Answer, Rows } from './rows.js';

/** The plural by which `controller` is reached: the path of its `@Controller`. */
export const pluralOf = (controller: Type | NewableFunction): string =>
  String(Reflect.getMetadata(PATH_METADATA, controller)).replace(/^\/?(api\/)?/, '');

interface Versioned {
  id: string;
  version: number;
}
const isVersioned = (body: unknown): body is Versioned =>
  typeof body === 'object' && body !== null && 'id' in body && 'version' in body && typeof body.version === 'number';

/** No row has it: what a tag that cannot be ours is compared as. */
const NO_VERSION = -1;

/** @source RFC 9110 §13.1.1: compared strongly, so a weak tag matches nothing */
function versionWanted(header: string): number | undefined {
  const tags = entityTags('If-Match', header);
  if (tags === '*') return undefined;
  if (tags.length > 1) throw invalidHeader('If-Match', 'must name the one version that was read');
  const [{ tag, isWeak }] = tags as [(typeof tags)[number]];
  return !isWeak && /^[1-9]\d{0,8}$/.test(tag) ? Number(tag) : NO_VERSION;
}

/** A reply to a command of that controller. */
type Reply = FastifyReply & { commandOf?: NewableFunction };

/** Reads which version a command means (`If-Match`), and has its answer tell which one it made. */
@Injectable()
export class Preconditions implements CanActivate {
  canActivate(execution: ExecutionContext): boolean {
    const http = execution.switchToHttp();
    const header = http.getRequest<FastifyRequest>().headers['if-match'];
    const now = context();
    if (header !== undefined && now) now.ifMatch = versionWanted(header);
    http.getResponse<Reply>().commandOf = execution.getClass();
    return true;
  }
}

/**
 * What a command answers has its version as `ETag`, and what is new says where it is (`Location`). By Fastify's hook: an interceptor of
 * Nest's costs a request a quarter of its work.
 */
export function tellVersions(fastify: FastifyInstance): void {
  fastify.decorateReply('commandOf', null);
  fastify.addHook('preSerialization', (_request, reply: Reply, body: unknown, done) => {
    if (reply.commandOf && isVersioned(body)) {
      void reply.header('ETag', etagOf(body.version));
      if (reply.statusCode === 201) void reply.header('Location', `/api/${pluralOf(reply.commandOf)}/${body.id}`);
    }
    done(null, body);
  });
}

class InputPipe<T extends object> implements PipeTransform<unknown, Promise<T>> {
  private quick?: Quick<T>;

  constructor(
    private readonly cls: Type<T>,
    private readonly isOptional: boolean,
  ) {}

  transform(given: unknown): Promise<T> {
    const body = this.isOptional ? (given ?? {}) : given;
    // With the first body: by then the class has all of its decorators.
    this.quick ??= quickOf(this.cls) ?? (() => undefined);
    const input = this.quick(body);
    return input ? Promise.resolve(input) : readInput(this.cls, body);
  }
}

/**
 * The request's body as a `cls`, only its validated properties.
 *
 * @param options  `isOptional`: without a body it is taken for an empty object
 * @throws Problem `invalid-input` (400) with pointers
 */
export const Input =
  (cls: Type<object>, { isOptional = false }: { isOptional?: boolean } = {}): ParameterDecorator =>
  (target, method, index) => {
    Body(new InputPipe(cls, isOptional))(target, method, index);
    const descriptor = method === undefined ? undefined : Object.getOwnPropertyDescriptor(target, method);
    if (descriptor) ApiBody({ schema: inputSchema(cls), required: !isOptional })(target, method!, descriptor);
  };

/** What became of one of many rows that were to be created together. */
export type Outcome =
  | { status: 'created'; id: string }
  /** A row with the same unique key is there already. */
  | { status: 'existed' }
  /** It would be created, or is there already: this was a trial. */
  | { status: 'accepted' }
  | { status: 'refused'; errors: InputError[] };

/** What is known of an input before it is stored: why it is refused, or whether it is there already. */
export type Verdict = 'new' | 'existed' | InputError[];

/** The wrong places of an input that was refused; anything else is thrown on. */
function refused(error: unknown): InputError[] {
  if (error instanceof Problem && Array.isArray(error.extra.errors)) return error.extra.errors as InputError[];
  throw error;
}

/**
 * The write side of a resource: create, change by merge patch, remove, each with its event in the same transaction. A subclass
 * adds the verbs of its own with `find` and `write`.
 *
 * @param row   the table's class; its validators say what a caller may set
 * @param name  singular, the first part of its events' names
 * @source RFC 9110 §13 (preconditions), RFC 7396 (merge patch)
 */
export function CommandController<T extends Row>(row: RowClass<T>, name: string) {
  // A malformed If-Match is refused before an answer is given again.
  @UseGuards(Preconditions)
  class Commands {
    @Inject(Storage) protected readonly storage: Storage;
    @Inject(ResourceConfig) private readonly patience: ResourceConfig;
    private table?: Rows<T>;

    @Post()
    create(@Input(row) body: T): Promise<Answer<T>> {
      return this.write('created', Object.assign(body, { id: uuidv7() }));
    }

    @Patch(':id')
    patch(@Param('id') id: string, @Body() body: unknown): Promise<Answer<T>> {
      return this.storage.transaction(async () => {
        const current = await this.find(id);
        return this.write('changed', Object.assign(current, await readPatch<T>(row, current, body)));
      });
    }

    @Delete(':id')
    @HttpCode(204)
    remove(@Param('id') id: string): Promise<void> {
      return this.rows.remove(id);
    }

    /** The rows, for what else is done to them than `find` and `write`. */
    protected get rows(): Rows<T> {
      return (this.table ??= new Rows(row, name, this.storage));
    }

    /** @see Rows.find */
    protected find(id: string): Promise<T> {
      return this.rows.find(id);
    }

    /** @see Rows.write */
    protected write(event: string, next: T, action?: string): Promise<Answer<T>> {
      return this.rows.write(event, next, action);
    }

    /**
     * The row that a statement over a learnt table finds, once it does: what was made elsewhere a moment ago is still on its way here.
     * It waits half as long as a reader waits for a version: its own work is still before it.
     */
    protected async learnt<R>(sql: string, params: unknown[]): Promise<R | undefined> {
      const until = performance.now() + Math.min(this.patience.minVersionWaitMs / 2, remainingMs());
      for (;;) {
        const [row] = await this.storage.query<R>(sql, params);
        if (row || performance.now() >= until) return row;
        await sleep(this.patience.minVersionPollMs);
      }
    }

    /**
     * Create those of `bodies` that are right and new, all in one transaction, each with its event; the others are told why not.
     *
     * @param judge  what the database must be asked about those that can be read, in their order: why one is refused, or that it is there
     * @param isTrial  only say what would be refused
     */
    protected async createMany(
      bodies: readonly unknown[],
      { judge, isTrial = false }: { judge?: (inputs: T[]) => Promise<Verdict[]>; isTrial?: boolean } = {},
    ): Promise<Outcome[]> {
      const read = await Promise.all(bodies.map((body) => readInput<T>(row, body).catch(refused)));
      const inputs = read.filter((input): input is Awaited<T> => !Array.isArray(input));
      for (const input of inputs) input.id = uuidv7();
      return this.storage.transaction(async (tx) => {
        const verdicts = judge && inputs.length > 0 ? await judge(inputs) : inputs.map((): Verdict => 'new');
        const isNew = inputs.filter((_, at) => verdicts[at] === 'new');
        const created = isTrial || isNew.length === 0 ? new Set<string>() : await this.rows.insertNew(tx, isNew);
        return read.map((input): Outcome => {
          const verdict = Array.isArray(input) ? input : verdicts[inputs.indexOf(input)]!;
          if (Array.isArray(verdict)) return { status: 'refused', errors: verdict };
          if (isTrial) return { status: 'accepted' };
          const { id } = input as T;
          return created.has(id) ? { status: 'created', id } : { status: 'existed' };
        });
      });
    }
  }
  return describeCommands(Commands, row, name);
}
