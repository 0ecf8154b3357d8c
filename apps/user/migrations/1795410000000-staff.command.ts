import type { MigrationInterface, QueryRunner } from 'typeorm';

/** user-command: where its callers act, and the roles that places among the staff gave. */
export class Staff1795410000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "staff" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "user" uuid NOT NULL, "role" character varying NOT NULL,
      "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL, CONSTRAINT "staff_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "staff_user" ON "staff" ("user")`);
    await db.query(`CREATE TABLE "granted_role" ("id" uuid NOT NULL, "version" integer NOT NULL, "user" uuid,
      "role" character varying, CONSTRAINT "granted_role_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "granted_role_user" ON "granted_role" ("user")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "granted_role", "staff"`);
  }
}
