import { LOG_FUNCTIONS, LOG_SCHEMA } from './bus/log.schema.js';
import { PARKING_FUNCTIONS, PARKING_SCHEMA } from './bus/parking.schema.js';
import { REBUILD_FUNCTIONS, REBUILD_SCHEMA } from './bus/rebuild.schema.js';

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
-- What a group handled, where the log may say a thing twice.
CREATE TABLE IF NOT EXISTS bus.inbox (
  grp text NOT NULL,
  id uuid NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (grp, id)
);
CREATE INDEX IF NOT EXISTS inbox_by_age ON bus.inbox (at);
${LOG_SCHEMA}
${PARKING_SCHEMA}
${REBUILD_SCHEMA}`;

const secured = 'SECURITY DEFINER SET search_path = bus, pg_temp';

/** @source https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY */
export const BUS_FUNCTIONS = `
-- A group is a process, or one of its parts after a colon: 'movie-query', 'gateway:host-0'.
CREATE OR REPLACE FUNCTION bus.is_own(grp text) RETURNS boolean LANGUAGE sql STABLE ${secured} AS $$
  SELECT split_part(grp, ':', 1) = replace(session_user::text, '_', '-') OR pg_has_role(session_user, 'mesh_bus', 'MEMBER')
$$;

CREATE OR REPLACE FUNCTION bus.check_group(grp text) RETURNS void LANGUAGE plpgsql STABLE ${secured} AS $$
BEGIN
  IF NOT bus.is_own(grp) THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s may not read as %s', session_user, grp);
  END IF;
END $$;

-- What is the nth of each list is an event; kept in this order. A name begins with its topic.
CREATE OR REPLACE FUNCTION bus.append_lists(ids uuid[], names text[], keys text[], versions integer[], bodies json[], traces text[], ats timestamptz[])
RETURNS void LANGUAGE plpgsql ${secured} AS $$
DECLARE
  named text;
  touched record;
BEGIN
  IF NOT bus.is_log('postgresql') THEN RAISE EXCEPTION 'the events of this mesh are in another log'; END IF;
  -- In one order for all, or two writers of two topics wait for each other for ever.
  FOR named IN SELECT DISTINCT split_part(n, '.', 1) FROM unnest(names) AS n ORDER BY 1 LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended('bus:' || named, 0));
    INSERT INTO topic (name) SELECT named WHERE NOT EXISTS (SELECT 1 FROM topic t WHERE t.name = named) ON CONFLICT DO NOTHING;
  END LOOP;
  FOR touched IN
    WITH added AS (
      INSERT INTO event (topic, partition, key, id, name, version, body, trace_id, at)
      SELECT t.name, (hashtextextended(e.key, 0) & 9223372036854775807) % t.partitions, e.key, e.id, e.name, e.version, e.body,
             e.trace, coalesce(e.at, clock_timestamp())
      FROM unnest(ids, names, keys, versions, bodies, traces, ats) WITH ORDINALITY AS e (id, name, key, version, body, trace, at, n)
      JOIN topic t ON t.name = split_part(e.name, '.', 1)
      ORDER BY e.n
      RETURNING topic, partition
    )
    SELECT topic, string_agg(DISTINCT partition::text, ',') AS partitions FROM added GROUP BY topic
  LOOP
    PERFORM pg_notify('bus.' || touched.topic, touched.partitions);
  END LOOP;
END $$;

-- [{ key, id, name, version, body, traceId, at }], kept in this order.
CREATE OR REPLACE FUNCTION bus.append(events json) RETURNS void LANGUAGE sql ${secured} AS $$
  SELECT bus.append_lists(array_agg(e.id), array_agg(e.name), array_agg(e.key), array_agg(e.version), array_agg(e.body),
    array_agg(e."traceId"), array_agg(e.at))
  FROM json_to_recordset(events) AS e (key text, id uuid, name text, version integer, body json, "traceId" text, at timestamptz)
$$;

-- Make the group's places, at the beginning, where it has none.
CREATE OR REPLACE FUNCTION bus.subscribe(grp text, topics text[]) RETURNS void LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(grp);
  INSERT INTO topic (name) SELECT unnest(topics) ON CONFLICT DO NOTHING;
  INSERT INTO place (grp, topic, partition)
    SELECT subscribe.grp, t.name, n FROM topic t, generate_series(0, t.partitions - 1) AS n WHERE t.name = ANY (topics)
    ON CONFLICT DO NOTHING;
END $$;

-- The same for a log that is kept elsewhere, of which the number of partitions is told.
CREATE OR REPLACE FUNCTION bus.make_places(grp text, of_topic text, partitions integer) RETURNS void LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(grp);
  INSERT INTO topic (name, partitions) VALUES (of_topic, make_places.partitions) ON CONFLICT DO NOTHING;
  INSERT INTO place (grp, topic, partition)
    SELECT make_places.grp, of_topic, n FROM generate_series(0, make_places.partitions - 1) AS n ON CONFLICT DO NOTHING;
END $$;

-- Where the group is.
CREATE OR REPLACE FUNCTION bus.places(grp text, topics text[])
RETURNS TABLE (topic text, partition integer, seq bigint) LANGUAGE plpgsql STABLE ${secured} AS $$
#variable_conflict use_column
BEGIN
  PERFORM bus.check_group(places.grp);
  RETURN QUERY SELECT p.topic, p.partition::integer, p.seq FROM place p WHERE p.grp = places.grp AND p.topic = ANY (topics);
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

-- Hold the group's place until the end of the transaction; no row when another instance holds it.
CREATE OR REPLACE FUNCTION bus.hold(grp text, of_topic text, of_partition integer)
RETURNS TABLE (past bigint, has_parked boolean) LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(hold.grp);
  RETURN QUERY
    SELECT p.seq, EXISTS (SELECT 1 FROM parked k WHERE k.grp = p.grp AND k.topic = p.topic AND k.partition = p.partition)
    FROM place p WHERE p.grp = hold.grp AND p.topic = of_topic AND p.partition = of_partition FOR UPDATE SKIP LOCKED;
END $$;

-- Hold a place and read on from there, in at least one row: held is false when another instance has it, seq is null when
-- nothing is ahead; ahead says how many were looked at. Bodies of names that nobody handles stay here. Always at least
-- one event, whatever its size.
CREATE OR REPLACE FUNCTION bus.take(grp text, of_topic text, of_partition integer, names text[], max_events integer, max_bytes integer)
RETURNS TABLE (held boolean, has_parked boolean, ahead integer, seq bigint, name text, key text, id uuid, version integer,
  body json, trace_id text, at timestamptz) LANGUAGE plpgsql ${secured} AS $$
#variable_conflict use_column
DECLARE
  place record;
BEGIN
  -- The places are numbers of the log in use.
  SELECT h.past, h.has_parked INTO place FROM bus.hold(take.grp, of_topic, of_partition) h WHERE bus.is_log('postgresql');
  IF NOT FOUND THEN
    held := false;
    RETURN NEXT;
    RETURN;
  END IF;
  RETURN QUERY
    SELECT true, place.has_parked, coalesce(s.ahead, 0), s.seq, s.name, s.key, s.id, s.version, s.body, s.trace_id, s.at
    FROM (SELECT 1) AS once LEFT JOIN (
      SELECT w.*, (count(*) OVER ())::integer AS ahead, sum(octet_length(w.body::text)) OVER (ORDER BY w.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM (
        SELECT e.seq, e.name, e.key, e.id, e.version, CASE WHEN e.name = ANY (names) THEN e.body END AS body, e.trace_id, e.at
        FROM event e WHERE e.topic = of_topic AND e.partition = of_partition AND e.seq > place.past ORDER BY e.seq LIMIT max_events
      ) AS w
    ) AS s ON coalesce(s.before, 0) < max_bytes ORDER BY s.seq;
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
  DELETE FROM parked k WHERE k.grp LIKE '%:%' AND NOT EXISTS (SELECT 1 FROM place p WHERE p.grp = k.grp);
  DELETE FROM inbox WHERE ctid IN (SELECT i.ctid FROM inbox i WHERE i.at < now() - older_than LIMIT max_events);
  RETURN gone;
END $$;

-- Which of these events the group has handled, and that it has.
CREATE OR REPLACE FUNCTION bus.known(grp text, ids uuid[]) RETURNS uuid[] LANGUAGE plpgsql STABLE ${secured} AS $$
BEGIN
  PERFORM bus.check_group(known.grp);
  RETURN ARRAY (SELECT i.id FROM inbox i WHERE i.grp = known.grp AND i.id = ANY (ids));
END $$;
CREATE OR REPLACE FUNCTION bus.keep(grp text, ids uuid[]) RETURNS void LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(keep.grp);
  INSERT INTO inbox (grp, id) SELECT keep.grp, unnest(ids) ON CONFLICT DO NOTHING;
END $$;

-- Remove the events of a key that are not its last, here and where groups have parked them. Only the process that the topic
-- belongs to may: 'user-command' for 'user', or a process without sides for the topic of its name; 'audit' is everyone's. How many
-- events went.
CREATE OR REPLACE FUNCTION bus.forget(of_topic text, of_key text) RETURNS bigint LANGUAGE plpgsql ${secured} AS $$
DECLARE
  gone bigint;
  last bigint;
BEGIN
  IF of_topic <> 'audit' AND NOT replace(session_user::text, '_', '-') IN (of_topic, of_topic || '-command') AND NOT pg_has_role(session_user, 'mesh_bus', 'MEMBER') THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s may not forget events of %s', session_user, of_topic);
  END IF;
  SELECT max(e.seq) INTO last FROM event e WHERE e.topic = of_topic AND e.key = of_key;
  DELETE FROM event e WHERE e.topic = of_topic AND e.key = of_key AND e.seq < last;
  GET DIAGNOSTICS gone = ROW_COUNT;
  PERFORM bus.forget_parked(of_topic, of_key, last);
  RETURN gone;
END $$;
${LOG_FUNCTIONS}
${PARKING_FUNCTIONS}
${REBUILD_FUNCTIONS}
`;
