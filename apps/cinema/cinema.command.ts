import { Body, Controller, Delete, HttpCode, Inject, Param, Patch, Post } from '@nestjs/common';
import { Column, Entity, Index } from 'typeorm';
import { Allow } from '#auth';
import { invalidInput, Problem } from '#problem';
import { type Answer, CommandController, commandService, Input, learns, serve, ViewRow } from '#resource';
import { Staff, staffLearnt } from '#staff';
import type { ChainEvents } from '../chain/chain.events.js';
import type { ScreeningEvents, ScreeningState } from '../screening/screening.events.js';
import { Cinema } from './cinema.row.js';

/** The chains there are. */
@Entity('known_chain')
export class KnownChain extends ViewRow {}

/** What is shown in the cinemas: one with a film to come stays. */
@Entity('known_screening')
@Index('known_screening_cinema', ['cinema', 'endAt'])
export class KnownScreening extends ViewRow {
  @Column('uuid') cinema: string;
  @Column('timestamptz') endAt: string;
  @Column('timestamptz', { nullable: true }) cancelledAt?: string;
}

/** What a manager may change of an own cinema; the rest is its chain's. */
const MANAGED: readonly string[] = ['priceCard', 'amenities', 'address'] satisfies (keyof Cinema)[];

@Controller('cinemas')
@Allow('chain-admin')
export class CinemaCommandController extends CommandController(Cinema, 'cinema') {
  @Inject(Staff) private readonly staff: Staff;

  /** Open a cinema of a chain: for who acts in all of it. @throws Problem `out-of-bounds` (403), `invalid-input` (400) */
  @Post()
  override async create(@Input(Cinema) body: Cinema): Promise<Answer<Cinema>> {
    await this.staff.actsInChain(body.chain.toLowerCase());
    const chain = await this.learnt<{ id: string }>('SELECT id FROM known_chain WHERE id = $1 AND NOT removed', [body.chain]);
    if (!chain) throw invalidInput([{ pointer: '/chain', detail: `must be a chain: there is none with the id ${body.chain}` }]);
    return super.create(Object.assign(body, { chain: chain.id }));
  }

  /** An administrator of its chain changes all but the chain; its manager the prices, amenities and address. @throws Problem `out-of-bounds` (403) */
  @Patch(':id')
  @Allow('chain-admin', 'manager')
  override patch(@Param('id') id: string, @Body() body: unknown): Promise<Answer<Cinema>> {
    return this.storage.transaction(async () => {
      const cinema = await this.find(id);
      const asked = (typeof body === 'object' && body !== null ? body : {}) as Readonly<Record<string, unknown>>;
      await this.mayChange(cinema, Object.keys(asked));
      const { chain = cinema.chain } = asked;
      if (chain !== cinema.chain)
        throw invalidInput([{ pointer: '/chain', detail: 'cannot be changed: a cinema stays with its chain' }]);
      return super.patch(id, body);
    });
  }

  /** Close it for ever. @throws Problem `out-of-bounds` (403), `cinema-in-use` (409) while screenings are to come */
  @Delete(':id')
  @HttpCode(204)
  override remove(@Param('id') id: string): Promise<void> {
    return this.storage.transaction(async () => {
      const cinema = await this.find(id);
      await this.staff.actsInChain(cinema.chain);
      const shown = await this.storage.query(
        'SELECT 1 FROM known_screening WHERE cinema = $1 AND "endAt" > now() AND "cancelledAt" IS NULL LIMIT 1',
        [cinema.id],
      );
      if (shown.length > 0)
        throw new Problem('cinema-in-use', 409, `${cinema.name} has screenings to come: cancel them first, or wait for the last`);
      return super.remove(id);
    });
  }

  private async mayChange(cinema: Cinema, fields: readonly string[]): Promise<void> {
    await this.staff.actsInCinema(cinema);
    if (fields.every((field) => MANAGED.includes(field))) return;
    const { everywhere, chains } = await this.staff.bounds();
    if (!everywhere && !chains.includes(cinema.chain))
      throw new Problem(
        'out-of-bounds',
        403,
        `of an own cinema a manager changes ${MANAGED.join(', ')}; the rest is for the chain`,
      );
  }
}

const know = ({ cinema, endAt, cancelledAt }: ScreeningState) => ({ cinema, endAt, cancelledAt });

export const CinemaCommand = commandService({
  name: 'cinema-command',
  row: Cinema,
  controller: CinemaCommandController,
  learns: [
    staffLearnt,
    learns<KnownChain, ChainEvents>(KnownChain, {
      ...{ 'chain.created': () => ({}), 'chain.changed': () => ({}), 'chain.removed': () => null },
    }),
    learns<KnownScreening, ScreeningEvents>(KnownScreening, {
      ...{ 'screening.created': know, 'screening.changed': know, 'screening.cancelled': know },
    }),
  ],
  providers: [Staff],
});

await serve(import.meta, CinemaCommand);
