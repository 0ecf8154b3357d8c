import type { MigrationInterface, QueryRunner } from 'typeorm';

/** user-command: what an e-mail is about has the name that every process's queue gives it. */
export class UserMail1795400000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE "mail" RENAME COLUMN "userId" TO "about"`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE "mail" RENAME COLUMN "about" TO "userId"`);
  }
}
