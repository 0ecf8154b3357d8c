import type { MigrationInterface, QueryRunner } from 'typeorm';

/** screening-command: its table, what it learns, what staff did, and the answers kept for requests that come twice. */
export class ScreeningCommand1795358731731 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "screening" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "chain" uuid NOT NULL, "cinema" uuid NOT NULL, "auditorium" uuid NOT NULL, "movie" uuid NOT NULL,
      "title" character varying NOT NULL, "minutes" integer NOT NULL, "rating" character varying,
      "cinemaName" character varying NOT NULL, "city" character varying NOT NULL, "auditoriumName" character varying NOT NULL,
      "timeZone" character varying NOT NULL, "currency" character varying NOT NULL, "tax" jsonb NOT NULL,
      "startAt" TIMESTAMP WITH TIME ZONE NOT NULL, "endAt" TIMESTAMP WITH TIME ZONE NOT NULL,
      "language" character varying NOT NULL, "subtitles" character varying, "format" character varying NOT NULL,
      "layout" jsonb NOT NULL, "layoutVersion" integer NOT NULL, "capacity" integer NOT NULL,
      "prices" jsonb NOT NULL, "policy" jsonb NOT NULL,
      "cancelledAt" TIMESTAMP WITH TIME ZONE, "cancelReason" character varying, "busy" tstzrange NOT NULL,
      CONSTRAINT "screening_busy" EXCLUDE USING gist ("auditorium" WITH =, "busy" WITH &&) WHERE ("cancelledAt" IS NULL),
      CONSTRAINT "screening_key" PRIMARY KEY ("id"))`);
    await this.known(db);
    await db.query(`CREATE TABLE "audit_record" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "at" TIMESTAMP WITH TIME ZONE NOT NULL, "who" character varying NOT NULL, "client" character varying,
      "process" character varying NOT NULL, "traceId" character varying, "subject" character varying NOT NULL,
      "subjectId" character varying NOT NULL, "action" character varying NOT NULL, "before" jsonb, "after" jsonb,
      CONSTRAINT "audit_record_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "audit_record_of_subject" ON "audit_record" ("subject", "subjectId")`);
    await db.query(`CREATE TABLE "idempotency" ("scope" bytea NOT NULL, "request" bytea NOT NULL, "status" integer NOT NULL,
      "headers" json NOT NULL, "body" json, "keptAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
      CONSTRAINT "idempotency_key" PRIMARY KEY ("scope"))`);
    await db.query(`CREATE INDEX "idempotency_kept" ON "idempotency" ("keptAt")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "idempotency", "audit_record", "staff", "known_chain", "known_cinema", "known_auditorium",
      "known_movie", "screening"`);
  }

  private async known(db: QueryRunner): Promise<void> {
    const learnt = '"id" uuid NOT NULL, "version" integer NOT NULL, "removed" boolean NOT NULL DEFAULT false';
    await db.query(`CREATE TABLE "known_movie" (${learnt}, "title" character varying NOT NULL, "minutes" integer,
      "rating" character varying, "retired" boolean NOT NULL, CONSTRAINT "known_movie_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "known_auditorium" (${learnt}, "cinema" uuid NOT NULL, "name" character varying NOT NULL,
      "layout" jsonb NOT NULL, "layoutVersion" integer NOT NULL, "capacity" integer NOT NULL,
      CONSTRAINT "known_auditorium_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "known_cinema" (${learnt}, "chain" uuid NOT NULL, "name" character varying NOT NULL,
      "city" character varying NOT NULL, "timeZone" character varying NOT NULL, "currency" character varying NOT NULL,
      "tax" jsonb NOT NULL, "priceCard" jsonb NOT NULL, CONSTRAINT "known_cinema_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "known_chain" (${learnt}, "policy" jsonb NOT NULL,
      CONSTRAINT "known_chain_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "staff" (${learnt}, "user" uuid NOT NULL, "role" character varying NOT NULL,
      "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL, CONSTRAINT "staff_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "staff_user" ON "staff" ("user")`);
  }
}
