import type { MigrationInterface, QueryRunner } from 'typeorm';

/** purchase-command: purchases and their seats, what it knows of screenings and staff, the ledger, what staff did, and kept answers. */
export class PurchaseCommand1795358732338 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await purchases(db);
    await knowledge(db);
    await ledger(db);
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
    await db.query(`DROP TABLE "idempotency", "audit_record", "receipt_counter", "ledger_entry", "staff", "known_screening",
      "seat_claim", "purchase"`);
    await db.query('DROP FUNCTION ledger_keep(), ledger_balance()');
  }
}

async function purchases(db: QueryRunner): Promise<void> {
  await db.query(`CREATE TABLE "purchase" ("id" uuid NOT NULL, "version" integer NOT NULL, "chain" uuid NOT NULL,
    "cinema" uuid NOT NULL, "screening" uuid NOT NULL, "customer" character varying, "accessKeyHash" character varying,
    "soldBy" character varying, "state" character varying NOT NULL, "lines" jsonb NOT NULL, "totalMinor" integer NOT NULL,
    "taxMinor" integer NOT NULL, "tax" jsonb NOT NULL, "currency" character varying NOT NULL,
    "heldUntilAt" TIMESTAMP WITH TIME ZONE NOT NULL, "payment" jsonb, "receipt" integer, "paidAt" TIMESTAMP WITH TIME ZONE,
    "tickets" jsonb, "refund" jsonb, "exchangedFor" uuid, "exchangeOf" uuid, "show" jsonb NOT NULL, "history" jsonb NOT NULL,
    "email" character varying, "overAt" TIMESTAMP WITH TIME ZONE NOT NULL, "late" jsonb NOT NULL DEFAULT '[]', "payRequest" jsonb,
    CONSTRAINT "purchase_key" PRIMARY KEY ("id"))`);
  // What one buyer has unpaid; the box office sells to many.
  await db.query(`CREATE INDEX "purchase_unpaid" ON "purchase" (coalesce("customer", lower("email")))
    WHERE "state" IN ('held', 'paying') AND "soldBy" IS NULL`);
  await db.query(`CREATE INDEX "purchase_lapsing" ON "purchase" ("heldUntilAt") WHERE "state" = 'held'`);
  await db.query(`CREATE INDEX "purchase_of_screening" ON "purchase" ("screening", "id") WHERE "state" IN ('held', 'paid')`);
  await db.query(`CREATE INDEX "purchase_ticket" ON "purchase" USING gin ("tickets" jsonb_path_ops) WHERE "tickets" IS NOT NULL`);
  await db.query(`CREATE INDEX "purchase_email" ON "purchase" ("overAt") WHERE "email" IS NOT NULL`);
  // Room for the new version of a row beside the old one: a claim changes hands without a word to the index.
  await db.query(`CREATE TABLE "seat_claim" ("screening" uuid NOT NULL, "seat" character varying NOT NULL, "purchase" uuid NOT NULL,
    "until" TIMESTAMP WITH TIME ZONE NOT NULL, CONSTRAINT "seat_claim_key" PRIMARY KEY ("screening", "seat")) WITH (fillfactor = 80)`);
}

async function knowledge(db: QueryRunner): Promise<void> {
  await db.query(`CREATE TABLE "known_screening" ("id" uuid NOT NULL, "version" integer NOT NULL, "removed" boolean NOT NULL DEFAULT false,
    "cinema" uuid NOT NULL, "startAt" TIMESTAMP WITH TIME ZONE NOT NULL, "cancelled" boolean NOT NULL, "state" jsonb NOT NULL,
    CONSTRAINT "known_screening_key" PRIMARY KEY ("id"))`);
  await db.query(`CREATE INDEX "known_screening_cancelled" ON "known_screening" ("id") WHERE "cancelled"`);
  await db.query(`CREATE TABLE "staff" ("id" uuid NOT NULL, "version" integer NOT NULL, "removed" boolean NOT NULL DEFAULT false,
    "user" uuid NOT NULL, "role" character varying NOT NULL, "chain" uuid NOT NULL, "cinemas" uuid array NOT NULL,
    CONSTRAINT "staff_key" PRIMARY KEY ("id"))`);
  await db.query(`CREATE INDEX "staff_user" ON "staff" ("user")`);
}

async function ledger(db: QueryRunner): Promise<void> {
  await db.query(`CREATE TABLE "ledger_entry" ("id" uuid NOT NULL, "posting" uuid NOT NULL, "purchase" uuid NOT NULL,
    "screening" uuid NOT NULL, "cinema" uuid NOT NULL, "at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    "kind" character varying NOT NULL, "account" character varying NOT NULL, "amountMinor" integer NOT NULL,
    "currency" character varying NOT NULL, CONSTRAINT "ledger_entry_key" PRIMARY KEY ("id"))`);
  await db.query(`CREATE INDEX "ledger_entry_posting" ON "ledger_entry" ("posting")`);
  await db.query(`CREATE INDEX "ledger_entry_purchase" ON "ledger_entry" ("purchase")`);
  // The last word is the database's: what does not balance cannot be committed, and what is written stays as it is.
  await db.query(`CREATE FUNCTION ledger_balance() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF EXISTS (SELECT 1 FROM ledger_entry e WHERE e.posting = NEW.posting GROUP BY e.currency HAVING sum(e."amountMinor") <> 0) THEN
        RAISE EXCEPTION 'posting % does not balance', NEW.posting USING ERRCODE = 'check_violation';
      END IF;
      RETURN NULL;
    END $$`);
  await db.query(`CREATE CONSTRAINT TRIGGER ledger_balances AFTER INSERT ON "ledger_entry" DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ledger_balance()`);
  await db.query(`CREATE FUNCTION ledger_keep() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'entries of the ledger are for ever: write another that takes it back' USING ERRCODE = 'check_violation';
    END $$`);
  await db.query(`CREATE TRIGGER ledger_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON "ledger_entry"
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep()`);
  await db.query(`CREATE TABLE "receipt_counter" ("cinema" uuid NOT NULL, "kind" character varying NOT NULL, "last" integer NOT NULL,
    CONSTRAINT "receipt_counter_key" PRIMARY KEY ("cinema", "kind"))`);
}
