import type { MigrationInterface, QueryRunner } from 'typeorm';

export class MoviesCommand1795330000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "movie" (
      "id" uuid NOT NULL, "version" integer NOT NULL, "title" character varying NOT NULL, "minutes" integer,
      "rating" character varying, "releaseOn" date NOT NULL, "genres" character varying array NOT NULL DEFAULT '{}',
      "director" character varying, "synopsis" character varying, "retired" boolean NOT NULL DEFAULT false,
      CONSTRAINT "movie_title_release" UNIQUE ("title", "releaseOn"), CONSTRAINT "PK_movie" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "idempotency" (
      "scope" bytea NOT NULL, "request" bytea NOT NULL, "status" integer NOT NULL, "headers" json NOT NULL, "body" json,
      "keptAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), CONSTRAINT "PK_idempotency" PRIMARY KEY ("scope"))`);
    await db.query(`CREATE INDEX "idempotency_kept" ON "idempotency" ("keptAt")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "idempotency"`);
    await db.query(`DROP TABLE "movie"`);
  }
}
