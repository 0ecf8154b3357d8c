import type { MigrationInterface, QueryRunner } from 'typeorm';

/** provider: payments, refunds, and the webhooks that tell of them. */
export class Provider1795360000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "provider_payment" (
      "id" character varying NOT NULL, "reference" character varying NOT NULL, "amountMinor" integer NOT NULL,
      "currency" character varying NOT NULL, "description" character varying NOT NULL, "returnUrl" character varying,
      "scenario" character varying NOT NULL, "state" character varying NOT NULL, "reason" character varying,
      "madeAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), "dueAt" TIMESTAMP WITH TIME ZONE,
      "settledAt" TIMESTAMP WITH TIME ZONE, CONSTRAINT "provider_payment_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE UNIQUE INDEX "provider_payment_reference" ON "provider_payment" ("reference")`);
    await db.query(`CREATE INDEX "provider_payment_due" ON "provider_payment" ("dueAt")`);
    await db.query(`CREATE INDEX "provider_payment_settled" ON "provider_payment" ("settledAt")`);
    await db.query(`CREATE TABLE "provider_refund" (
      "id" character varying NOT NULL, "reference" character varying NOT NULL, "payment" character varying NOT NULL,
      "amountMinor" integer NOT NULL, "state" character varying NOT NULL,
      "madeAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), "dueAt" TIMESTAMP WITH TIME ZONE,
      "settledAt" TIMESTAMP WITH TIME ZONE, CONSTRAINT "provider_refund_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE UNIQUE INDEX "provider_refund_reference" ON "provider_refund" ("reference")`);
    await db.query(`CREATE INDEX "provider_refund_payment" ON "provider_refund" ("payment")`);
    await db.query(`CREATE INDEX "provider_refund_due" ON "provider_refund" ("dueAt")`);
    await db.query(`CREATE INDEX "provider_refund_settled" ON "provider_refund" ("settledAt")`);
    await db.query(`CREATE TABLE "provider_notice" (
      "id" character varying NOT NULL, "body" json NOT NULL, "copies" integer NOT NULL, "tries" integer NOT NULL DEFAULT 0,
      "madeAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), "dueAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
      CONSTRAINT "provider_notice_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "provider_notice_due" ON "provider_notice" ("dueAt")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "provider_notice", "provider_refund", "provider_payment"`);
  }
}
