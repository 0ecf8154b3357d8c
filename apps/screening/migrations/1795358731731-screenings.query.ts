import type { MigrationInterface, QueryRunner } from 'typeorm';

/** screening-query: its view, which purchases have which seats, and the versions of its seat maps. */
export class ScreeningQuery1795358731731 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "screening_view" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "chain" uuid NOT NULL, "cinema" uuid NOT NULL, "auditorium" uuid NOT NULL,
      "movie" uuid NOT NULL, "title" character varying NOT NULL, "minutes" integer NOT NULL, "rating" character varying,
      "cinemaName" character varying NOT NULL, "city" character varying NOT NULL, "auditoriumName" character varying NOT NULL,
      "timeZone" character varying NOT NULL, "currency" character varying NOT NULL, "tax" jsonb NOT NULL,
      "startAt" TIMESTAMP WITH TIME ZONE NOT NULL, "endAt" TIMESTAMP WITH TIME ZONE NOT NULL,
      "language" character varying NOT NULL, "subtitles" character varying, "format" character varying NOT NULL,
      "layout" jsonb NOT NULL, "layoutVersion" integer NOT NULL, "capacity" integer NOT NULL, "prices" jsonb NOT NULL,
      "policy" jsonb NOT NULL, "cancelled" boolean NOT NULL, "cancelledAt" TIMESTAMP WITH TIME ZONE,
      "cancelReason" character varying, CONSTRAINT "screening_view_key" PRIMARY KEY ("id"))`);
    for (const column of ['cinema', 'city', 'movie', 'auditorium'])
      await db.query(`CREATE INDEX "screening_view_${column}" ON "screening_view" ("${column}", "startAt", "id")`);
    await db.query(`CREATE INDEX "screening_view_start" ON "screening_view" ("startAt", "id")`);
    await db.query(`CREATE INDEX "screening_view_title" ON "screening_view" (extensions.plain("title"), "id")`);
    // Trigrams of the title without accents and case: what forgives typing errors.
    await db.query(
      `CREATE INDEX "screening_view_title_search" ON "screening_view" USING gin (extensions.plain("title") extensions.gin_trgm_ops)`,
    );
    await db.query(`CREATE TABLE "seat_taken" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "screening" uuid NOT NULL, "seats" character varying array NOT NULL,
      "state" character varying NOT NULL, "until" TIMESTAMP WITH TIME ZONE, "told" character varying, "stamp" bigint,
      CONSTRAINT "seat_taken_key" PRIMARY KEY ("id"))`);
    // Those that a map shows, and those of which it does not know yet that they are gone.
    await db.query(`CREATE INDEX "seat_taken_now" ON "seat_taken" ("screening")
      WHERE "state" <> 'free' OR "stamp" IS NULL OR "told" <> 'free'`);
    await db.query(`CREATE INDEX "seat_taken_stamp" ON "seat_taken" ("screening", "stamp")`);
    await db.query(`CREATE TABLE "seat_map" ("screening" uuid NOT NULL, "version" bigint NOT NULL,
      CONSTRAINT "seat_map_key" PRIMARY KEY ("screening"))`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "seat_map", "seat_taken", "screening_view"`);
  }
}
