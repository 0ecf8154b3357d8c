import { Body, Controller, Delete, HttpCode, Inject, Param, Patch, Post } from '@nestjs/common';
import { IsInt, IsString, Length, Matches, Max, Min } from 'class-validator';
import { Column, Entity, Index } from 'typeorm';
import { Allow } from '#auth';
import { Problem } from '#problem';
import { type Answer, CommandController, commandService, Input, learns, Row, serve, ViewRow } from '#resource';
import { Staff, staffLearnt } from '#staff';
import type { CinemaEvents, CinemaState } from '../cinema/cinema.events.js';
import type { ChainState } from './chain.events.js';

@Entity('chain')
@Index('chain_name', { synchronize: false }) // over an expression: it stands in the migration
export class Chain extends Row implements ChainState {
  static override readonly shown: readonly (keyof ChainState)[] = [
    ...(['name', 'holdSeconds', 'seatsPerPurchase', 'seatsHeldAtOnce', 'refundUntilMinutes'] as const),
  ];

  @Column('varchar')
  @IsString()
  @Length(1, 200)
  @Matches(/\S/, { message: 'name must not be blank' })
  name: string;

  /** Long enough to find a card, short enough that a full house does not stand empty, seconds. */
  @Column('int')
  @IsInt()
  @Min(60)
  @Max(1800)
  holdSeconds = 480;

  @Column('int')
  @IsInt()
  @Min(1)
  @Max(20)
  seatsPerPurchase = 8;

  @Column('int')
  @IsInt()
  @Min(1)
  @Max(50)
  seatsHeldAtOnce = 10;

  /** Before the start, minutes: until the very start, or up to a week. */
  @Column('int')
  @IsInt()
  @Min(0)
  @Max(10_080)
  refundUntilMinutes = 60;
}

/** The cinemas there are: a chain with one of them stays. */
@Entity('known_cinema')
export class KnownCinema extends ViewRow {
  @Index('known_cinema_chain') @Column('uuid') chain: string;
}
const know = ({ chain }: CinemaState) => ({ chain });

@Controller('chains')
@Allow('chain-admin')
export class ChainCommandController extends CommandController(Chain, 'chain') {
  @Inject(Staff) private readonly staff: Staff;

  /** Found a chain: for who acts everywhere. @throws Problem `out-of-bounds` (403), `chain-exists` (409) */
  @Post()
  override async create(@Input(Chain) body: Chain): Promise<Answer<Chain>> {
    await this.staff.actsEverywhere();
    return super.create(body);
  }

  /** @throws Problem `out-of-bounds` (403), `chain-exists` (409) */
  @Patch(':id')
  override patch(@Param('id') id: string, @Body() body: unknown): Promise<Answer<Chain>> {
    return this.storage.transaction(async () => {
      await this.ours(id);
      return super.patch(id, body);
    });
  }

  /** @throws Problem `out-of-bounds` (403), `chain-in-use` (409) while it has a cinema */
  @Delete(':id')
  @HttpCode(204)
  override remove(@Param('id') id: string): Promise<void> {
    return this.storage.transaction(async () => {
      const chain = await this.ours(id);
      const cinemas = await this.storage.query('SELECT 1 FROM known_cinema WHERE chain = $1 AND NOT removed LIMIT 1', [chain.id]);
      if (cinemas.length > 0) throw new Problem('chain-in-use', 409, `${chain.name} still has cinemas: remove them first`);
      return super.remove(id);
    });
  }

  private async ours(id: string): Promise<Chain> {
    const chain = await this.find(id);
    await this.staff.actsInChain(chain.id);
    return chain;
  }
}

export const ChainCommand = commandService({
  name: 'chain-command',
  row: Chain,
  controller: ChainCommandController,
  learns: [
    staffLearnt,
    learns<KnownCinema, CinemaEvents>(KnownCinema, {
      'cinema.created': know,
      'cinema.changed': know,
      'cinema.removed': () => null,
    }),
  ],
  providers: [Staff],
});

await serve(import.meta, ChainCommand);
