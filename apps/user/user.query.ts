import { Controller, Get, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiResponse } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { Column, Entity, Index } from 'typeorm';
import { Allow, currentCaller } from '#auth';
import {
  AnswersOne,
  type AuditEntry,
  type AuditEvents,
  isId,
  listShape,
  notFound,
  objectShape,
  type Projection,
  QueryController,
  queryService,
  Refuses,
  serve,
  Shape,
  shapes,
  ViewRow,
} from '#resource';
import { Staff, staffLearnt } from '#staff';
import type { Language, Role, UserEvents, UserState } from './user.events.js';

// What TypeORM cannot say of an index stands in the migration: expressions, trigrams, lists.
@Entity('user_view')
@Index('user_view_email', { synchronize: false })
@Index('user_view_email_search', { synchronize: false })
@Index('user_view_roles', { synchronize: false })
export class UserView extends ViewRow {
  @Column('varchar', { nullable: true }) email?: string | null;
  /** The e-mail in small letters, to find it by. */
  @Index('user_view_address') @Column('varchar', { nullable: true, select: false }) address?: string | null;
  @Column('varchar', { nullable: true }) name?: string | null;
  @Column('varchar', { nullable: true }) language?: Language | null;
  @Column('varchar', { nullable: true }) phone?: string | null;
  @Column('varchar', { array: true }) roles: Role[];
  @Column() confirmed: boolean;
  @Column() disabled: boolean;
  @Column('boolean', { nullable: true }) erased?: boolean | null;
  @Column('timestamptz', { nullable: true }) signedOutAt?: string | null;
}

const STATE = { type: 'object', description: 'Columns with their values' };

/** What staff did anywhere in the mesh. */
@Entity('audit_view')
@Index('audit_view_at', ['at', 'id'])
@Index('audit_view_who', ['who', 'at', 'id'])
@Index('audit_view_subject', ['subject', 'subjectId', 'at', 'id'])
export class AuditView extends ViewRow implements AuditEntry {
  @Column('timestamptz') at: string;
  @Column('varchar') who: string;
  @Column('varchar', { nullable: true }) client?: string;
  @Column('varchar') process: string;
  @Column('varchar', { nullable: true }) traceId?: string;
  @Column('varchar') subject: string;
  @Column('varchar') subjectId: string;
  @Column('varchar') action: string;
  @Shape(STATE) @Column('jsonb', { nullable: true }) before?: Record<string, unknown>;
  @Shape(STATE) @Column('jsonb', { nullable: true }) after?: Record<string, unknown>;
}

const EXPORT = objectShape({
  exportedAt: shapes.instant,
  user: { type: 'object', description: 'The account' },
  audit: listShape({ type: 'object', description: 'One record' }),
});

/** Records read at a time while they are exported. */
const EXPORT_ROWS = 500;

@Controller('users')
@Allow('chain-admin')
export class UserQueryController extends QueryController(UserView, {
  filter: [{ email: 'address' }, { role: 'roles' }, 'disabled', 'confirmed'],
  sort: ['email', 'name'],
  search: 'email',
}) {
  @Inject(Staff) private readonly staff: Staff;

  /** For administrators of all chains: users are bound to none. @throws Problem `out-of-bounds` (403) */
  @Get()
  override async many(@Query() query: Record<string, unknown>) {
    await this.staff.actsEverywhere();
    return super.many(typeof query.email === 'string' ? { ...query, email: query.email.toLowerCase() } : query);
  }

  /** Whoever is asking. */
  @Get('me')
  @Allow('customer', 'cashier', 'usher', 'manager', 'chain-admin', 'operator')
  @ApiOperation({ operationId: 'userMe', summary: 'Get the user who is asking' })
  @AnswersOne(UserView)
  me(@Headers() headers: IncomingHttpHeaders, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.one(currentCaller().id, headers, reply);
  }

  /** Oneself, or, to an administrator, anyone. @throws Problem `not-found` (404), for another's id too */
  @Get(':id')
  @Allow('customer', 'cashier', 'usher', 'manager', 'chain-admin', 'operator')
  override async one(
    @Param('id') id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    await this.mayRead(id);
    return super.one(id, headers, reply);
  }

  /** All that is kept here of one person: the account, and what staff did to it or by it. @throws Problem `not-found` (404) */
  @Get(':id/export')
  @Allow('customer', 'cashier', 'usher', 'manager', 'chain-admin', 'operator')
  @ApiOperation({ operationId: 'userExport', summary: 'Download all that is kept of a user' })
  @ApiParam({ name: 'id', schema: shapes.id })
  @ApiResponse({ status: 200, description: '`user`, and the audit records about and by them', schema: EXPORT })
  @Refuses(404)
  async export(@Param('id') id: string, @Res() reply: FastifyReply): Promise<void> {
    await this.mayRead(id);
    const [user] = isId(id) ? await this.storage.db.manager.findBy(UserView, { id, removed: false }) : [];
    if (!user) throw notFound('user', id);
    void reply.header('Content-Disposition', `attachment; filename="cinemanzana-user-${id}.json"`);
    await reply.type('application/json; charset=utf-8').send(Readable.from(this.exported(user)));
  }

  private async *exported({ removed: _, ...user }: UserView): AsyncGenerator<string> {
    yield `{"exportedAt":${JSON.stringify(new Date().toISOString())},"user":${JSON.stringify(user)},"audit":[`;
    let [last, comma] = ['00000000-0000-0000-0000-000000000000', ''];
    for (;;) {
      // What they did to another person is theirs to know, what that person's data are is not.
      const found = await this.storage.query<{ id: string }>(
        `SELECT id, at, who, client, process, subject, "subjectId", action, "traceId",
           CASE WHEN subject <> 'user' OR "subjectId" = $1 THEN before END AS before,
           CASE WHEN subject <> 'user' OR "subjectId" = $1 THEN after END AS after
         FROM audit_view WHERE (who = $1 OR (subject = 'user' AND "subjectId" = $1)) AND id > $2 ORDER BY id LIMIT ${EXPORT_ROWS}`,
        [user.id, last],
      );
      for (const record of found) {
        yield comma + JSON.stringify(record);
        comma = ',';
      }
      if (found.length < EXPORT_ROWS) break;
      last = found.at(-1)!.id;
    }
    yield ']}\n';
  }

  private async mayRead(id: string): Promise<void> {
    if (currentCaller().id === id || (await this.staff.bounds()).everywhere) return;
    throw notFound('user', id);
  }
}

@Controller('audit')
@Allow('chain-admin')
export class AuditQueryController extends QueryController(AuditView, {
  filter: ['who', 'client', 'subject', 'subjectId', 'action', { from: ['at', '>='], to: ['at', '<'] }],
  sort: '-at',
}) {
  @Inject(Staff) private readonly staff: Staff;

  /** For administrators of all chains: a record does not say whose chain it is about. @throws Problem `out-of-bounds` (403) */
  @Get()
  override async many(@Query() query: Record<string, unknown>) {
    await this.staff.actsEverywhere();
    return super.many(query);
  }

  /** @throws Problem `out-of-bounds` (403) */
  @Get(':id')
  override async one(
    @Param('id') id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    await this.staff.actsEverywhere();
    return super.one(id, headers, reply);
  }
}

const project = ({ email, name, language, phone, roles, confirmed, disabled, erased, signedOutAt }: UserState) => ({
  ...{ email, address: email?.toLowerCase(), name, language, phone, roles, confirmed, disabled, erased, signedOutAt },
});
const record = ({ who, client, at, subject, subjectId, action, before, after, traceId, process }: AuditEntry) => ({
  ...{ who, client, at, subject, subjectId, action, before, after, traceId, process },
});
const audit: Projection<AuditView, AuditEvents> = { 'audit.recorded': record, 'audit.blanked': record };

export const UserQuery = queryService<UserView, UserEvents>({
  name: 'user-query',
  view: UserView,
  controller: UserQueryController,
  on: { 'user.created': project, 'user.changed': project, 'user.erased': project },
  also: [{ view: AuditView, controller: AuditQueryController, on: audit }],
  learns: [staffLearnt],
  providers: [Staff],
});

await serve(import.meta, UserQuery);
