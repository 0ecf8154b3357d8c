/**
 * The log of events: one row each, in a schema that no process may touch but through these functions, which run with
 * the rights of their owner and let a process move its own places only.
 *
 * Sequence numbers are drawn in order and commit in any order; a reader that has gone past 8 never sees 7 if that commits
 * later. So writers of a topic take turns by a lock that is held until after the commit: what is visible has no gaps.
 *
 * A topic's partitions are fixed when it is first named, since a key that moves to another one loses its order. Eight let
 * eight instances of a group share a topic, and cost an idle group eight small rows.
 */
export const BUS_SCHEMA = `
CREATE TABLE IF NOT EXISTS bus.topic (
  name text PRIMARY KEY,
  partitions smallint NOT NULL DEFAULT 8 CHECK (partitions > 0)
);
CREATE TABLE IF NOT EXISTS bus.event (
  topic text NOT NULL,
  partition smallint NOT NULL,
  seq bigint GENERATED ALWAYS AS IDENTITY,
  key text NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  version integer NOT NULL,
  body json NOT NULL,
  trace_id text,
  at timestamptz NOT NULL,
  PRIMARY KEY (topic, partition, seq)
);
CREATE INDEX IF NOT EXISTS event_of_key ON bus.event (topic, key, seq);
CREATE TABLE IF NOT EXISTS bus.place (
  grp text NOT NULL,
  topic text NOT NULL REFERENCES bus.topic,
  partition smallint NOT NULL,
  seq bigint NOT NULL DEFAULT 0,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (grp, topic, partition)
) WITH (fillfactor = 50);
`;

const secured = 'SECURITY DEFINER SET search_path = bus, pg_temp';

/** @source https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY */
export const BUS_FUNCTIONS = `
-- A group is a process, or one of its parts after a colon: 'movie-query', 'gateway:host-0'.
CREATE OR REPLACE FUNCTION bus.check_group(grp text) RETURNS void LANGUAGE plpgsql STABLE ${secured} AS $$
BEGIN
  IF split_part(grp, ':', 1) <> replace(session_user::text, '_', '-') AND NOT pg_has_role(session_user, 'mesh_bus', 'MEMBER') THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s may not read as %s', session_user, grp);
  END IF;
END $$;

-- [{ topic, key, id, name, version, body, traceId, at }], kept in this order.
CREATE OR REPLACE FUNCTION bus.append(events json) RETURNS void LANGUAGE plpgsql ${secured} AS $$
DECLARE
  named text;
  touched record;
BEGIN
  -- In one order for all, or two writers of two topics wait for each other for ever.
  FOR named IN SELECT DISTINCT e ->> 'topic' FROM json_array_elements(events) AS e ORDER BY 1 LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended('bus:' || named, 0));
    INSERT INTO topic (name) SELECT named WHERE NOT EXISTS (SELECT 1 FROM topic t WHERE t.name = named) ON CONFLICT DO NOTHING;
  END LOOP;
  FOR touched IN
    WITH added AS (
      INSERT INTO event (topic, partition, key, id, name, version, body, trace_id, at)
      SELECT e.topic, (hashtextextended(e.key, 0) & 9223372036854775807) % t.partitions, e.key, e.id, e.name, e.version, e.body,
             e."traceId", coalesce(e.at, clock_timestamp())
      FROM ROWS FROM (json_to_recordset(events) AS
             (topic text, key text, id uuid, name text, version integer, body json, "traceId" text, at timestamptz))
           WITH ORDINALITY AS e (topic, key, id, name, version, body, "traceId", at, n)
      JOIN topic t ON t.name = e.topic
      ORDER BY e.n
      RETURNING topic, partition
    )
    SELECT topic, string_agg(DISTINCT partition::text, ',') AS partitions FROM added GROUP BY topic
  LOOP
    PERFORM pg_notify('bus.' || touched.topic, touched.partitions);
  END LOOP;
END $$;

-- Make the group's places, at the beginning, where it has none.
CREATE OR REPLACE FUNCTION bus.subscribe(grp text, topics text[]) RETURNS void LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(grp);
  INSERT INTO topic (name) SELECT unnest(topics) ON CONFLICT DO NOTHING;
  INSERT INTO place (grp, topic, partition)
    SELECT subscribe.grp, t.name, n FROM topic t, generate_series(0, t.partitions - 1) AS n WHERE t.name = ANY (topics)
    ON CONFLICT DO NOTHING;
END $$;

-- Where the group has events to come, and how many: counted up to 10,000, since counting on would cost more than it tells.
CREATE OR REPLACE FUNCTION bus.waiting(grp text, topics text[])
RETURNS TABLE (topic text, partition integer, events bigint) LANGUAGE plpgsql STABLE ${secured} AS $$
#variable_conflict use_column
BEGIN
  PERFORM bus.check_group(waiting.grp);
  RETURN QUERY
    SELECT p.topic, p.partition::integer, c.n FROM place p CROSS JOIN LATERAL (
      SELECT count(*) AS n FROM (
        SELECT 1 FROM event e WHERE e.topic = p.topic AND e.partition = p.partition AND e.seq > p.seq LIMIT 10000
      ) AS ahead
    ) AS c
    WHERE p.grp = waiting.grp AND p.topic = ANY (topics);
END $$;

-- Hold the group's place until the end of the transaction and read on from there: one row that says held = false when
-- another instance holds it; ahead says how many were looked at. Bodies of names that nobody handles stay here. Always at least one event, whatever its size.
CREATE OR REPLACE FUNCTION bus.take(grp text, of_topic text, of_partition integer, names text[], max_events integer, max_bytes integer)
RETURNS TABLE (held boolean, ahead integer, seq bigint, name text, key text, id uuid, version integer, body json, trace_id text, at timestamptz)
LANGUAGE plpgsql ${secured} AS $$
#variable_conflict use_column
DECLARE
  past bigint;
BEGIN
  PERFORM bus.check_group(take.grp);
  SELECT p.seq INTO past FROM place p
    WHERE p.grp = take.grp AND p.topic = of_topic AND p.partition = of_partition FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN QUERY SELECT false, 0, NULL::bigint, NULL, NULL, NULL::uuid, NULL::integer, NULL::json, NULL, NULL::timestamptz;
    RETURN;
  END IF;
  RETURN QUERY
    SELECT true, s.ahead, s.seq, s.name, s.key, s.id, s.version, s.body, s.trace_id, s.at FROM (
      SELECT w.*, (count(*) OVER ())::integer AS ahead, sum(octet_length(w.body::text)) OVER (ORDER BY w.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM (
        SELECT e.seq, e.name, e.key, e.id, e.version, CASE WHEN e.name = ANY (names) THEN e.body END AS body, e.trace_id, e.at
        FROM event e WHERE e.topic = of_topic AND e.partition = of_partition AND e.seq > past ORDER BY e.seq LIMIT max_events
      ) AS w
    ) AS s
    WHERE coalesce(s.before, 0) < max_bytes ORDER BY s.seq;
END $$;

-- The group is done up to here; commits with what its handlers wrote.
CREATE OR REPLACE FUNCTION bus.move(grp text, of_topic text, of_partition integer, to_seq bigint) RETURNS void LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(move.grp);
  UPDATE place p SET seq = to_seq, seen_at = now()
    WHERE p.grp = move.grp AND p.topic = of_topic AND p.partition = of_partition AND p.seq < to_seq;
END $$;

-- The group is alive, though nothing happens: its places are kept. One that is held is at work, and will be moved.
CREATE OR REPLACE FUNCTION bus.seen(grp text) RETURNS void LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(seen.grp);
  UPDATE place SET seen_at = now() WHERE ctid IN (SELECT p.ctid FROM place p WHERE p.grp = seen.grp FOR UPDATE SKIP LOCKED);
END $$;

-- Remove events older than that which are not the last of their key, some at a time, and places of instances that never
-- came back. How many events went; null when another process is at it.
CREATE OR REPLACE FUNCTION bus.compact(older_than interval, max_events integer) RETURNS bigint LANGUAGE plpgsql ${secured} AS $$
DECLARE
  gone bigint;
BEGIN
  IF older_than < interval '1 day' AND NOT pg_has_role(session_user, 'mesh_bus', 'MEMBER') THEN
    RAISE insufficient_privilege USING MESSAGE = 'a process may not remove events younger than a day';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('bus:compact', 0)) THEN RETURN NULL; END IF;
  DELETE FROM event WHERE ctid IN (
    SELECT e.ctid FROM event e
    WHERE e.at < now() - older_than
      AND EXISTS (SELECT 1 FROM event l WHERE l.topic = e.topic AND l.key = e.key AND l.seq > e.seq)
    LIMIT max_events
  );
  GET DIAGNOSTICS gone = ROW_COUNT;
  DELETE FROM place WHERE grp LIKE '%:%' AND seen_at < now() - older_than;
  RETURN gone;
END $$;
`;
