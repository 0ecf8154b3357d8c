import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * purchase-command: seats taken in one round trip, for one buyer or for many, each all or none and each with an answer of its own.
 * It holds what `libs/resource/idempotency.ts` promises of repeated requests, and writes the events that `#outbox` sends.
 *
 * In one call no two requests name the same seat, buyer or idempotency key; the caller sees to it.
 */
export class PurchaseHold1795358732339 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE TYPE hold_request AS (n integer, id uuid, event uuid, screening uuid, "screeningVersion" integer,
      seats text[], holder text, "mostHeld" integer, "holdSeconds" integer, body json, "accessKeyHash" text, email text,
      "overAt" timestamptz, by text, lock bigint, scope bytea, request bytea, "keptSeconds" integer, trace text)`);
    await db.query(HOLD);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP FUNCTION purchase_hold(json)');
    await db.query('DROP TYPE hold_request');
  }
}

const ISO = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;

// Sequential scans are forbidden it: a plan made while the tables were empty would be kept while they grow.
const HOLD = `CREATE FUNCTION purchase_hold(requests json) RETURNS TABLE (n integer, outcome text, said json) LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  wanted hold_request[];
  mine integer[];   -- whose idempotency keys nobody else is at work on
  free integer[];   -- who may have what they ask for
  whole integer[];  -- who got all of it
  ns integer[];
  outcomes text[];
  sayings json[];
BEGIN
  SELECT array_agg(r ORDER BY r.n) INTO wanted FROM json_populate_recordset(NULL::hold_request, requests) r;

  -- A key that another connection is at work on is not waited for here.
  SELECT array_agg(w.n) INTO mine FROM unnest(wanted) w WHERE w.lock IS NULL OR pg_try_advisory_xact_lock(w.lock);
  -- What a buyer holds is counted by one call at a time. In order, here as below: no two calls can wait for each other.
  PERFORM pg_advisory_xact_lock(h.key) FROM (
    SELECT DISTINCT hashtextextended('holder:' || w.holder, 0) AS key FROM unnest(wanted) w WHERE w.n = ANY(mine) AND w.holder IS NOT NULL
    ORDER BY 1) h;

  -- A statement of its own, after the locks, so that it sees what was committed before they were had.
  SELECT array_agg(v.n), array_agg(v.outcome), array_agg(CASE v.outcome WHEN 'kept' THEN v.kept WHEN 'taken' THEN v.taken
      WHEN 'too-many-held' THEN to_json(v.unpaid) END), array_agg(v.n) FILTER (WHERE v.outcome = 'free')
    INTO ns, outcomes, sayings, free
  FROM (
    SELECT f.*, CASE
      WHEN NOT f.n = ANY(mine) OR mine IS NULL THEN 'in-flight'
      WHEN NOT (f.kept ->> 'same')::boolean THEN 'reused'
      WHEN f.kept IS NOT NULL THEN 'kept'
      WHEN NOT f.known THEN 'stale'
      WHEN f.unpaid + f.seats > f.most THEN 'too-many-held'
      WHEN f.taken IS NOT NULL THEN 'taken'
      ELSE 'free' END AS outcome
    FROM (
      SELECT w.n, cardinality(w.seats) AS seats, w."mostHeld" AS most,
        (SELECT json_build_object('same', i.request = w.request, 'status', i.status, 'body', i.body) FROM idempotency i
          WHERE i.scope = w.scope AND i."keptAt" > now() - make_interval(secs => w."keptSeconds")) AS kept,
        EXISTS (SELECT 1 FROM known_screening k WHERE k.id = w.screening AND k.version = w."screeningVersion" AND NOT k.removed) AS known,
        CASE WHEN w.holder IS NULL THEN 0 ELSE (SELECT coalesce(sum(jsonb_array_length(p.lines)), 0) FROM purchase p
          WHERE coalesce(p.customer, lower(p.email)) = w.holder AND p.state IN ('held', 'paying') AND p."soldBy" IS NULL
            AND (p.state = 'paying' OR p."heldUntilAt" > now())) END AS unpaid,
        (SELECT json_agg(c.seat) FROM seat_claim c
          WHERE c.screening = w.screening AND c.seat = ANY(w.seats) AND c.until > now()) AS taken
      FROM unnest(wanted) w) f) v;
  RETURN QUERY SELECT u.n, u.outcome, u.said FROM unnest(ns, outcomes, sayings) AS u (n, outcome, said) WHERE u.outcome <> 'free';
  IF free IS NULL THEN RETURN; END IF;

  WITH claimed AS (
    INSERT INTO seat_claim AS c (screening, seat, purchase, until)
    SELECT w.screening, s.seat, w.id, date_trunc('milliseconds', now()) + make_interval(secs => w."holdSeconds")
    FROM unnest(wanted) w CROSS JOIN unnest(w.seats) AS s (seat) WHERE w.n = ANY(free)
    ORDER BY 1, 2
    ON CONFLICT (screening, seat) DO UPDATE SET purchase = excluded.purchase, until = excluded.until WHERE c.until <= now()
    RETURNING c.purchase)
  SELECT array_agg(w.n) INTO whole FROM unnest(wanted) w
    JOIN (SELECT purchase, count(*) AS seats FROM claimed GROUP BY purchase) g ON g.purchase = w.id AND g.seats = cardinality(w.seats);

  -- Somebody else's call was quicker with one of the seats: the others go back.
  IF cardinality(free) <> coalesce(cardinality(whole), 0) THEN
    DELETE FROM seat_claim c USING unnest(wanted) w
      WHERE w.n = ANY(free) AND NOT w.n = ANY(coalesce(whole, '{}')) AND c.screening = w.screening AND c.seat = ANY(w.seats) AND c.purchase = w.id;
    RETURN QUERY SELECT w.n, 'taken', (SELECT json_agg(c.seat) FROM seat_claim c
        WHERE c.screening = w.screening AND c.seat = ANY(w.seats) AND c.until > now())
      FROM unnest(wanted) w WHERE w.n = ANY(free) AND NOT w.n = ANY(coalesce(whole, '{}'));
    IF whole IS NULL THEN RETURN; END IF;
  END IF;

  RETURN QUERY WITH held AS MATERIALIZED (
    SELECT w.*, t.until, to_char(t.until AT TIME ZONE 'UTC', ${ISO}) AS until_text, to_char(now() AT TIME ZONE 'UTC', ${ISO}) AS at_text
    FROM unnest(wanted) w
    CROSS JOIN LATERAL (SELECT date_trunc('milliseconds', now()) + make_interval(secs => w."holdSeconds") AS until) t
    WHERE w.n = ANY(whole)
  ), said AS MATERIALIZED (
    -- The times are the database's, so they are put in front of what the caller says of the rest.
    SELECT h.n, s.history, '"heldUntilAt":"' || h.until_text || '","history":' || s.history || ',' || substr(h.body::text, 2) AS rest
    FROM held h CROSS JOIN LATERAL (SELECT '[{"at":"' || h.at_text || '","what":"held"'
      || coalesce(',"by":' || to_json(h.by)::text, '') || '}]' AS history) s
  ), sold AS (
    INSERT INTO purchase (id, version, chain, cinema, screening, customer, "accessKeyHash", "soldBy", state, lines, "totalMinor",
      "taxMinor", tax, currency, "heldUntilAt", show, history, email, "overAt")
    SELECT h.id, 1, b.chain, b.cinema, h.screening, b.customer, h."accessKeyHash", b."soldBy", 'held', b.lines, b."totalMinor",
      b."taxMinor", b.tax, b.currency, h.until, b.show, s.history::jsonb, h.email, h."overAt"
    FROM held h JOIN said s ON s.n = h.n CROSS JOIN LATERAL json_to_record(h.body) AS b (chain uuid, cinema uuid, customer text,
      "soldBy" text, lines jsonb, "totalMinor" integer, "taxMinor" integer, tax jsonb, currency text, show jsonb)
  ), told AS (
    INSERT INTO outbox (id, name, key, version, body, trace_id)
    SELECT h.event, 'purchase.held', h.id::text, 1, ('{' || coalesce('"accessKeyHash":' || to_json(h."accessKeyHash")::text || ',', '')
      || s.rest)::json, h.trace
    FROM held h JOIN said s ON s.n = h.n ORDER BY h.n
  ), kept AS (
    INSERT INTO idempotency (scope, request, status, headers, body)
    SELECT h.scope, h.request, 201, json_build_object('etag', '"1"', 'location', '/api/purchases/' || h.id),
      ('{"id":"' || h.id || '","version":1,' || s.rest)::json
    FROM held h JOIN said s ON s.n = h.n WHERE h.scope IS NOT NULL
    ON CONFLICT (scope) DO UPDATE SET request = excluded.request, status = excluded.status, headers = excluded.headers,
      body = excluded.body, "keptAt" = now()
  )
  SELECT h.n, 'held', json_build_object('at', h.at_text, 'heldUntilAt', h.until_text) FROM held h;
END $$`;
