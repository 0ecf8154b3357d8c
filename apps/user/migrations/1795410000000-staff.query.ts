import type { MigrationInterface, QueryRunner } from 'typeorm';

/** user-query: where the staff acts, since users and audit records are shown to who acts everywhere. */
export class StaffQuery1795410000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "staff" (
      "id" uuid NOT NULL, "version" integer NOT NULL, "removed" boolean NOT NULL DEFAULT false, "user" uuid NOT NULL,
      "role" character varying NOT NULL, "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL,
      CONSTRAINT "staff_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "staff_user" ON "staff" ("user")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "staff"`);
  }
}
