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
      seats text[], holder text, "mostHeld" integer, "holdSeconds" integer, chain uuid, cinema uuid, customer text, "soldBy" text,
      "totalMinor" integer, "taxMinor" integer, currency text, body json, lines json, tax json, show json, "accessKeyHash" text, email text,
      "overAt" timestamptz, by text, lock bigint, scope bytea, request bytea, "keptSeconds" integer, trace text)`);
    await db.query(HOLD);
    await db.query(HOLD_ONE);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP FUNCTION purchase_hold_one(json), purchase_hold(json)');
    await db.query('DROP TYPE hold_request');
  }
}

const ISO = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;

// Sequential scans are forbidden them: a plan made while the tables were empty would be kept while they grow.

// The same for one alone, who pays for no joint statement: half of the work of a call of one.
const HOLD_ONE = `CREATE FUNCTION purchase_hold_one(wish json, OUT n integer, OUT outcome text, OUT said json) LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  w hold_request := json_populate_record(NULL::hold_request, wish);
  kept json;
  known boolean;
  unpaid bigint;
  taken json;
  claimed integer;
  until timestamptz := date_trunc('milliseconds', now()) + make_interval(secs => w."holdSeconds");
  at_text text := to_char(now() AT TIME ZONE 'UTC', ${ISO});
  until_text text := to_char(until AT TIME ZONE 'UTC', ${ISO});
  history text := '[{"at":"' || at_text || '","what":"held"' || coalesce(',"by":' || to_json(w."by")::text, '') || '}]';
  rest text;
BEGIN
  n := w.n;
  outcome := 'in-flight';
  IF NOT pg_try_advisory_xact_lock(w.lock) THEN RETURN; END IF;
  IF w.holder IS NOT NULL THEN PERFORM pg_advisory_xact_lock(hashtextextended('holder:' || w.holder, 0)); END IF;

  -- A statement of its own, after the locks.
  SELECT
    (SELECT json_build_object('same', i.request = w.request, 'status', i.status, 'body', i.body) FROM idempotency i
      WHERE i.scope = w.scope AND i."keptAt" > now() - make_interval(secs => w."keptSeconds")),
    EXISTS (SELECT 1 FROM known_screening k WHERE k.id = w.screening AND k.version = w."screeningVersion" AND NOT k.removed),
    CASE WHEN w.holder IS NULL THEN 0 ELSE (SELECT coalesce(sum(jsonb_array_length(p.lines)), 0) FROM purchase p
      WHERE coalesce(p.customer, lower(p.email)) = w.holder AND p.state IN ('held', 'paying') AND p."soldBy" IS NULL
        AND (p.state = 'paying' OR p."heldUntilAt" > now())) END,
    (SELECT json_agg(c.seat) FROM seat_claim c WHERE c.screening = w.screening AND c.seat = ANY(w.seats) AND c.until > now())
    INTO kept, known, unpaid, taken;
  outcome := CASE
    WHEN NOT (kept ->> 'same')::boolean THEN 'reused'
    WHEN kept IS NOT NULL THEN 'kept'
    WHEN NOT known THEN 'stale'
    WHEN unpaid + cardinality(w.seats) > w."mostHeld" THEN 'too-many-held'
    WHEN taken IS NOT NULL THEN 'taken'
    ELSE 'held' END;
  said := CASE outcome WHEN 'kept' THEN kept WHEN 'taken' THEN taken WHEN 'too-many-held' THEN to_json(unpaid) END;
  IF outcome <> 'held' THEN RETURN; END IF;

  INSERT INTO seat_claim AS c (screening, seat, purchase, until)
    SELECT w.screening, s.seat, w.id, until FROM unnest(w.seats) AS s (seat) ORDER BY 2
    ON CONFLICT (screening, seat) DO UPDATE SET purchase = excluded.purchase, until = excluded.until WHERE c.until <= now();
  GET DIAGNOSTICS claimed = ROW_COUNT;
  IF claimed <> cardinality(w.seats) THEN
    -- Somebody else was quicker with one of the seats: the others go back.
    DELETE FROM seat_claim c WHERE c.screening = w.screening AND c.seat = ANY(w.seats) AND c.purchase = w.id;
    outcome := 'taken';
    SELECT json_agg(c.seat) INTO said FROM seat_claim c WHERE c.screening = w.screening AND c.seat = ANY(w.seats) AND c.until > now();
    RETURN;
  END IF;

  rest := '"heldUntilAt":"' || until_text || '","history":' || history || ',' || substr(w.body::text, 2, length(w.body::text) - 2)
    || ',"lines":' || w.lines::text || ',"tax":' || w.tax::text || ',"show":' || w.show::text || '}';
  INSERT INTO purchase (id, version, chain, cinema, screening, customer, "accessKeyHash", "soldBy", state, lines, "totalMinor",
      "taxMinor", tax, currency, "heldUntilAt", show, history, email, "overAt")
    VALUES (w.id, 1, w.chain, w.cinema, w.screening, w.customer, w."accessKeyHash", w."soldBy", 'held', w.lines::jsonb, w."totalMinor",
      w."taxMinor", w.tax::jsonb, w.currency, until, w.show::jsonb, history::jsonb, w.email, w."overAt");
  INSERT INTO outbox (id, name, key, version, body, trace_id)
    VALUES (w.event, 'purchase.held', w.id::text, 1, ('{' || coalesce('"accessKeyHash":' || to_json(w."accessKeyHash")::text || ',', '') || rest)::json, w.trace);
  IF w.scope IS NOT NULL THEN
    INSERT INTO idempotency (scope, request, status, headers, body)
      VALUES (w.scope, w.request, 201, json_build_object('etag', '"1"', 'location', '/api/purchases/' || w.id),
        ('{"id":"' || w.id || '","version":1,' || rest)::json)
      ON CONFLICT (scope) DO UPDATE SET request = excluded.request, status = excluded.status, headers = excluded.headers,
        body = excluded.body, "keptAt" = now();
  END IF;
  said := json_build_object('at', at_text, 'heldUntilAt', until_text);
END $$`;

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
  -- A key that another connection is at work on is not waited for here.
  SELECT array_agg(r), array_agg(r.n) FILTER (WHERE r.lock IS NULL OR pg_try_advisory_xact_lock(r.lock)) INTO wanted, mine
    FROM json_populate_recordset(NULL::hold_request, requests) r;

  -- What a buyer holds is counted by one call at a time. In order, here as below: no two calls can wait for each other.
  PERFORM pg_advisory_xact_lock(h.key) FROM (
    SELECT DISTINCT hashtextextended('holder:' || w.holder, 0) AS key FROM unnest(wanted) w WHERE w.n = ANY(mine) AND w.holder IS NOT NULL
    ORDER BY 1) h;

  -- A statement of its own, after the locks, so that it sees what was committed before they were had. Each OFFSET 0 keeps what is
  -- looked up in it from being looked up again wherever it is named outside; they are lookups, not joins, so that no plan reads a table.
  SELECT array_agg(v.n) FILTER (WHERE v.outcome <> 'free'), array_agg(v.outcome) FILTER (WHERE v.outcome <> 'free'),
      array_agg(CASE v.outcome WHEN 'kept' THEN v.kept WHEN 'taken' THEN v.taken WHEN 'too-many-held' THEN to_json(v.unpaid) END)
        FILTER (WHERE v.outcome <> 'free'),
      array_agg(v.n) FILTER (WHERE v.outcome = 'free')
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
      FROM unnest(wanted) w OFFSET 0) f OFFSET 0) v;
  IF ns IS NOT NULL THEN
    RETURN QUERY SELECT u.n, u.outcome, u.said FROM unnest(ns, outcomes, sayings) AS u (n, outcome, said);
    IF free IS NULL THEN RETURN; END IF;
  END IF;

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
    -- The times are the database's, so they are put in front of what the caller says of the rest.
    SELECT w.*, u.until, u.until_text, t.at_text, s.history,
      '"heldUntilAt":"' || u.until_text || '","history":' || s.history || ',' || substr(w.body::text, 2, length(w.body::text) - 2)
        || ',"lines":' || w.lines || ',"tax":' || w.tax || ',"show":' || w.show || '}' AS rest
    FROM (SELECT to_char(now() AT TIME ZONE 'UTC', ${ISO}) AS at_text, date_trunc('milliseconds', now()) AS at OFFSET 0) t
    CROSS JOIN unnest(wanted) w
    CROSS JOIN LATERAL (SELECT e.until, to_char(e.until AT TIME ZONE 'UTC', ${ISO}) AS until_text
      FROM (SELECT t.at + make_interval(secs => w."holdSeconds") AS until OFFSET 0) e OFFSET 0) u
    CROSS JOIN LATERAL (SELECT '[{"at":"' || t.at_text || '","what":"held"'
      || coalesce(',"by":' || to_json(w.by)::text, '') || '}]' AS history OFFSET 0) s
    WHERE w.n = ANY(whole)
  ), sold AS (
    INSERT INTO purchase (id, version, chain, cinema, screening, customer, "accessKeyHash", "soldBy", state, lines, "totalMinor",
      "taxMinor", tax, currency, "heldUntilAt", show, history, email, "overAt")
    SELECT h.id, 1, h.chain, h.cinema, h.screening, h.customer, h."accessKeyHash", h."soldBy", 'held', h.lines::jsonb, h."totalMinor",
      h."taxMinor", h.tax::jsonb, h.currency, h.until, h.show::jsonb, h.history::jsonb, h.email, h."overAt"
    FROM held h
  ), told AS (
    INSERT INTO outbox (id, name, key, version, body, trace_id)
    SELECT h.event, 'purchase.held', h.id::text, 1, ('{' || coalesce('"accessKeyHash":' || to_json(h."accessKeyHash")::text || ',', '')
      || h.rest)::json, h.trace
    FROM held h ORDER BY h.n
  ), kept AS (
    INSERT INTO idempotency (scope, request, status, headers, body)
    SELECT h.scope, h.request, 201, json_build_object('etag', '"1"', 'location', '/api/purchases/' || h.id),
      ('{"id":"' || h.id || '","version":1,' || h.rest)::json
    FROM held h WHERE h.scope IS NOT NULL
    ON CONFLICT (scope) DO UPDATE SET request = excluded.request, status = excluded.status, headers = excluded.headers,
      body = excluded.body, "keptAt" = now()
  )
  SELECT h.n, 'held', json_build_object('at', h.at_text, 'heldUntilAt', h.until_text) FROM held h;
END $$`;
