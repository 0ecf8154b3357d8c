import type { MigrationInterface, QueryRunner } from 'typeorm';

/** user-query: users, and what staff did anywhere in the mesh. */
export class UsersQuery1795350000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "user_view" (
      "id" uuid NOT NULL, "version" integer NOT NULL, "removed" boolean NOT NULL DEFAULT false, "email" character varying,
      "address" character varying, "name" character varying, "language" character varying, "roles" character varying array NOT NULL,
      "confirmed" boolean NOT NULL, "disabled" boolean NOT NULL, "erased" boolean, "signedOutAt" TIMESTAMP WITH TIME ZONE,
      CONSTRAINT "PK_user_view" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "user_view_email" ON "user_view" (extensions.plain("email"), "id")`);
    await db.query(`CREATE INDEX "user_view_address" ON "user_view" ("address")`);
    await db.query(`CREATE INDEX "user_view_roles" ON "user_view" USING gin ("roles")`);
    await db.query(
      `CREATE INDEX "user_view_email_search" ON "user_view" USING gin (extensions.plain("email") extensions.gin_trgm_ops)`,
    );
    await db.query(`CREATE TABLE "audit_view" (
      "id" uuid NOT NULL, "version" integer NOT NULL, "removed" boolean NOT NULL DEFAULT false,
      "at" TIMESTAMP WITH TIME ZONE NOT NULL, "who" character varying NOT NULL, "client" character varying,
      "process" character varying NOT NULL, "traceId" character varying, "subject" character varying NOT NULL,
      "subjectId" character varying NOT NULL, "action" character varying NOT NULL, "before" jsonb, "after" jsonb,
      CONSTRAINT "PK_audit_view" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "audit_view_at" ON "audit_view" ("at", "id")`);
    await db.query(`CREATE INDEX "audit_view_who" ON "audit_view" ("who", "at", "id")`);
    await db.query(`CREATE INDEX "audit_view_subject" ON "audit_view" ("subject", "subjectId", "at", "id")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "audit_view", "user_view"`);
  }
}
