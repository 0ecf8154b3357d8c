import { Body, Controller, Delete, HttpCode, Inject, Param, Patch, Post } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiResponse } from '@nestjs/swagger';
import { Allow, Public } from '#auth';
import { type InputError, invalidInput, Problem } from '#problem';
import { type Answer, CommandController, commandService, Input, readInput, serve } from '#resource';
import { AnswersWithin } from '#service';
import { Staff, staffLearnt } from '#staff';
import { known } from './planning/known.js';
import { overlaps, type Placed, Programme } from './planning/programme.js';
import { Cancellation, NewScreening, Screening, ScreeningBatch } from './planning/screening.row.js';
import { standing } from './screening.rules.js';

/** What became of one of many screenings that were to be planned together. */
export type ScreeningOutcome =
  | { status: 'created'; id: string }
  /** The same film begins there at the same time already. */
  | { status: 'existed'; id: string }
  /** It would be created: this was a trial. */
  | { status: 'accepted' }
  /** As the problem says that it would be by itself. */
  | { status: 'refused'; type: string; detail: string; errors?: InputError[]; with?: object };

/** What a screening is, and stays. */
const FIXED = ['movie', 'auditorium', 'startAt', 'localStartAt'];

const refused = ({ type, detail, extra }: Problem): ScreeningOutcome => ({
  ...{ status: 'refused', type: `/problems/${type}`, detail },
  ...extra,
});

function outcomeOf(placed: Placed, isTrial: boolean): ScreeningOutcome {
  if ('id' in placed) return isTrial ? { status: 'accepted' } : { status: 'created', id: placed.id };
  const { isSame, id } = placed.inTheWay;
  return isSame ? { status: 'existed', id } : refused(overlaps(placed));
}

const orProblem = (error: unknown): Problem => {
  if (error instanceof Problem && error.status < 500) return error;
  throw error;
};

/** @throws Problem `invalid-input` (400) naming what a patch must leave alone */
function checkFixed(patch: unknown): void {
  const named = FIXED.filter((name) => typeof patch === 'object' && patch !== null && Object.hasOwn(patch, name));
  const detail = 'cannot be changed: cancel this screening and plan another';
  if (named.length > 0) throw invalidInput(named.map((name) => ({ pointer: `/${name}`, detail })));
}

const OUTCOMES = {
  type: 'object' as const,
  properties: {
    results: {
      type: 'array' as const,
      items: {
        type: 'object' as const,
        properties: {
          status: { type: 'string' as const, enum: ['created', 'existed', 'accepted', 'refused'] },
          id: { type: 'string' as const, format: 'uuid' },
          ...{ type: { type: 'string' as const }, detail: { type: 'string' as const } },
          errors: { type: 'array' as const, items: { type: 'object' as const } },
          with: { type: 'object' as const, description: 'The screening in the way' },
        },
        required: ['status'],
      },
    },
  },
  required: ['results'],
};

@Controller('screenings')
@Allow('chain-admin', 'manager')
export class ScreeningCommandController extends CommandController(Screening, 'screening') {
  @Inject(Programme) private readonly programme: Programme;
  @Inject(Staff) private readonly staff: Staff;

  /**
   * Plan a screening, with all that it holds of its film, its place and their rules.
   *
   * @throws Problem `wrong-currency` (400), `out-of-bounds` (403), `movie-retired`, `movie-without-minutes`, `screening-overlaps` (409)
   */
  @Post()
  override async create(@Input(NewScreening) body: Screening & NewScreening): Promise<Answer<Screening>> {
    const [row] = await this.programme.plan([body]);
    if (!(row instanceof Screening)) throw row!;
    const [placed] = await this.programme.place([row]);
    if (placed && 'inTheWay' in placed) throw overlaps(placed);
    return { ...Screening.state(row), id: row.id, version: 1 };
  }

  /** Change what is said of it, or its prices. @throws Problem `out-of-bounds` (403), `screening-cancelled`, `screening-over` (409) */
  @Patch(':id')
  override patch(@Param('id') id: string, @Body() body: unknown): Promise<Answer<Screening>> {
    return this.storage.transaction(async () => {
      await this.open(id);
      checkFixed(body);
      return super.patch(id, body);
    });
  }

  /** People may have bought seats: what became of a screening stays told. */
  @Delete(':id')
  @Public()
  @ApiExcludeEndpoint()
  override remove(@Param('id') id: string): Promise<void> {
    const detail = `a screening is cancelled, never removed: POST /api/screenings/${id.slice(0, 100)}/cancel`;
    throw new Problem('method-not-allowed', 405, detail, {}, { Allow: 'GET, HEAD, PATCH' });
  }

  /** Call it off; whoever has bought seats gets the money back. @throws Problem `out-of-bounds` (403), `screening-cancelled`, `screening-over` (409) */
  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(
    @Param('id') id: string,
    @Input(Cancellation, { isOptional: true }) { reason }: Cancellation,
  ): Promise<Answer<Screening>> {
    const screening = await this.open(id);
    const cancelled = { cancelledAt: new Date().toISOString(), cancelReason: reason };
    return this.write('cancelled', Object.assign(screening, cancelled));
  }

  /** Plan many; each is told what became of it, in the order they came. Of two that overlap the one that begins first is created. */
  @Post('import')
  @AnswersWithin(2800)
  @HttpCode(200)
  @ApiResponse({ status: 200, description: '`results`: what became of each, in the order they came', schema: OUTCOMES })
  async import(@Input(ScreeningBatch) { screenings, dryRun = false }: ScreeningBatch): Promise<{ results: ScreeningOutcome[] }> {
    const read = await Promise.all(screenings.map((body) => readInput(NewScreening, body).catch(orProblem)));
    const inputs = read.filter((input) => input instanceof NewScreening);
    return this.storage.transaction(async () => {
      const plans = inputs.length > 0 ? await this.programme.plan(inputs) : [];
      const rows = plans.filter((plan) => plan instanceof Screening);
      const placed = await (dryRun ? this.programme.tryPlace(rows) : this.programme.place(rows));
      const results = read.map((input): ScreeningOutcome => {
        const plan = input instanceof Problem ? input : plans[inputs.indexOf(input)]!;
        return plan instanceof Problem ? refused(plan) : outcomeOf(placed[rows.indexOf(plan)]!, dryRun);
      });
      return { results };
    });
  }

  /** The screening, if it may be changed, and by this caller. */
  private async open(id: string): Promise<Screening> {
    const screening = await this.find(id);
    await this.staff.actsInCinema({ id: screening.cinema, chain: screening.chain });
    standing(screening, Date.now());
    return screening;
  }
}

export const ScreeningCommand = commandService({
  name: 'screening-command',
  row: Screening,
  controller: ScreeningCommandController,
  learns: [staffLearnt, ...known],
  providers: [Programme, Staff],
});

await serve(import.meta, ScreeningCommand);
