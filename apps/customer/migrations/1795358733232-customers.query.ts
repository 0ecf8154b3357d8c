import type { MigrationInterface, QueryRunner } from 'typeorm';

/** customer-query: its view, dated consents, and the staff that may list them. */
export class CustomerQuery1795358733232 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "customer_view" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "name" character varying, "phone" character varying,
      "language" character varying, "points" integer NOT NULL, "consents" jsonb NOT NULL, "erased" boolean,
      CONSTRAINT "customer_view_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "customer_view_name" ON "customer_view" (extensions.plain("name"), "id")`);
    await db.query(
      `CREATE INDEX "customer_view_name_search" ON "customer_view" USING gin (extensions.plain("name") extensions.gin_trgm_ops)`,
    );
    await db.query(`CREATE INDEX "customer_view_phone" ON "customer_view" ("phone")`);
    await db.query(`CREATE INDEX "customer_view_points" ON "customer_view" ("points", "id")`);
    await db.query(`CREATE TABLE "consent_view" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "customer" uuid, "consent" character varying, "given" boolean,
      "at" TIMESTAMP WITH TIME ZONE, CONSTRAINT "consent_view_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "consent_view_customer" ON "consent_view" ("customer")`);
    await db.query(`CREATE TABLE "staff" ("id" uuid NOT NULL, "version" integer NOT NULL, "removed" boolean NOT NULL DEFAULT false,
      "user" uuid NOT NULL, "role" character varying NOT NULL, "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL,
      CONSTRAINT "staff_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "staff_user" ON "staff" ("user")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "staff", "consent_view", "customer_view"`);
  }
}
