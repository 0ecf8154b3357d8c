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

/**
 * Sends what waits to the log in the same database, in order, in one round trip: a stream of single events costs no more than it must.
 * Instances take turns by the lock; each statement of the function sees what was committed before it.
 */
export class OutboxSend1795400000000 implements MigrationInterface {
  name = 'OutboxSend1795400000000';

  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE FUNCTION outbox_send(process text, max_events integer) RETURNS integer LANGUAGE plpgsql AS $$
      DECLARE
        sent integer;
      BEGIN
        -- What leaves here and what enters the log are lost together in a crash, and sent again.
        PERFORM set_config('synchronous_commit', 'off', true);
        PERFORM pg_advisory_xact_lock(hashtextextended('outbox:' || process, 0));
        -- As lists: as JSON each event would be written and read once more.
        WITH gone AS (DELETE FROM outbox WHERE seq IN (SELECT o.seq FROM outbox o ORDER BY o.seq LIMIT max_events) RETURNING *),
        appended AS (
          SELECT count(*) AS events, bus.append_lists(array_agg(g.id), array_agg(g.name), array_agg(g.key), array_agg(g.version),
            array_agg(g.body), array_agg(g.trace_id), array_agg(g.at))
          FROM (SELECT * FROM gone ORDER BY seq) AS g HAVING count(*) > 0)
        SELECT coalesce(sum(events), 0) INTO sent FROM appended;
        RETURN sent;
      END $$`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP FUNCTION outbox_send(text, integer)');
  }
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
