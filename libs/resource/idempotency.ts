import { hash as digest } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  type OnModuleDestroy,
  type OnModuleInit,
  RequestMethod,
  SetMetadata,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { INTERCEPTORS_METADATA, METHOD_METADATA } from '@nestjs/common/constants.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { from, lastValueFrom, type Observable } from 'rxjs';
import { Column, Entity, type EntityManager, Index, PrimaryColumn } from 'typeorm';
import { context, remainingMs, runWithout } from '#context';
import { Log } from '#log';
import { Problem } from '#problem';
import { Storage } from '#storage';
import { ResourceConfig } from './config.js';
import { invalidHeader } from './row.js';

/** An answer kept for its key, stored in the transaction of its effect. */
@Entity('idempotency')
export class KeptAnswer {
  /** Hash of caller, method, path and key. */
  @PrimaryColumn('bytea') scope: Buffer;
  /** Hash of key, query and body: the same key with another body is a mistake. */
  @Column('bytea') request: Buffer;
  @Column('int') status: number;
  @Column('json') headers: Record<string, string>;
  /** Not jsonb, which would order its members anew: what is given again is what was given. */
  @Column('json', { nullable: true }) body: unknown;
  @Index('idempotency_kept') @Column('timestamptz', { default: () => 'now()' }) keptAt: Date;
}

const REQUIRED = 'idempotency-key-required';

/** This POST must carry an Idempotency-Key: 400 without one. */
export const RequireIdempotencyKey = () => SetMetadata(REQUIRED, true);

const KEEPS_ITSELF = 'idempotency-kept-by-itself';

/**
 * This POST must carry an Idempotency-Key, and keeps its answers itself, since it is no single transaction, or one without us: it asks
 * `requestOf` what to compare and to keep.
 */
export const KeepsOwnAnswers = () => SetMetadata(KEEPS_ITSELF, true);

const keepsItself = (handler: object) => Reflect.getMetadata(KEEPS_ITSELF, handler) === true;

/** Whether a route refuses a POST without a key. */
export const wantsIdempotencyKey = (handler: object): boolean =>
  Reflect.getMetadata(REQUIRED, handler) === true || keepsItself(handler);

const KEY = /^[\x21-\x7e]{1,255}$/;

function keyOf({ headers }: FastifyRequest): string {
  const key = headers['idempotency-key'];
  if (key === undefined) throw invalidHeader('Idempotency-Key', 'is required: make one up for each thing you want done once');
  if (typeof key !== 'string' || !KEY.test(key))
    throw invalidHeader('Idempotency-Key', 'must be 1 to 255 visible ASCII characters');
  return key;
}

// None of them has a line's end in it. As hex, which costs a third of what a Buffer does.
const hash = (...lines: string[]) => digest('sha256', lines.join('\n'), 'hex');

/** A request that may come again, as it is kept. */
export interface Asked {
  /** Who asks what by which key, as PostgreSQL reads bytes, `\\x…`. */
  scope: string;
  /** The whole request, likewise: with the same scope it must be the same. */
  request: string;
  /** The key of the advisory lock of that scope. */
  lock: string;
}
type Given = Pick<KeptAnswer, 'status' | 'headers' | 'body'> & { isRepeated: boolean };

/**
 * Gives the answer of a POST again when it comes again with the same `Idempotency-Key` from the same caller, for a day. The
 * answer commits together with the effect, so there is never one without the other; a refusal keeps nothing.
 *
 * @source draft-ietf-httpapi-idempotency-key-header-07
 */
@Injectable()
export class Idempotency implements NestInterceptor {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(ResourceConfig) private readonly config: ResourceConfig,
  ) {}

  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = execution.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    if (request.method !== 'POST') return next.handle();
    const isWanted = wantsIdempotencyKey(execution.getHandler());
    if (!isWanted && request.headers['idempotency-key'] === undefined) return next.handle();
    return from(this.once(requestOf(request), http.getResponse<FastifyReply>(), () => lastValueFrom(next.handle())));
  }

  private async once(it: Asked, reply: FastifyReply, handle: () => Promise<unknown>): Promise<unknown> {
    const until = performance.now() + Math.min(this.config.idempotencyWaitMs, remainingMs());
    for (;;) {
      const given = await this.storage.transaction((tx) => this.attempt(tx, it, reply, handle));
      if (given) return give(given, reply);
      if (performance.now() >= until) throw inFlight();
      await sleep(this.config.idempotencyPollMs);
    }
  }

  /** @returns the answer, kept or new; undefined while another request with this key is at work */
  private async attempt(
    tx: EntityManager,
    it: Asked,
    reply: FastifyReply,
    handle: () => Promise<unknown>,
  ): Promise<Given | undefined> {
    const [lock] = await tx.query<{ isOurs: boolean }[]>('SELECT pg_try_advisory_xact_lock($1) AS "isOurs"', [it.lock]);
    if (!lock?.isOurs) return undefined;
    const kept = await this.kept(tx, it);
    if (kept) return { ...kept, isRepeated: true };
    const before = new Set(Object.keys(reply.getHeaders()));
    const body = await handle();
    const headers = Object.entries(reply.getHeaders()).filter(([name]) => !before.has(name));
    const answer = { status: reply.statusCode, headers: Object.fromEntries(headers) as Record<string, string>, body };
    await tx.query(
      `INSERT INTO idempotency (scope, request, status, headers, body) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (scope) DO UPDATE SET request = excluded.request, status = excluded.status, headers = excluded.headers,
         body = excluded.body, "keptAt" = now()`,
      [it.scope, it.request, answer.status, JSON.stringify(answer.headers), JSON.stringify(body ?? null)],
    );
    return { ...answer, isRepeated: false };
  }

  private async kept(tx: EntityManager, { scope, request }: Asked): Promise<KeptAnswer | undefined> {
    const [kept] = await tx.query<(KeptAnswer & { isSame: boolean })[]>(
      `SELECT request = $3 AS "isSame", status, headers, body FROM idempotency
       WHERE scope = $1 AND "keptAt" > now() - make_interval(secs => $2)`,
      [scope, this.config.idempotencyTtlSeconds, request],
    );
    if (kept && !kept.isSame) throw keyReused();
    return kept;
  }
}

/**
 * What makes `request` the same when it comes again.
 *
 * @param who  the caller, unless a token says it
 * @throws Problem `invalid-input` (400) without an Idempotency-Key, and of one that is none
 */
export function requestOf(request: FastifyRequest, who = ''): Asked {
  const key = keyOf(request);
  const [path = '', query = ''] = request.url.split('?', 2);
  const scope = hash(context()?.caller?.id ?? who, request.method, path, key);
  return {
    scope: `\\x${scope}`,
    // With the key, which is kept nowhere: a body may hold a password, and its bare hash could be guessed at.
    request: `\\x${hash(key, query, JSON.stringify(request.body ?? null))}`,
    lock: String(BigInt.asIntN(64, BigInt(`0x${scope.slice(0, 16)}`))),
  };
}

function give({ status, headers, body, isRepeated }: Given, reply: FastifyReply): unknown {
  if (!isRepeated) return body;
  void reply.status(status).headers(headers).header('Idempotency-Replayed', 'true');
  return body ?? undefined;
}

/** The key of another request: 422. */
export const keyReused = (): Problem =>
  new Problem(
    'idempotency-key-reused',
    422,
    'this Idempotency-Key came before with another body: use a new key for a new request',
  );

/** The first request of that key is still under way: 409, to be asked again. */
export const inFlight = (): Problem =>
  new Problem(
    'idempotency-in-flight',
    409,
    'a request with this Idempotency-Key is still being worked on: ask again',
    {},
    { 'Retry-After': '1' },
  );

const isPost = (handler: unknown): handler is object =>
  typeof handler === 'function' && Reflect.getMetadata(METHOD_METADATA, handler) === RequestMethod.POST;

/**
 * Have each POST of a controller give its answers again, but for those that see to it themselves. On the methods, since one that needs
 * no interceptor at all takes a quarter less of Nest's work.
 */
export function keepAnswers(controller: Type): void {
  for (let of = controller.prototype as object; of !== Object.prototype; of = Object.getPrototypeOf(of) as object)
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(of))) {
      const handler: unknown = descriptor.value;
      if (isPost(handler) && !keepsItself(handler) && !Reflect.hasMetadata(INTERCEPTORS_METADATA, handler))
        UseInterceptors(Idempotency)(of, name, descriptor);
    }
}

/** Throws kept answers away once they are too old to be given again. */
@Injectable()
export class ExpiredAnswers implements OnModuleInit, OnModuleDestroy {
  private timer?: NodeJS.Timeout;
  private isOver = false;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(ResourceConfig) private readonly config: ResourceConfig,
    @Inject(Log) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    runWithout(() => this.plan());
  }

  onModuleDestroy(): void {
    this.isOver = true;
    clearTimeout(this.timer);
  }

  /** @returns how many were thrown away */
  async clear(): Promise<number> {
    const gone = await this.storage.query<{ count: number }>(
      `WITH gone AS (DELETE FROM idempotency WHERE "keptAt" < now() - make_interval(secs => $1) RETURNING 1)
       SELECT count(*)::int AS count FROM gone`,
      [this.config.idempotencyTtlSeconds],
    );
    return gone[0]?.count ?? 0;
  }

  private plan(): void {
    this.timer = setTimeout(() => {
      this.clear()
        .catch((error: unknown) => this.log.warn('expired answers not cleared', { error }))
        .finally(() => this.isOver || this.plan());
    }, this.config.idempotencyClearMs).unref();
  }
}
