import type { MigrationInterface, QueryRunner } from 'typeorm';

/** purchase-query: its view, and where the staff act that may read it. */
export class PurchaseQuery1795358732338 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "purchase_view" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "chain" uuid NOT NULL, "cinema" uuid NOT NULL, "screening" uuid NOT NULL,
      "customer" character varying, "accessKeyHash" character varying, "soldBy" character varying,
      "state" character varying NOT NULL, "lines" jsonb NOT NULL, "totalMinor" integer NOT NULL, "taxMinor" integer NOT NULL,
      "tax" jsonb NOT NULL, "currency" character varying NOT NULL, "heldUntilAt" TIMESTAMP WITH TIME ZONE NOT NULL,
      "payment" jsonb, "receipt" integer, "paidAt" TIMESTAMP WITH TIME ZONE, "tickets" jsonb, "refund" jsonb,
      "exchangedFor" uuid, "exchangeOf" uuid, "show" jsonb NOT NULL, "history" jsonb NOT NULL,
      "createdAt" TIMESTAMP WITH TIME ZONE NOT NULL, "startAt" TIMESTAMP WITH TIME ZONE NOT NULL,
      CONSTRAINT "purchase_view_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "purchase_view_made" ON "purchase_view" ("createdAt", "id")`);
    await db.query(`CREATE INDEX "purchase_view_of_customer" ON "purchase_view" ("customer", "createdAt", "id")`);
    await db.query(`CREATE INDEX "purchase_view_of_cinema" ON "purchase_view" ("cinema", "createdAt", "id")`);
    await db.query(`CREATE INDEX "purchase_view_of_screening" ON "purchase_view" ("screening", "createdAt", "id")`);
    await db.query(`CREATE INDEX "purchase_view_receipt" ON "purchase_view" ("receipt", "cinema")`);
    await db.query(`CREATE INDEX "purchase_view_start" ON "purchase_view" ("startAt", "id")`);
    await db.query(`CREATE TABLE "staff" ("id" uuid NOT NULL, "version" integer NOT NULL, "removed" boolean NOT NULL DEFAULT false,
      "user" uuid NOT NULL, "role" character varying NOT NULL, "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL,
      CONSTRAINT "staff_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "staff_user" ON "staff" ("user")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "staff", "purchase_view"`);
  }
}
