import { Controller, Get, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import { Column, Entity, Index } from 'typeorm';
import { Allow, currentCaller } from '#auth';
import { AnswersOne, isId, notFound, type Page, QueryController, queryService, Refuses, serve, ViewRow } from '#resource';
import { Staff, staffLearnt } from '#staff';
import type { ManagerEvents, ManagerState, StaffRole } from './manager.events.js';
import { STAFF_ROLES } from './manager.rules.js';

// What TypeORM cannot say of an index stands in the migration: expressions, lists.
@Entity('manager_view')
@Index('manager_view_user', ['user'])
@Index('manager_view_chain', ['chain'])
@Index('manager_view_role', { synchronize: false })
@Index('manager_view_cinemas', { synchronize: false })
export class ManagerView extends ViewRow {
  @Column('uuid') user: string;
  @Column({ type: 'varchar', enum: [...STAFF_ROLES] }) role: StaffRole;
  @Column('uuid') chain: string;
  @Column('uuid', { array: true }) cinemas: string[];
}

@Controller('managers')
@ApiBearerAuth('token')
@Allow('cashier', 'usher', 'manager', 'chain-admin')
export class ManagerQueryController extends QueryController(ManagerView, {
  filter: ['user', 'role', 'chain', { cinema: 'cinemas' }],
  sort: ['role', 'chain'],
}) {
  @Inject(Staff) private readonly staff: Staff;

  @Get()
  @Refuses(401, 403)
  override many(@Query() query: Record<string, unknown>): Promise<Page<ManagerView>> {
    return super.many(query);
  }

  /** The own place among the staff. @throws Problem `not-found` (404) for who has none */
  @Get('me')
  @ApiOperation({ operationId: 'managerMe', summary: 'Get the place among the staff of who is asking' })
  @AnswersOne(ManagerView)
  async me(@Headers() headers: IncomingHttpHeaders, @Res({ passthrough: true }) reply: FastifyReply) {
    const { id: user } = currentCaller();
    const [own] = isId(user)
      ? await this.storage.query<{ id: string }>('SELECT id FROM manager_view WHERE "user" = $1 AND NOT removed', [user])
      : [];
    if (!own) throw notFound('manager', 'me');
    return this.one(own.id, headers, reply);
  }

  @Get(':id')
  @Refuses(401, 403)
  override one(
    @Param('id') id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Partial<ManagerView> | undefined> {
    return super.one(id, headers, reply);
  }

  /** Oneself; to a manager whoever shares a cinema; to an administrator the chain. */
  protected override async bounds(add: (value: unknown) => string): Promise<string | undefined> {
    const { id, roles } = currentCaller();
    const { everywhere, chains, cinemas } = await this.staff.bounds();
    if (everywhere) return undefined;
    const own = isId(id) ? `v."user" = ${add(id)}::uuid` : 'false';
    const all = `v.chain = ANY(${add(chains)}::uuid[])`;
    const shared = roles.includes('manager') ? cinemas : [];
    return `${own} OR ${all} OR v.cinemas && ${add(shared)}::uuid[]`;
  }
}

const project = ({ user, role, chain, cinemas }: ManagerState) => ({ user, role, chain, cinemas });

export const ManagerQuery = queryService<ManagerView, ManagerEvents>({
  name: 'manager-query',
  view: ManagerView,
  controller: ManagerQueryController,
  on: { 'manager.created': project, 'manager.changed': project, 'manager.removed': () => null },
  learns: [staffLearnt],
  providers: [Staff],
});

await serve(import.meta, ManagerQuery);
