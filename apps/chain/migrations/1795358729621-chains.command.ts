import type { MigrationInterface, QueryRunner } from 'typeorm';

/** chain-command: its table, the cinemas and the staff it knows of, what staff did, and the answers kept for requests that come twice. */
export class ChainCommand1795358729621 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "chain" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "name" character varying NOT NULL, "holdSeconds" integer NOT NULL, "seatsPerPurchase" integer NOT NULL,
      "seatsHeldAtOnce" integer NOT NULL, "refundUntilMinutes" integer NOT NULL,
      CONSTRAINT "chain_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE UNIQUE INDEX "chain_name" ON "chain" (lower("name"))`);
    await db.query(`CREATE TABLE "known_cinema" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "removed" boolean NOT NULL DEFAULT false, "chain" uuid NOT NULL, CONSTRAINT "known_cinema_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "known_cinema_chain" ON "known_cinema" ("chain")`);
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
    await db.query(`DROP TABLE "idempotency", "audit_record", "staff", "known_cinema", "chain"`);
  }
}
