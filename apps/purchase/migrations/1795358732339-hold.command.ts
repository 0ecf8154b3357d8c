import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * purchase-command: seats taken in one round trip, for one buyer or for many, each all or none and each with an answer of its own.
 * It holds what `libs/resource/idempotency.ts` promises of repeated requests, and writes the events that `#outbox` sends.
 *
 * In one call no two requests name the same seat, buyer or idempotency key; the caller sees to it, and numbers them from 0. The locks of their
 * keys and the buyers whose seats are counted are told beside them, in the same order: what is locked is known before anything is read.
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
    await db.query('DROP FUNCTION purchase_hold_one(json), purchase_hold(json, bigint[], text[])');
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

const HOLD = `CREATE FUNCTION purchase_hold(requests json, locks bigint[], holders text[])
RETURNS TABLE (n integer, outcome text, said json) LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  mine integer[];   -- whose idempotency keys nobody else is at work on
  ns integer[];
  outcomes text[];
  sayings json[];
  partial integer[];  -- of whose seats somebody else was quicker with one
  partial_ids uuid[];
  partial_screenings uuid[];
BEGIN
  -- A key that another connection is at work on is not waited for here.
  SELECT array_agg(l.at - 1) INTO mine FROM unnest(locks) WITH ORDINALITY AS l (lock, at)
    WHERE l.lock IS NULL OR pg_try_advisory_xact_lock(l.lock);

  -- What a buyer holds is counted by one call at a time. In order, here as below: no two calls can wait for each other.
  PERFORM pg_advisory_xact_lock(h.key) FROM (
    SELECT DISTINCT hashtextextended('holder:' || h.holder, 0) AS key FROM unnest(holders) WITH ORDINALITY AS h (holder, at)
    WHERE h.at - 1 = ANY(mine) AND h.holder IS NOT NULL ORDER BY 1) h;

  -- A statement of its own, after the locks, so that it sees what was committed before they were had; one for all the rest, so that
  -- the requests are read once. They are looked up, not joined, so that no plan reads a table; each OFFSET 0 keeps what is looked up
  -- in it from being looked up again wherever it is named outside.
  WITH judged AS MATERIALIZED (
    SELECT f.*, CASE
      WHEN NOT f.n = ANY(mine) OR mine IS NULL THEN 'in-flight'
      WHEN NOT (f.kept ->> 'same')::boolean THEN 'reused'
      WHEN f.kept IS NOT NULL THEN 'kept'
      WHEN NOT f.known THEN 'stale'
      WHEN f.unpaid + cardinality(f.seats) > f."mostHeld" THEN 'too-many-held'
      WHEN f.taken IS NOT NULL THEN 'taken'
      ELSE 'free' END AS outcome
    FROM (
      SELECT w.*,
        (SELECT json_build_object('same', i.request = w.request, 'status', i.status, 'body', i.body) FROM idempotency i
          WHERE i.scope = w.scope AND i."keptAt" > now() - make_interval(secs => w."keptSeconds")) AS kept,
        EXISTS (SELECT 1 FROM known_screening k WHERE k.id = w.screening AND k.version = w."screeningVersion" AND NOT k.removed) AS known,
        CASE WHEN w.holder IS NULL THEN 0 ELSE (SELECT coalesce(sum(jsonb_array_length(p.lines)), 0) FROM purchase p
          WHERE coalesce(p.customer, lower(p.email)) = w.holder AND p.state IN ('held', 'paying') AND p."soldBy" IS NULL
            AND (p.state = 'paying' OR p."heldUntilAt" > now())) END AS unpaid,
        (SELECT json_agg(c.seat) FROM seat_claim c
          WHERE c.screening = w.screening AND c.seat = ANY(w.seats) AND c.until > now()) AS taken
      FROM json_populate_recordset(NULL::hold_request, requests) w OFFSET 0) f OFFSET 0
  ), claimed AS (
    INSERT INTO seat_claim AS c (screening, seat, purchase, until)
    SELECT j.screening, s.seat, j.id, date_trunc('milliseconds', now()) + make_interval(secs => j."holdSeconds")
    FROM judged j CROSS JOIN unnest(j.seats) AS s (seat) WHERE j.outcome = 'free'
    ORDER BY 1, 2
    ON CONFLICT (screening, seat) DO UPDATE SET purchase = excluded.purchase, until = excluded.until WHERE c.until <= now()
    RETURNING c.purchase
  ), held AS MATERIALIZED (
    -- The times are the database's, so they are put in front of what the caller says of the rest.
    SELECT j.*, u.until, u.until_text, t.at_text, s.history,
      '"heldUntilAt":"' || u.until_text || '","history":' || s.history || ',' || substr(j.body::text, 2, length(j.body::text) - 2)
        || ',"lines":' || j.lines || ',"tax":' || j.tax || ',"show":' || j.show || '}' AS rest
    FROM (SELECT to_char(now() AT TIME ZONE 'UTC', ${ISO}) AS at_text, date_trunc('milliseconds', now()) AS at OFFSET 0) t
    CROSS JOIN judged j
    JOIN (SELECT purchase, count(*) AS seats FROM claimed GROUP BY purchase) g ON g.purchase = j.id AND g.seats = cardinality(j.seats)
    CROSS JOIN LATERAL (SELECT e.until, to_char(e.until AT TIME ZONE 'UTC', ${ISO}) AS until_text
      FROM (SELECT t.at + make_interval(secs => j."holdSeconds") AS until OFFSET 0) e OFFSET 0) u
    CROSS JOIN LATERAL (SELECT '[{"at":"' || t.at_text || '","what":"held"'
      || coalesce(',"by":' || to_json(j.by)::text, '') || '}]' AS history OFFSET 0) s
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
  ), answered AS (
    SELECT h.n, 'held' AS outcome, json_build_object('at', h.at_text, 'heldUntilAt', h.until_text) AS said, h.id, h.screening FROM held h
    UNION ALL
    SELECT j.n, j.outcome, CASE j.outcome WHEN 'kept' THEN j.kept WHEN 'taken' THEN j.taken WHEN 'too-many-held' THEN to_json(j.unpaid) END,
      j.id, j.screening
    FROM judged j WHERE j.outcome <> 'free' OR NOT EXISTS (SELECT 1 FROM held h WHERE h.n = j.n))
  SELECT array_agg(a.n) FILTER (WHERE a.outcome <> 'free'), array_agg(a.outcome) FILTER (WHERE a.outcome <> 'free'),
      array_agg(a.said) FILTER (WHERE a.outcome <> 'free'), array_agg(a.n) FILTER (WHERE a.outcome = 'free'),
      array_agg(a.id) FILTER (WHERE a.outcome = 'free'), array_agg(a.screening) FILTER (WHERE a.outcome = 'free')
    INTO ns, outcomes, sayings, partial, partial_ids, partial_screenings FROM answered a;

  RETURN QUERY SELECT u.n, u.outcome, u.said FROM unnest(ns, outcomes, sayings) AS u (n, outcome, said);
  IF partial IS NULL THEN RETURN; END IF;
  -- Their other seats go back.
  DELETE FROM seat_claim c WHERE c.screening = ANY(partial_screenings) AND c.purchase = ANY(partial_ids);
  RETURN QUERY SELECT w.n, 'taken', (SELECT json_agg(c.seat) FROM seat_claim c
      WHERE c.screening = w.screening AND c.seat = ANY(w.seats) AND c.until > now())
    FROM json_populate_recordset(NULL::hold_request, requests) w WHERE w.n = ANY(partial);
END $$`;
