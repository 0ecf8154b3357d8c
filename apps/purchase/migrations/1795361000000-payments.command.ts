import type { MigrationInterface, QueryRunner } from 'typeorm';

/** purchase-command: attempts to pay, refunds, webhooks that were taken, and where the provider's settlement differs. */
export class PurchasePayments1795361000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "payment_attempt" (
      "id" uuid NOT NULL, "purchase" uuid NOT NULL, "cinema" uuid NOT NULL, "amountMinor" integer NOT NULL,
      "currency" character varying NOT NULL, "title" character varying NOT NULL, "returnUrl" character varying,
      "method" character varying, "provider" character varying NOT NULL, "state" character varying NOT NULL,
      "providerId" character varying, "redirectUrl" character varying, "reason" character varying,
      "tries" integer NOT NULL DEFAULT 0, "startedAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
      "nextAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), "heardAt" TIMESTAMP WITH TIME ZONE,
      "settledAt" TIMESTAMP WITH TIME ZONE, CONSTRAINT "payment_attempt_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "payment_attempt_purchase" ON "payment_attempt" ("purchase")`);
    await db.query(`CREATE INDEX "payment_attempt_settled" ON "payment_attempt" ("settledAt")`);
    await db.query(`CREATE INDEX "payment_attempt_due" ON "payment_attempt" ("nextAt") WHERE "state" = 'pending'`);
    await db.query(`CREATE TABLE "payment_refund" (
      "id" uuid NOT NULL, "payment" uuid NOT NULL, "purchase" uuid NOT NULL, "amountMinor" integer NOT NULL,
      "currency" character varying NOT NULL, "reason" character varying NOT NULL, "state" character varying NOT NULL,
      "providerId" character varying, "tries" integer NOT NULL DEFAULT 0,
      "queuedAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), "nextAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
      "settledAt" TIMESTAMP WITH TIME ZONE, CONSTRAINT "payment_refund_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "payment_refund_payment" ON "payment_refund" ("payment")`);
    await db.query(`CREATE INDEX "payment_refund_settled" ON "payment_refund" ("settledAt")`);
    await db.query(`CREATE INDEX "payment_refund_due" ON "payment_refund" ("nextAt") WHERE "state" = 'pending'`);
    await db.query(`CREATE UNIQUE INDEX "payment_refund_late" ON "payment_refund" ("payment") WHERE "reason" = 'late-approval'`);
    await db.query(`CREATE TABLE "webhook_seen" ("id" character varying NOT NULL,
      "at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), CONSTRAINT "webhook_seen_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "webhook_seen_at" ON "webhook_seen" ("at")`);
    await db.query(`CREATE TABLE "payment_difference" ("day" date NOT NULL, "reference" character varying NOT NULL,
      "kind" character varying NOT NULL, "subject" character varying NOT NULL, "ours" character varying,
      "theirs" character varying, "foundAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
      CONSTRAINT "payment_difference_key" PRIMARY KEY ("day", "reference", "kind"))`);
    await db.query(`CREATE TABLE "payment_reconciliation" ("day" date NOT NULL,
      "startedAt" TIMESTAMP WITH TIME ZONE NOT NULL, "doneAt" TIMESTAMP WITH TIME ZONE, "differences" integer,
      CONSTRAINT "payment_reconciliation_key" PRIMARY KEY ("day"))`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(
      `DROP TABLE "payment_reconciliation", "payment_difference", "webhook_seen", "payment_refund", "payment_attempt"`,
    );
  }
}
