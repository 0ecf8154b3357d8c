import type { MigrationInterface, QueryRunner } from 'typeorm';

export class MoviesQuery1795330000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "movie_view" (
      "id" uuid NOT NULL, "version" integer NOT NULL, "removed" boolean NOT NULL DEFAULT false,
      "title" character varying NOT NULL, "minutes" integer, "rating" character varying, "releaseOn" date NOT NULL,
      "genres" character varying array NOT NULL, "director" character varying, "synopsis" character varying,
      "retired" boolean NOT NULL, CONSTRAINT "PK_movie_view" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "movie_view_title" ON "movie_view" (extensions.plain("title"), "id")`);
    await db.query(`CREATE INDEX "movie_view_release" ON "movie_view" ("releaseOn", "id")`);
    await db.query(`CREATE INDEX "movie_view_genres" ON "movie_view" USING gin ("genres")`);
    // Trigrams of the title without accents and case: what forgives typing errors.
    await db.query(
      `CREATE INDEX "movie_view_title_search" ON "movie_view" USING gin (extensions.plain("title") extensions.gin_trgm_ops)`,
    );
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "movie_view"`);
  }
}
