import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Scenario } from './provider-section.js';

export type PaymentProgress = 'pending' | 'approved' | 'declined';

/** A payment that a shop asked for. */
@Entity('provider_payment')
export class ProviderPayment {
  /** Ours, and not to be guessed: who knows it may decide about the payment on our page. */
  @PrimaryColumn('varchar') id: string;
  /** The shop's own, unique: the same asked twice is one payment. */
  @Index('provider_payment_reference', { unique: true }) @Column('varchar') reference: string;
  @Column('int') amountMinor: number;
  @Column('varchar') currency: string;
  @Column('varchar') description: string;
  @Column('varchar', { nullable: true }) returnUrl: string | null;
  @Column('varchar') scenario: Scenario;
  @Column('varchar') state: PaymentProgress;
  @Column('varchar', { nullable: true }) reason: string | null;
  @Column('timestamptz', { default: () => 'now()' }) madeAt: Date;
  /** When it decides itself if nobody else does; null once it is decided. */
  @Index('provider_payment_due') @Column('timestamptz', { nullable: true }) dueAt: Date | null;
  @Index('provider_payment_settled') @Column('timestamptz', { nullable: true }) settledAt: Date | null;
}

/** Money that goes back. */
@Entity('provider_refund')
export class ProviderRefund {
  @PrimaryColumn('varchar') id: string;
  @Index('provider_refund_reference', { unique: true }) @Column('varchar') reference: string;
  /** The shop's reference of the payment. */
  @Index('provider_refund_payment') @Column('varchar') payment: string;
  @Column('int') amountMinor: number;
  @Column('varchar') state: 'pending' | 'done';
  @Column('timestamptz', { default: () => 'now()' }) madeAt: Date;
  @Index('provider_refund_due') @Column('timestamptz', { nullable: true }) dueAt: Date | null;
  @Index('provider_refund_settled') @Column('timestamptz', { nullable: true }) settledAt: Date | null;
}

/** A webhook to be sent. */
@Entity('provider_notice')
export class ProviderNotice {
  /** The event's: a shop that gets it twice knows it by this. */
  @PrimaryColumn('varchar') id: string;
  @Column('json') body: object;
  /** How often it is still to be sent. */
  @Column('int') copies: number;
  @Column('int', { default: 0 }) tries: number;
  @Column('timestamptz', { default: () => 'now()' }) madeAt: Date;
  @Index('provider_notice_due') @Column('timestamptz', { default: () => 'now()' }) dueAt: Date;
}
