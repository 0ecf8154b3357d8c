import type { MigrationInterface, QueryRunner } from 'typeorm';

/** purchase-command: what others sold is known by their reference, once in a cinema. */
export class Elsewhere1795363000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    // What was taken in exchange for it keeps its payment.
    await db.query(`CREATE UNIQUE INDEX "purchase_elsewhere" ON "purchase" ("cinema", (payment ->> 'reference'))
      WHERE payment ->> 'provider' = 'elsewhere' AND "exchangeOf" IS NULL`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP INDEX "purchase_elsewhere"`);
  }
}
