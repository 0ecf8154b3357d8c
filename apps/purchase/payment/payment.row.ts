import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Payment, RefundReason } from '../purchase.events.js';

/** One attempt to pay a purchase. Its id is what the provider knows it by, so asking again is never paying again. */
@Entity('payment_attempt')
@Index('payment_attempt_due', { synchronize: false }) // over the pending ones: it stands in the migration
export class PaymentAttempt {
  @PrimaryColumn('uuid') id: string;
  @Index('payment_attempt_purchase') @Column('uuid') purchase: string;
  @Column('uuid') cinema: string;
  @Column('int') amountMinor: number;
  @Column('varchar') currency: string;
  /** What the buyer reads at the provider. */
  @Column('varchar') title: string;
  @Column('varchar', { nullable: true }) returnUrl: string | null;
  @Column('varchar', { nullable: true }) method: string | null;
  @Column('varchar') provider: string;
  @Column('varchar') state: Payment['state'];
  /** What the provider calls it. */
  @Column('varchar', { nullable: true }) providerId: string | null;
  @Column('varchar', { nullable: true }) redirectUrl: string | null;
  @Column('varchar', { nullable: true }) reason: string | null;
  /** How often the provider was asked. */
  @Column('int', { default: 0 }) tries: number;
  @Column('timestamptz', { default: () => 'now()' }) startedAt: Date;
  /** When the provider is asked next, while it is pending. */
  @Column('timestamptz', { default: () => 'now()' }) nextAt: Date;
  /** When the provider first said that it has it. */
  @Column('timestamptz', { nullable: true }) heardAt: Date | null;
  @Index('payment_attempt_settled') @Column('timestamptz', { nullable: true }) settledAt: Date | null;
}

/** Money on its way back, sent until the provider says that it has arrived. */
@Entity('payment_refund')
// Over some rows, so they stand in the migration: what is due, and one refund of a payment that came too late.
@Index('payment_refund_due', { synchronize: false })
@Index('payment_refund_late', { synchronize: false })
export class PaymentRefund {
  @PrimaryColumn('uuid') id: string;
  @Index('payment_refund_payment') @Column('uuid') payment: string;
  @Column('uuid') purchase: string;
  @Column('int') amountMinor: number;
  @Column('varchar') currency: string;
  @Column('varchar') reason: RefundReason;
  @Column('varchar') state: 'pending' | 'done';
  @Column('varchar', { nullable: true }) providerId: string | null;
  @Column('int', { default: 0 }) tries: number;
  @Column('timestamptz', { default: () => 'now()' }) queuedAt: Date;
  @Column('timestamptz', { default: () => 'now()' }) nextAt: Date;
  @Index('payment_refund_settled') @Column('timestamptz', { nullable: true }) settledAt: Date | null;
}

/** A webhook that was taken: the provider may send it again. */
@Entity('webhook_seen')
export class WebhookSeen {
  @PrimaryColumn('varchar') id: string;
  @Index('webhook_seen_at') @Column('timestamptz', { default: () => 'now()' }) at: Date;
}

export type DifferenceKind = 'missing-there' | 'missing-here' | 'amount' | 'state';

/** Where our books and the provider's settlement of a day do not agree. */
@Entity('payment_difference')
export class PaymentDifference {
  @PrimaryColumn('date') day: string;
  /** Of the payment or refund, as both sides know it. */
  @PrimaryColumn('varchar') reference: string;
  @PrimaryColumn('varchar') kind: DifferenceKind;
  @Column('varchar') subject: 'payment' | 'refund';
  /** What we have: the state, the amount, or nothing. */
  @Column('varchar', { nullable: true }) ours: string | null;
  @Column('varchar', { nullable: true }) theirs: string | null;
  @Column('timestamptz', { default: () => 'now()' }) foundAt: Date;
}

/** A day whose settlement was compared, or is being. */
@Entity('payment_reconciliation')
export class PaymentReconciliation {
  @PrimaryColumn('date') day: string;
  @Column('timestamptz') startedAt: Date;
  @Column('timestamptz', { nullable: true }) doneAt: Date | null;
  @Column('int', { nullable: true }) differences: number | null;
}
