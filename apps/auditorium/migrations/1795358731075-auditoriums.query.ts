import type { MigrationInterface, QueryRunner } from 'typeorm';

/** auditorium-query: its view, and every layout there was. */
export class AuditoriumQuery1795358731075 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "auditorium_view" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "chain" uuid NOT NULL, "cinema" uuid NOT NULL,
      "name" character varying NOT NULL, "layout" jsonb NOT NULL, "layoutVersion" integer NOT NULL, "capacity" integer NOT NULL,
      CONSTRAINT "auditorium_view_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "auditorium_view_name" ON "auditorium_view" (extensions.plain("name"), "id")`);
    await db.query(`CREATE INDEX "auditorium_view_cinema" ON "auditorium_view" ("cinema", extensions.plain("name"), "id")`);
    await db.query(`CREATE TABLE "layout_view" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "auditorium" uuid NOT NULL, "layoutVersion" integer NOT NULL,
      "layout" jsonb NOT NULL, "capacity" integer NOT NULL, "since" TIMESTAMP WITH TIME ZONE NOT NULL,
      CONSTRAINT "layout_view_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "layout_view_auditorium" ON "layout_view" ("auditorium", "layoutVersion")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "layout_view", "auditorium_view"`);
  }
}
