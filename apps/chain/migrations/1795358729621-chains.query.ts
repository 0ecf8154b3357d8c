import type { MigrationInterface, QueryRunner } from 'typeorm';

/** chain-query: its view. */
export class ChainQuery1795358729621 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "chain_view" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "name" character varying NOT NULL,
      "holdSeconds" integer NOT NULL, "seatsPerPurchase" integer NOT NULL, "seatsHeldAtOnce" integer NOT NULL,
      "refundUntilMinutes" integer NOT NULL, CONSTRAINT "chain_view_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "chain_view_name" ON "chain_view" (extensions.plain("name"), "id")`);
    await db.query(
      `CREATE INDEX "chain_view_name_search" ON "chain_view" USING gin (extensions.plain("name") extensions.gin_trgm_ops)`,
    );
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "chain_view"`);
  }
}
