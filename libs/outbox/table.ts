import { Column, Entity, type MigrationInterface, PrimaryColumn, type QueryRunner } from 'typeorm';

/** An event that was written with its row and not sent yet. */
@Entity('outbox')
export class OutboxRow {
  /** Drawn while the row's own lock is held, so it is in order for each key. */
  @PrimaryColumn('bigint', { generated: 'identity', generatedIdentity: 'ALWAYS' }) seq: string;
  @Column('uuid') id: string;
  @Column('text') name: string;
  @Column('text') key: string;
  @Column('integer') version: number;
  @Column('json') body: unknown;
  @Column('text', { name: 'trace_id', nullable: true }) traceId: string | null;
  @Column('timestamptz', { default: () => 'now()' }) at: Date;
}

/** The outbox of a process. */
export class Outbox1700000000000 implements MigrationInterface {
  name = 'Outbox1700000000000';

  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TABLE "outbox" (
      "seq" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
      "id" uuid NOT NULL,
      "name" text NOT NULL,
      "key" text NOT NULL,
      "version" integer NOT NULL,
      "body" json NOT NULL,
      "trace_id" text,
      "at" timestamp with time zone NOT NULL DEFAULT now(),
      PRIMARY KEY ("seq")
    )`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE "outbox"');
  }
}
