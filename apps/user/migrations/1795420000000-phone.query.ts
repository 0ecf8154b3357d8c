import type { MigrationInterface, QueryRunner } from 'typeorm';

/** user-query: the telephone number of who was brought from elsewhere. */
export class PhoneQuery1795420000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE "user_view" ADD "phone" character varying`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE "user_view" DROP COLUMN "phone"`);
  }
}
