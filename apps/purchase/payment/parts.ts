import type { Provider, Type } from '@nestjs/common';
import type { SectionClass } from '#config';
import { PaymentAttempt, PaymentDifference, PaymentReconciliation, PaymentRefund, WebhookSeen } from './payment.row.js';
import { PaymentConfig } from './payment-section.js';
import { Payments } from './payments.js';
import { PaymentProvider } from './provider.js';
import { Reconciliation } from './reconcile.js';
import { Refunds } from './refunds.js';
import { Sandbox } from './sandbox.js';
import { Settle } from './settle.js';
import { PaymentsController } from './webhook.js';

interface Parts {
  /** For the `also` of the process: they answer below /api/payments. */
  controllers: Type[];
  providers: Provider[];
  tables: Type[];
  sections: SectionClass[];
  calls: string[];
  secrets: string[];
}

/** What the process that sells needs to be paid. It says itself who is its `Sale`, and has `Staff`. */
export const paymentParts: Readonly<Parts> = {
  controllers: [PaymentsController],
  providers: [Payments, Settle, Refunds, Reconciliation, { provide: PaymentProvider, useClass: Sandbox }],
  tables: [PaymentAttempt, PaymentRefund, WebhookSeen, PaymentDifference, PaymentReconciliation],
  sections: [PaymentConfig],
  calls: ['provider'],
  secrets: ['PROVIDER_KEY'],
};
