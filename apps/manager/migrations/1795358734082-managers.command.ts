import type { MigrationInterface, QueryRunner } from 'typeorm';

/** manager-command: its table, the chains, cinemas and users it knows of, what staff did, and the answers kept for requests that come twice. */
export class ManagerCommand1795358734082 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "manager" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "user" uuid NOT NULL, "role" character varying NOT NULL, "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL,
      CONSTRAINT "manager_user" UNIQUE ("user"), CONSTRAINT "manager_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "known_chain" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, CONSTRAINT "known_chain_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "known_cinema" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "chain" uuid NOT NULL, CONSTRAINT "known_cinema_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "known_user" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "administrates" boolean NOT NULL,
      CONSTRAINT "known_user_key" PRIMARY KEY ("id"))`);
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
    await db.query(`DROP TABLE "idempotency", "audit_record", "staff", "known_user", "known_cinema", "known_chain", "manager"`);
  }
}
