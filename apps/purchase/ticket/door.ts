import { Controller, HttpCode, Inject, Post, UseInterceptors } from '@nestjs/common';
import { ApiBearerAuth, ApiHeader, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { IsInt, IsOptional, IsString, IsUUID, Length, Max, Min } from 'class-validator';
import { Allow, currentCaller } from '#auth';
import { Section } from '#config';
import { Problem } from '#problem';
import { Idempotency, Input, Refuses } from '#resource';
import { Staff } from '#staff';
import { Storage } from '#storage';
import type { ScreeningState } from '../../screening/screening.events.js';
import type { PurchaseProgress, Show } from '../purchase.events.js';
import { Sales } from '../sales.js';
import { Tickets } from './ticket.js';

/** When tickets are let in. */
@Section('door')
export class DoorConfig {
  /** Before the start of a screening, minutes. */
  @IsInt() @Min(0) @Max(1440) opensMinutes: number;
  /** After its end, minutes. */
  @IsInt() @Min(0) @Max(1440) closesMinutes: number;
}

/** What was scanned. */
export class Scan {
  /** The code of a ticket. */
  @IsString() @Length(1, 2000) code: string;
  /** The screening that is let in here; any of the cinema's without. */
  @IsOptional() @IsUUID() screening?: string;
}

/** Who came in. */
export interface Admission {
  admitted: true;
  ticket: string;
  purchase: string;
  screening: string;
  seat: string;
  category: string;
  title: string;
  auditoriumName: string;
  /** UTC, ISO 8601. */
  startAt: string;
  /** UTC, ISO 8601. */
  admittedAt: string;
}

interface Sold {
  chain: string;
  cinema: string;
  screening: string;
  state: PurchaseProgress;
  show: Show;
  known: ScreeningState | null;
}
type Plan = Pick<Show, 'title' | 'auditoriumName' | 'startAt' | 'endAt'>;

const MINUTE_MS = 60_000;

const text = { type: 'string' };
const id = { ...text, format: 'uuid' };
const instant = { ...text, format: 'date-time' };
const ADMISSION = {
  type: 'object',
  properties: {
    admitted: { type: 'boolean', enum: [true] },
    ...{ ticket: id, purchase: id, screening: id, seat: text, category: text, title: text, auditoriumName: text },
    ...{ startAt: instant, admittedAt: instant },
  },
  required: [
    'admitted',
    'ticket',
    'purchase',
    'screening',
    'seat',
    'category',
    'title',
    'auditoriumName',
    'startAt',
    'admittedAt',
  ],
};

/** The door of an auditorium: each ticket lets one person in, once. */
@Controller('tickets')
@ApiTags('ticket')
@ApiBearerAuth('token')
@UseInterceptors(Idempotency)
export class DoorController {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(Sales) private readonly sales: Sales,
    @Inject(Staff) private readonly staff: Staff,
    @Inject(DoorConfig) private readonly config: DoorConfig,
  ) {}

  /**
   * Let in who shows this code.
   *
   * @throws Problem `ticket-forged` (400), `out-of-bounds` (403), `ticket-for-another-screening`, `ticket-void`, `too-early`,
   *   `screening-over` (409), `ticket-used` (409, with when it was used and by whom)
   */
  @Post('scan')
  @HttpCode(200)
  @Allow('usher', 'cashier', 'manager', 'chain-admin')
  @ApiOperation({ operationId: 'ticketScan', summary: 'Scan a ticket at the door' })
  @ApiHeader({ name: 'Idempotency-Key', description: 'Repeats with the same key get the same answer, for 24 h', required: false })
  @ApiResponse({ status: 200, description: 'Let them in', schema: ADMISSION })
  @Refuses(400, 401, 403, 409, 413, 415, 422)
  async scan(@Input(Scan) { code, screening }: Scan): Promise<Admission> {
    const { ticket: ticketId, purchase: purchaseId } = await this.tickets.read(code);
    const sold = await this.sold(purchaseId);
    await this.staff.actsInCinema({ id: sold.cinema, chain: sold.chain });
    const plan = sold.known ?? sold.show;
    if (screening !== undefined && screening.toLowerCase() !== sold.screening) throw another(sold.screening, plan);
    if (sold.state !== 'paid') throw gone(sold.state);
    this.checkTime(plan);
    const { purchase, ticket } = await this.sales.admit(ticketId, currentCaller().id);
    const line = purchase.lines.find(({ seat }) => seat === ticket.seat)!;
    const { title, auditoriumName, startAt } = plan;
    return {
      ...{ admitted: true, ticket: ticketId, purchase: purchaseId, screening: sold.screening, seat: ticket.seat },
      ...{ category: line.category, title, auditoriumName, startAt, admittedAt: ticket.admittedAt! },
    };
  }

  /** The purchase of a ticket, with its screening as it is planned by now. */
  private async sold(purchase: string): Promise<Sold> {
    const [sold] = await this.storage.query<Sold>(
      `SELECT p.chain, p.cinema, p.screening, p.state, p.show, k.state AS known
       FROM purchase p LEFT JOIN known_screening k ON k.id = p.screening AND NOT k.removed WHERE p.id = $1`,
      [purchase],
    );
    // Signed by us and sold by nobody: it was never committed.
    if (!sold) throw gone('cancelled');
    return sold;
  }

  private checkTime({ startAt, endAt }: Plan): void {
    const [opensAt, closesAt] = [
      Date.parse(startAt) - this.config.opensMinutes * MINUTE_MS,
      Date.parse(endAt) + this.config.closesMinutes * MINUTE_MS,
    ];
    if (Date.now() < opensAt) {
      const at = new Date(opensAt).toISOString();
      throw new Problem('too-early', 409, `nobody is let in before ${at}`, { startAt, opensAt: at });
    }
    if (Date.now() > closesAt) throw new Problem('screening-over', 409, `this screening ended at ${endAt}`, { startAt, endAt });
  }
}

const gone = (state: PurchaseProgress) =>
  new Problem('ticket-void', 409, `this ticket is no longer good: its purchase is ${state}`, { state });

const another = (screening: string, { title, auditoriumName, startAt }: Plan) =>
  new Problem('ticket-for-another-screening', 409, `this ticket is for ${title}, ${auditoriumName}, ${startAt}`, {
    // `title` is the problem's own.
    ...{ screening, film: title, auditoriumName, startAt },
  });
