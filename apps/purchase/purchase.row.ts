import { Column, Entity, Index } from 'typeorm';
import { Row, Shape } from '#resource';
import type { Tax } from '../cinema/cinema.events.js';
import type { Line, Payment, PurchaseProgress, PurchaseState, Refund, Show, Step, Ticket } from './purchase.events.js';
import { columns, PROGRESS } from './view/shapes.js';

/** An instant as events and answers write it; the driver knows only its own class. */
const asText = {
  from: (at: Date | null) => (at === null ? null : at.toISOString()),
  to: (at: unknown) => at,
};

/** Money that came when nothing was left to be bought with it, and goes back. */
export interface LateMoney {
  payment: string;
  refund: string;
  isDone: boolean;
}

/** The request that began the last attempt to pay: hashes, so that it is known again. */
export interface PayRequest {
  scope: string;
  request: string;
}

// Indexes over expressions and over some of the rows stand in the migration.
@Entity('purchase')
@Index('purchase_unpaid', { synchronize: false })
@Index('purchase_lapsing', { synchronize: false })
@Index('purchase_of_screening', { synchronize: false })
@Index('purchase_ticket', { synchronize: false })
@Index('purchase_email', { synchronize: false })
@Index('purchase_elsewhere', { synchronize: false })
export class Purchase extends Row implements PurchaseState {
  static override readonly shown: readonly (keyof PurchaseState)[] = [
    ...([
      'chain',
      'cinema',
      'screening',
      'customer',
      'accessKeyHash',
      'soldBy',
      'state',
      'lines',
      'totalMinor',
      'taxMinor',
    ] as const),
    ...(['tax', 'currency', 'heldUntilAt', 'payment', 'receipt', 'paidAt', 'tickets', 'refund', 'exchangedFor'] as const),
    ...(['exchangeOf', 'show', 'history'] as const),
  ];

  @Column('uuid') chain: string;
  @Column('uuid') cinema: string;
  @Column('uuid') screening: string;
  @Column('varchar', { nullable: true }) customer?: string;
  @Column('varchar', { nullable: true }) accessKeyHash?: string;
  @Column('varchar', { nullable: true }) soldBy?: string;
  @Column({ type: 'varchar', enum: [...PROGRESS] }) state: PurchaseProgress;
  @Shape(columns.lines) @Column('jsonb') lines: Line[];
  @Column('int') totalMinor: number;
  @Column('int') taxMinor: number;
  @Shape(columns.tax) @Column('jsonb') tax: Tax;
  @Column('varchar') currency: string;
  @Column('timestamptz', { transformer: asText }) heldUntilAt: string;
  @Shape(columns.payment) @Column('jsonb', { nullable: true }) payment?: Payment;
  @Column('int', { nullable: true }) receipt?: number;
  @Column('timestamptz', { nullable: true, transformer: asText }) paidAt?: string;
  @Shape(columns.tickets) @Column('jsonb', { nullable: true }) tickets?: Ticket[];
  @Shape(columns.refund) @Column('jsonb', { nullable: true }) refund?: Refund;
  @Column('uuid', { nullable: true }) exchangedFor?: string;
  @Column('uuid', { nullable: true }) exchangeOf?: string;
  @Shape(columns.show) @Column('jsonb') show: Show;
  @Shape(columns.history) @Column('jsonb') history: Step[];

  /** A guest's, or what the box office was told. Never shown; blanked some days after the show. */
  @Column('varchar', { nullable: true }) email?: string | null;
  /** When the show is over: what is due some time after it goes by this. */
  @Column('timestamptz') overAt: Date;
  @Column('jsonb', { default: [] }) late: LateMoney[];
  @Column('jsonb', { nullable: true }) payRequest?: PayRequest;
}

/** What the buyer, staff and partners are told of a purchase: all but the hash of a guest's key. */
export type PurchaseAnswer = Omit<PurchaseState, 'accessKeyHash'> & { id: string; version: number; accessKey?: string };

/** @see PurchaseAnswer */
export function answerOf(purchase: Purchase): PurchaseAnswer {
  const { accessKeyHash: _hidden, ...state } = Purchase.state(purchase);
  return { id: purchase.id, version: purchase.version, ...(state as Omit<PurchaseState, 'accessKeyHash'>) };
}

/** A seat of a screening that belongs to a purchase until a moment of the database's clock; for ever from when it is being paid. */
@Entity('seat_claim')
export class SeatClaim {
  @Column('uuid', { primary: true }) screening: string;
  @Column('varchar', { primary: true }) seat: string;
  @Column('uuid') purchase: string;
  @Column('timestamptz') until: Date;
}
