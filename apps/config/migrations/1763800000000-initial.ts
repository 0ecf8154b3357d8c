import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Initial1763800000000 implements MigrationInterface {
  name = 'Initial1763800000000';

  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "config_change" (
      "revision" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
      "application" character varying NOT NULL,
      "profile" character varying NOT NULL,
      "key" character varying NOT NULL,
      "before" jsonb,
      "after" jsonb,
      "author" character varying NOT NULL,
      "at" timestamp with time zone NOT NULL DEFAULT now(),
      CONSTRAINT "PK_config_change" PRIMARY KEY ("revision"))`);
    await db.query(`CREATE INDEX "config_change_of_key" ON "config_change" ("application", "profile", "key", "revision")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "config_change"`);
  }
}
