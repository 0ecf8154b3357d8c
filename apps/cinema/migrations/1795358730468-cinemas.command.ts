import type { MigrationInterface, QueryRunner } from 'typeorm';

/** cinema-command: its table, the chains, screenings and staff it knows of, what staff did, and the answers kept for requests that come twice. */
export class CinemaCommand1795358730468 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "cinema" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "chain" uuid NOT NULL, "name" character varying NOT NULL, "city" character varying NOT NULL,
      "country" character varying NOT NULL, "address" character varying NOT NULL, "position" jsonb NOT NULL,
      "timeZone" character varying NOT NULL, "currency" character varying NOT NULL, "tax" jsonb NOT NULL,
      "amenities" character varying array NOT NULL, "priceCard" jsonb NOT NULL,
      CONSTRAINT "cinema_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "known_chain" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, CONSTRAINT "known_chain_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "known_screening" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "cinema" uuid NOT NULL, "endAt" TIMESTAMP WITH TIME ZONE NOT NULL,
      "cancelledAt" TIMESTAMP WITH TIME ZONE, CONSTRAINT "known_screening_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "known_screening_cinema" ON "known_screening" ("cinema", "endAt")`);
    await db.query(`CREATE TABLE "staff" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "user" uuid NOT NULL, "role" character varying NOT NULL,
      "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL, CONSTRAINT "staff_key" PRIMARY KEY ("id"))`);
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
    await db.query(`DROP TABLE "idempotency", "audit_record", "staff", "known_screening", "known_chain", "cinema"`);
  }
}
