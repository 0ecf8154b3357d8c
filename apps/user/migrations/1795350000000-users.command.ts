import type { MigrationInterface, QueryRunner } from 'typeorm';

/** user-command: accounts, the e-mails to send and the links in them, what staff did, and answers kept for repeated requests. */
export class UsersCommand1795350000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "account" (
      "id" uuid NOT NULL, "version" integer NOT NULL, "email" character varying, "name" character varying,
      "language" character varying, "roles" character varying array NOT NULL, "confirmed" boolean NOT NULL,
      "disabled" boolean NOT NULL DEFAULT false, "erased" boolean, "signedOutAt" character varying,
      "passwordHash" character varying, CONSTRAINT "PK_account" PRIMARY KEY ("id"))`);
    await db.query(`CREATE UNIQUE INDEX "account_email" ON "account" (lower("email"))`);
    await db.query(`CREATE TABLE "link" (
      "hash" bytea NOT NULL, "kind" character varying NOT NULL, "userId" uuid NOT NULL,
      "madeAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), "expiresAt" TIMESTAMP WITH TIME ZONE NOT NULL,
      CONSTRAINT "PK_link" PRIMARY KEY ("hash"))`);
    await db.query(`CREATE INDEX "link_user" ON "link" ("userId")`);
    await db.query(`CREATE TABLE "mail" (
      "id" uuid NOT NULL, "kind" character varying NOT NULL, "userId" uuid, "tries" integer NOT NULL DEFAULT 0,
      "writtenAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), "dueAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
      CONSTRAINT "PK_mail" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "mail_due" ON "mail" ("dueAt")`);
    await db.query(`CREATE TABLE "audit_record" (
      "id" uuid NOT NULL, "version" integer NOT NULL, "at" TIMESTAMP WITH TIME ZONE NOT NULL, "who" character varying NOT NULL,
      "client" character varying, "process" character varying NOT NULL, "traceId" character varying,
      "subject" character varying NOT NULL, "subjectId" character varying NOT NULL, "action" character varying NOT NULL,
      "before" jsonb, "after" jsonb, CONSTRAINT "PK_audit_record" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "audit_record_of_subject" ON "audit_record" ("subject", "subjectId")`);
    await db.query(`CREATE TABLE "idempotency" (
      "scope" bytea NOT NULL, "request" bytea NOT NULL, "status" integer NOT NULL, "headers" json NOT NULL, "body" json,
      "keptAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), CONSTRAINT "PK_idempotency" PRIMARY KEY ("scope"))`);
    await db.query(`CREATE INDEX "idempotency_kept" ON "idempotency" ("keptAt")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "idempotency", "audit_record", "mail", "link", "account"`);
  }
}
