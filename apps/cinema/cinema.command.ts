import { Body, Controller, Delete, HttpCode, Inject, Param, Patch, Post } from '@nestjs/common';
import { ArrayMaxSize, IsArray, IsBoolean, IsOptional } from 'class-validator';
import { Column, Entity, Index } from 'typeorm';
import { Allow } from '#auth';
import { invalidInput, Problem } from '#problem';
import {
  AnswersOutcomes,
  type Answer,
  CommandController,
  commandService,
  Input,
  learns,
  type Outcome,
  serve,
  ShapeEach,
  type Verdict,
  ViewRow,
} from '#resource';
import { AnswersWithin } from '#service';
import { holdsChain, Staff, staffLearnt } from '#staff';
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

/** Many cinemas at once. */
export class CinemaBatch {
  @ShapeEach(Cinema)
  @IsArray()
  @ArrayMaxSize(100)
  cinemas: unknown[];

  /** Only say what would be refused. */
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;
}

const noChain = (id: string) => ({ pointer: '/chain', detail: `must be a chain: there is none with the id ${id}` });
/** By these two and its chain a cinema is known again when it is brought once more. */
const keyOf = ({ chain, name, city }: Pick<Cinema, 'chain' | 'name' | 'city'>) =>
  JSON.stringify([chain, name.toLowerCase(), city.toLowerCase()]);

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
    if (!chain) throw invalidInput([noChain(body.chain)]);
    return super.create(Object.assign(body, { chain: chain.id }));
  }

  /** Open many; each is told what became of it, in the order they came. One of the same chain, name and city is there already. */
  @Post('import')
  @AnswersWithin(2800)
  @HttpCode(200)
  @AnswersOutcomes()
  async import(@Input(CinemaBatch) { cinemas, dryRun }: CinemaBatch): Promise<{ results: Outcome[] }> {
    return { results: await this.createMany(cinemas, { judge: (inputs) => this.judge(inputs), isTrial: dryRun }) };
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

  private async judge(inputs: readonly Cinema[]): Promise<Verdict[]> {
    for (const input of inputs) input.chain = input.chain.toLowerCase(); // as the database writes it
    const chains = [...new Set(inputs.map(({ chain }) => chain))].sort();
    const known = 'FROM known_chain WHERE id = ANY($1) AND NOT removed';
    await this.learnt(`SELECT 1 ${known} HAVING count(*) = $2`, [chains, chains.length]);
    const there = new Set((await this.storage.query<{ id: string }>(`SELECT id ${known}`, [chains])).map(({ id }) => id));
    // No two that bring the same cinema may both find that it is new.
    for (const chain of chains)
      await this.storage.query(`SELECT pg_advisory_xact_lock(hashtextextended('cinemas:' || $1, 0))`, [chain]);
    const present = await this.storage.query<Cinema>('SELECT chain, name, city FROM cinema WHERE chain = ANY($1)', [chains]);
    const keys = new Set(present.map(keyOf));
    const bounds = await this.staff.bounds();
    return inputs.map((input): Verdict => {
      const { chain } = input;
      if (!holdsChain(bounds, chain)) return [{ pointer: '/chain', detail: 'is a chain that you do not act in' }];
      if (!there.has(chain)) return [noChain(chain)];
      if (keys.has(keyOf(input))) return 'existed';
      keys.add(keyOf(input));
      return 'new';
    });
  }

  private async mayChange(cinema: Cinema, fields: readonly string[]): Promise<void> {
    await this.staff.actsInCinema(cinema);
    if (fields.every((field) => MANAGED.includes(field))) return;
    if (!holdsChain(await this.staff.bounds(), cinema.chain))
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
