import type { MigrationInterface, QueryRunner } from 'typeorm';

/** user-command: the telephone number of who was brought from elsewhere. */
export class PhoneCommand1795420000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE "account" ADD "phone" character varying`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE "account" DROP COLUMN "phone"`);
  }
}
