import type { MigrationInterface, QueryRunner } from 'typeorm';

/** manager-query: its view, and where its readers act. */
export class ManagerQuery1795358734082 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "manager_view" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "user" uuid NOT NULL, "role" character varying NOT NULL,
      "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL, CONSTRAINT "manager_view_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "manager_view_user" ON "manager_view" ("user")`);
    await db.query(`CREATE INDEX "manager_view_chain" ON "manager_view" ("chain")`);
    await db.query(`CREATE INDEX "manager_view_role" ON "manager_view" (extensions.plain("role"), "id")`);
    await db.query(`CREATE INDEX "manager_view_cinemas" ON "manager_view" USING gin ("cinemas")`);
    await db.query(`CREATE TABLE "staff" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "user" uuid NOT NULL, "role" character varying NOT NULL,
      "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL, CONSTRAINT "staff_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "staff_user" ON "staff" ("user")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "staff", "manager_view"`);
  }
}
