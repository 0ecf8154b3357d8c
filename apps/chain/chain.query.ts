import { Controller } from '@nestjs/common';
import { Column, Entity, Index } from 'typeorm';
import { Public } from '#auth';
import { QueryController, queryService, serve, ViewRow } from '#resource';
import type { ChainEvents, ChainState } from './chain.events.js';

// What TypeORM cannot say of an index stands in the migration: expressions, trigrams.
@Entity('chain_view')
@Index('chain_view_name', { synchronize: false })
@Index('chain_view_name_search', { synchronize: false })
export class ChainView extends ViewRow {
  @Column('varchar') name: string;
  @Column('int') holdSeconds: number;
  @Column('int') seatsPerPurchase: number;
  @Column('int') seatsHeldAtOnce: number;
  @Column('int') refundUntilMinutes: number;
}

@Controller('chains')
@Public()
export class ChainQueryController extends QueryController(ChainView, { filter: ['name'], sort: 'name', search: 'name' }) {}

const project = ({ name, holdSeconds, seatsPerPurchase, seatsHeldAtOnce, refundUntilMinutes }: ChainState) => ({
  ...{ name, holdSeconds, seatsPerPurchase, seatsHeldAtOnce, refundUntilMinutes },
});

export const ChainQuery = queryService<ChainView, ChainEvents>({
  name: 'chain-query',
  view: ChainView,
  controller: ChainQueryController,
  on: { 'chain.created': project, 'chain.changed': project, 'chain.removed': () => null },
});

await serve(import.meta, ChainQuery);
