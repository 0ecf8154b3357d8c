import type { MigrationInterface, QueryRunner } from 'typeorm';

/** purchase-command: the e-mails to send. */
export class PurchaseMail1795362000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "mail" (
      "id" uuid NOT NULL, "kind" character varying NOT NULL, "about" uuid, "tries" integer NOT NULL DEFAULT 0,
      "writtenAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), "dueAt" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
      CONSTRAINT "mail_key" PRIMARY KEY ("id"))`);
    await db.query(`CREATE INDEX "mail_due" ON "mail" ("dueAt")`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE "mail"`);
  }
}
