import type { MigrationInterface, QueryRunner } from 'typeorm';

/** cinema-query: its view, and the screenings on its boards. */
export class CinemaQuery1795358730468 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "cinema_view" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "chain" uuid NOT NULL, "name" character varying NOT NULL,
      "city" character varying NOT NULL, "country" character varying NOT NULL, "address" character varying NOT NULL,
      "position" jsonb NOT NULL, "latitude" double precision NOT NULL, "longitude" double precision NOT NULL,
      "timeZone" character varying NOT NULL, "currency" character varying NOT NULL, "tax" jsonb NOT NULL,
      "amenities" character varying array NOT NULL, "priceCard" jsonb NOT NULL,
      CONSTRAINT "cinema_view_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "cinema_view_name" ON "cinema_view" (extensions.plain("name"), "id")`);
    await db.query(`CREATE INDEX "cinema_view_city" ON "cinema_view" (extensions.plain("city"), "id")`);
    await db.query(`CREATE INDEX "cinema_view_chain" ON "cinema_view" ("chain")`);
    await db.query(
      `CREATE INDEX "cinema_view_name_search" ON "cinema_view" USING gin (extensions.plain("name") extensions.gin_trgm_ops)`,
    );
    await db.query(`CREATE TABLE "known_screening" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "cinema" uuid NOT NULL, "startAt" TIMESTAMP WITH TIME ZONE NOT NULL,
      "movie" uuid NOT NULL, "title" character varying NOT NULL, "minutes" integer NOT NULL, "rating" character varying,
      "auditoriumName" character varying NOT NULL, "format" character varying NOT NULL, "language" character varying NOT NULL,
      "subtitles" character varying, "cancelledAt" TIMESTAMP WITH TIME ZONE,
      CONSTRAINT "known_screening_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "known_screening_cinema" ON "known_screening" ("cinema", "startAt")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "known_screening", "cinema_view"`);
  }
}
