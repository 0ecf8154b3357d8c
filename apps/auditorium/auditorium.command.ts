import { Body, Controller, Delete, HttpCode, Inject, Param, Patch, Post } from '@nestjs/common';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsOptional,
  IsString,
  IsUUID,
  Length,
  Matches,
  ValidateNested,
} from 'class-validator';
import { Column, Entity, type EntityManager, Index } from 'typeorm';
import { v5 as uuidv5 } from 'uuid';
import { Allow } from '#auth';
import { emit } from '#outbox';
import { type InputError, invalidInput, Problem } from '#problem';
import {
  AnswersOutcomes,
  type Answer,
  CommandController,
  commandService,
  Input,
  learns,
  type Outcome,
  readPatch,
  Row,
  serve,
  ShapeEach,
  type Verdict,
  ViewRow,
} from '#resource';
import { AnswersWithin } from '#service';
import { capacityOf, PLAN_LIMITS, planErrors, ROW_NAME, SEAT_LETTERS } from '#seating';
import { holdsCinema, Staff, staffLearnt } from '#staff';
import type { CinemaEvents, CinemaState } from '../cinema/cinema.events.js';
import type { ScreeningEvents, ScreeningState } from '../screening/screening.events.js';
import type { AuditoriumState, LayoutRow, LayoutState } from './auditorium.events.js';

/** One row of seats. */
export class RowInput implements LayoutRow {
  @IsString()
  @Matches(ROW_NAME, { message: 'name must be 1 to 3 capital letters or digits' })
  name: string;

  @IsString()
  @Matches(SEAT_LETTERS, {
    message: `seats must be 1 to ${PLAN_LIMITS.placesOfRow} of the letters s, w, c, h, x, their capitals, and . for a gap`,
  })
  seats: string;
}

@Entity('auditorium')
@Index('auditorium_name', { synchronize: false }) // over an expression: it stands in the migration
export class Auditorium extends Row implements AuditoriumState {
  static override readonly shown: readonly (keyof AuditoriumState)[] = [
    ...(['chain', 'cinema', 'name', 'layout', 'layoutVersion', 'capacity'] as const),
  ];

  @Column('uuid')
  chain: string;

  @Column('uuid')
  @IsUUID()
  cinema: string;

  /** Not twice in its cinema, whatever its case. */
  @Column('varchar')
  @IsString()
  @Length(1, 60)
  @Matches(/^[^\p{Cc}<>]*\S[^\p{Cc}<>]*$/u, { message: 'name must not be blank, nor hold < > or control characters' })
  name: string;

  @Column('jsonb')
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(PLAN_LIMITS.rows)
  @ValidateNested({ each: true })
  @Type(() => RowInput)
  layout: RowInput[];

  @Column('int')
  layoutVersion: number;

  @Column('int')
  capacity: number;
}

/** Many auditoriums at once, each with its layout. */
export class AuditoriumBatch {
  @ShapeEach(Auditorium)
  @IsArray()
  @ArrayMaxSize(100)
  auditoriums: unknown[];

  /** Only say what would be refused. */
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;
}

/** A cinema there is. */
@Entity('known_cinema')
export class KnownCinema extends ViewRow {
  @Column('uuid') chain: string;
}

/** A screening that takes an auditorium. */
@Entity('known_screening')
export class KnownScreening extends ViewRow {
  @Index('known_screening_auditorium') @Column('uuid') auditorium: string;
  @Column('timestamptz') endAt: string;
  @Column() cancelled: boolean;
}

/** The rows with nothing but what a layout is made of, their fields in one order: as JSON equal layouts are equal texts. */
const plainRows = (layout: readonly LayoutRow[]): LayoutRow[] => layout.map(({ name, seats }) => ({ name, seats }));

const isSame = (a: readonly LayoutRow[], b: readonly LayoutRow[]) =>
  JSON.stringify(plainRows(a)) === JSON.stringify(plainRows(b));

const layoutErrors = (layout: readonly LayoutRow[]): InputError[] =>
  planErrors(layout).map(({ pointer, detail }) => ({ pointer: `/layout${pointer}`, detail }));

/** Give it that layout, as the next it has. @throws Problem `invalid-input` (400) with a pointer to each wrong place */
function furnish(auditorium: Auditorium, layout: readonly LayoutRow[]): void {
  const errors = layoutErrors(layout);
  if (errors.length > 0) throw invalidInput(errors);
  auditorium.layout = plainRows(layout);
  auditorium.layoutVersion = (auditorium.layoutVersion ?? 0) + 1;
  auditorium.capacity = capacityOf(layout);
}

/** Say which layout each has now, under a key that is always the same for it. */
async function tellLayout(tx: EntityManager, ...furnished: readonly Auditorium[]): Promise<void> {
  const told = furnished.map(({ id, layoutVersion, layout, capacity }) => {
    const body: LayoutState = { auditorium: id, layoutVersion, layout, capacity };
    return { name: 'layout.created', key: uuidv5(String(layoutVersion), id), version: 1, body };
  });
  await emit(tx, ...told);
}

const NO_CINEMA = { pointer: '/cinema', detail: 'is no cinema we know' };

@Controller('auditoriums')
@Allow('chain-admin', 'manager')
export class AuditoriumCommandController extends CommandController(Auditorium, 'auditorium') {
  @Inject(Staff) private readonly staff: Staff;

  /** @throws Problem `out-of-bounds` (403), `auditorium-exists` (409) */
  @Post()
  override create(@Input(Auditorium) body: Auditorium): Promise<Answer<Auditorium>> {
    return this.storage.transaction(async (tx) => {
      body.cinema = body.cinema.toLowerCase(); // as the database writes it
      const chain = await this.chainOf(body.cinema);
      await this.staff.actsInCinema({ id: body.cinema, chain });
      furnish(Object.assign(body, { chain }), body.layout);
      const made = await super.create(body);
      await tellLayout(tx, body);
      return made;
    });
  }

  /** Make many; each is told what became of it, in the order they came. One of that name in its cinema is there already. */
  @Post('import')
  @AnswersWithin(2800)
  @HttpCode(200)
  @AnswersOutcomes()
  import(@Input(AuditoriumBatch) { auditoriums, dryRun }: AuditoriumBatch): Promise<{ results: Outcome[] }> {
    return this.storage.transaction(async (tx) => {
      const read: Auditorium[] = [];
      const judge = (inputs: Auditorium[]) => {
        read.push(...inputs);
        return this.judge(inputs);
      };
      const results = await this.createMany(auditoriums, { judge, isTrial: dryRun });
      const made = new Set(results.flatMap((result) => (result.status === 'created' ? [result.id] : [])));
      const furnished = read.filter(({ id }) => made.has(id));
      if (furnished.length > 0) await tellLayout(tx, ...furnished);
      return { results };
    });
  }

  /** A layout that is another one counts as its next; screenings keep the one they were planned with. @throws as `create` */
  @Patch(':id')
  override patch(@Param('id') id: string, @Body() body: unknown): Promise<Answer<Auditorium>> {
    return this.storage.transaction(async (tx) => {
      const auditorium = await this.own(id);
      const { layout, ...change } = await readPatch(Auditorium, auditorium, body);
      if (change.cinema !== undefined && change.cinema.toLowerCase() !== auditorium.cinema)
        throw invalidInput([{ pointer: '/cinema', detail: 'cannot be changed' }]);
      const isNew = layout !== undefined && !isSame(layout, auditorium.layout);
      if (isNew) furnish(auditorium, layout);
      const changed = await this.write('changed', Object.assign(auditorium, change, { cinema: auditorium.cinema }));
      if (isNew) await tellLayout(tx, auditorium);
      return changed;
    });
  }

  /** @throws Problem `auditorium-in-use` (409) while screenings in it are not over */
  @Delete(':id')
  @HttpCode(204)
  override remove(@Param('id') id: string): Promise<void> {
    return this.storage.transaction(async (tx) => {
      const { name } = await this.own(id);
      const [{ screenings }] = await tx.query<[{ screenings: number }]>(
        `SELECT count(*)::int AS screenings FROM known_screening
         WHERE auditorium = $1 AND NOT cancelled AND NOT removed AND "endAt" > now()`,
        [id],
      );
      if (screenings > 0)
        throw new Problem('auditorium-in-use', 409, `${name} still has screenings that are not over: ${screenings}`, {
          screenings,
        });
      await super.remove(id);
    });
  }

  /** The auditorium, which is in a cinema the caller acts in. @throws Problem `not-found` (404), `out-of-bounds` (403) */
  private async own(id: string): Promise<Auditorium> {
    const auditorium = await this.find(id);
    await this.staff.actsInCinema({ id: auditorium.cinema, chain: auditorium.chain });
    return auditorium;
  }

  private async judge(inputs: readonly Auditorium[]): Promise<Verdict[]> {
    for (const input of inputs) input.cinema = input.cinema.toLowerCase(); // as the database writes it
    const cinemas = [...new Set(inputs.map(({ cinema }) => cinema))];
    const known = 'FROM known_cinema WHERE id = ANY($1) AND NOT removed';
    await this.learnt(`SELECT 1 ${known} HAVING count(*) = $2`, [cinemas, cinemas.length]);
    const found = await this.storage.query<{ id: string; chain: string }>(`SELECT id, chain ${known}`, [cinemas]);
    const chains = new Map(found.map(({ id, chain }) => [id, chain]));
    const bounds = await this.staff.bounds();
    return inputs.map((input): Verdict => {
      const chain = chains.get(input.cinema);
      if (chain === undefined) return [NO_CINEMA];
      if (!holdsCinema(bounds, { id: input.cinema, chain }))
        return [{ pointer: '/cinema', detail: 'is a cinema that you do not act in' }];
      const errors = layoutErrors(input.layout);
      if (errors.length > 0) return errors;
      furnish(Object.assign(input, { chain }), input.layout);
      return 'new';
    });
  }

  private async chainOf(cinema: string): Promise<string> {
    const [known] = await this.storage.query<KnownCinema>('SELECT chain FROM known_cinema WHERE id = $1 AND NOT removed', [
      cinema,
    ]);
    if (!known) throw invalidInput([NO_CINEMA]);
    return known.chain;
  }
}

const cinema = ({ chain }: CinemaState) => ({ chain });
const screening = ({ auditorium, endAt, cancelledAt }: ScreeningState) => ({
  ...{ auditorium, endAt, cancelled: cancelledAt !== undefined },
});

export const AuditoriumCommand = commandService({
  name: 'auditorium-command',
  row: Auditorium,
  controller: AuditoriumCommandController,
  learns: [
    staffLearnt,
    learns<KnownCinema, CinemaEvents>(KnownCinema, {
      ...{ 'cinema.created': cinema, 'cinema.changed': cinema, 'cinema.removed': () => null },
    }),
    learns<KnownScreening, ScreeningEvents>(KnownScreening, {
      ...{ 'screening.created': screening, 'screening.changed': screening, 'screening.cancelled': screening },
    }),
  ],
  providers: [Staff],
});

await serve(import.meta, AuditoriumCommand);
