import type { MigrationInterface, QueryRunner } from 'typeorm';

/** customer-command: its table, dated consents, points by purchase, what staff did to it, and the answers kept for requests that come twice. */
export class CustomerCommand1795358733232 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "customer" ("id" uuid NOT NULL, "version" integer NOT NULL,
      "name" character varying, "phone" character varying, "language" character varying, "consents" jsonb NOT NULL,
      "points" integer NOT NULL DEFAULT 0, "erased" boolean, "own" character varying array NOT NULL DEFAULT '{}',
      "userVersion" integer NOT NULL, CONSTRAINT "customer_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE TABLE "customer_consent" ("id" uuid NOT NULL, "customer" uuid NOT NULL,
      "consent" character varying NOT NULL, "given" boolean NOT NULL, "at" TIMESTAMP WITH TIME ZONE NOT NULL,
      CONSTRAINT "customer_consent_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "customer_consent_customer" ON "customer_consent" ("customer")`);
    await db.query(`CREATE TABLE "customer_points" ("purchase" uuid NOT NULL, "customer" uuid NOT NULL,
      "points" integer NOT NULL, "version" integer NOT NULL, CONSTRAINT "customer_points_key" PRIMARY KEY ("purchase"))`);
    await db.query(`CREATE INDEX "customer_points_customer" ON "customer_points" ("customer")`);
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
    await db.query(`DROP TABLE "idempotency", "audit_record", "customer_points", "customer_consent", "customer"`);
  }
}
