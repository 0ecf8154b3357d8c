import type { MigrationInterface, QueryRunner } from 'typeorm';

/** movie-command: what staff did to films. */
export class Audit1795350000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "audit_record" (
      "id" uuid NOT NULL, "version" integer NOT NULL, "at" TIMESTAMP WITH TIME ZONE NOT NULL, "who" character varying NOT NULL,
      "client" character varying, "process" character varying NOT NULL, "traceId" character varying,
      "subject" character varying NOT NULL, "subjectId" character varying NOT NULL, "action" character varying NOT NULL,
      "before" jsonb, "after" jsonb, CONSTRAINT "PK_audit_record" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "audit_record_of_subject" ON "audit_record" ("subject", "subjectId")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "audit_record"`);
  }
}
