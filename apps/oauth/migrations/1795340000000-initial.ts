import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Initial1795340000000 implements MigrationInterface {
  name = 'Initial1795340000000';

  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "oidc_record" (
      "model" character varying NOT NULL, "id" character varying NOT NULL, "payload" jsonb NOT NULL,
      "grant_id" character varying, "uid" character varying, "user_code" character varying, "account_id" character varying,
      "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), "expires_at" TIMESTAMP WITH TIME ZONE,
      "consumed_at" TIMESTAMP WITH TIME ZONE, CONSTRAINT "PK_oidc_record" PRIMARY KEY ("model", "id"))`);
    await db.query(`CREATE INDEX "oidc_record_grant" ON "oidc_record" ("grant_id")`);
    await db.query(`CREATE INDEX "oidc_record_uid" ON "oidc_record" ("uid")`);
    await db.query(`CREATE INDEX "oidc_record_account" ON "oidc_record" ("account_id")`);
    await db.query(`CREATE INDEX "oidc_record_expiry" ON "oidc_record" ("expires_at")`);
    await db.query(`CREATE TABLE "revocation" (
      "seq" bigint GENERATED ALWAYS AS IDENTITY NOT NULL, "id" character varying NOT NULL,
      "at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), CONSTRAINT "PK_revocation" PRIMARY KEY ("seq"))`);
    await db.query(`CREATE INDEX "revocation_at" ON "revocation" ("at")`);
    await db.query(`CREATE TABLE "signing_key" (
      "kid" character varying NOT NULL, "sealed" text NOT NULL, "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
      "signs_at" TIMESTAMP WITH TIME ZONE NOT NULL, CONSTRAINT "PK_signing_key" PRIMARY KEY ("kid"))`);
    await db.query(`CREATE TABLE "throttle" (
      "key" character varying NOT NULL, "points" integer NOT NULL DEFAULT '0', "expire" bigint,
      CONSTRAINT "PK_throttle" PRIMARY KEY ("key"))`);
    await db.query(`CREATE INDEX "throttle_expiry" ON "throttle" ("expire")`);
  }

  async down(db: QueryRunner): Promise<void> {
    for (const table of ['throttle', 'signing_key', 'revocation', 'oidc_record']) await db.query(`DROP TABLE "${table}"`);
  }
}
