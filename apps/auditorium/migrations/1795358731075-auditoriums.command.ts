import type { MigrationInterface, QueryRunner } from 'typeorm';

/** auditorium-command: its table, what it knows of others, what staff did to it, and the answers kept for requests that come twice. */
export class AuditoriumCommand1795358731075 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "auditorium" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "chain" uuid NOT NULL, "cinema" uuid NOT NULL, "name" character varying NOT NULL, "layout" jsonb NOT NULL,
      "layoutVersion" integer NOT NULL, "capacity" integer NOT NULL, CONSTRAINT "auditorium_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE UNIQUE INDEX "auditorium_name" ON "auditorium" ("cinema", lower("name"))`);
    await db.query(`CREATE TABLE "known_cinema" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "chain" uuid NOT NULL, CONSTRAINT "known_cinema_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "known_screening" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "auditorium" uuid NOT NULL, "endAt" TIMESTAMP WITH TIME ZONE NOT NULL,
      "cancelled" boolean NOT NULL, CONSTRAINT "known_screening_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "known_screening_auditorium" ON "known_screening" ("auditorium")`);
    await db.query(`CREATE TABLE "staff" ("id" uuid NOT NULL, "version" integer NOT NULL, "removed" boolean NOT NULL DEFAULT false,
      "user" uuid NOT NULL, "role" character varying NOT NULL, "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL,
      CONSTRAINT "staff_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "staff_user" ON "staff" ("user")`);
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
    await db.query(`DROP TABLE "idempotency", "audit_record", "staff", "known_screening", "known_cinema", "auditorium"`);
  }
}
