/**
 * Events that their group cannot handle. The first of a key has the reason; those of the same key that came after it have
 * none and wait behind it, in order. Bodies are here as well: the log may drop its own after a week.
 *
 * An event is due when nothing at or before it in its key is parked for a reason, or a person asked for that to be tried again.
 */
export const PARKING_SCHEMA = `
CREATE TABLE IF NOT EXISTS bus.parked (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  grp text NOT NULL,
  topic text NOT NULL,
  partition smallint NOT NULL,
  seq bigint NOT NULL,
  key text NOT NULL,
  event_id uuid NOT NULL,
  name text NOT NULL,
  version integer NOT NULL,
  body json NOT NULL,
  trace_id text,
  at timestamptz NOT NULL,
  reason text,
  tries integer NOT NULL DEFAULT 0,
  parked_at timestamptz NOT NULL DEFAULT now(),
  is_due boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX IF NOT EXISTS parked_once ON bus.parked (grp, event_id);
CREATE INDEX IF NOT EXISTS parked_in_order ON bus.parked (grp, topic, partition, seq);
CREATE INDEX IF NOT EXISTS parked_of_key ON bus.parked (topic, key, grp, seq);
`;

const secured = 'SECURITY DEFINER SET search_path = bus, pg_temp';

export const PARKING_FUNCTIONS = `
CREATE OR REPLACE FUNCTION bus.is_due(one bus.parked) RETURNS boolean LANGUAGE sql STABLE SET search_path = bus, pg_temp AS $$
  SELECT NOT EXISTS (
    SELECT 1 FROM parked b
    WHERE b.grp = one.grp AND b.topic = one.topic AND b.key = one.key AND b.seq <= one.seq AND b.reason IS NOT NULL AND NOT b.is_due
  )
$$;

-- [{ seq, key, id, name, version, body, traceId, at, reason, tries }]: moved aside while the group's place is held. One
-- that is here already, and failed again, keeps its place.
CREATE OR REPLACE FUNCTION bus.park(grp text, of_topic text, of_partition integer, events json) RETURNS void LANGUAGE plpgsql ${secured} AS $$
#variable_conflict use_column
BEGIN
  PERFORM bus.check_group(park.grp);
  INSERT INTO parked AS k (grp, topic, partition, seq, key, event_id, name, version, body, trace_id, at, reason, tries)
    SELECT park.grp, of_topic, of_partition, e.seq, e.key, e.id, e.name, e.version, e.body, e."traceId", e.at, e.reason, coalesce(e.tries, 0)
    FROM json_to_recordset(events) AS e
      (seq bigint, key text, id uuid, name text, version integer, body json, "traceId" text, at timestamptz, reason text, tries integer)
    ON CONFLICT (grp, event_id) DO UPDATE
      SET reason = excluded.reason, tries = k.tries + excluded.tries, parked_at = now(), is_due = false WHERE excluded.reason IS NOT NULL;
END $$;

-- The keys of a partition that wait, and the parked events of it that are due, in order.
CREATE OR REPLACE FUNCTION bus.parked_keys(grp text, of_topic text, of_partition integer) RETURNS text[] LANGUAGE plpgsql STABLE ${secured} AS $$
BEGIN
  PERFORM bus.check_group(parked_keys.grp);
  RETURN ARRAY (SELECT DISTINCT k.key FROM parked k WHERE k.grp = parked_keys.grp AND k.topic = of_topic AND k.partition = of_partition);
END $$;
CREATE OR REPLACE FUNCTION bus.due(grp text, of_topic text, of_partition integer, max_events integer, max_bytes integer)
RETURNS TABLE (seq bigint, name text, key text, id uuid, version integer, body json, trace_id text, at timestamptz)
LANGUAGE plpgsql STABLE ${secured} AS $$
#variable_conflict use_column
BEGIN
  PERFORM bus.check_group(due.grp);
  RETURN QUERY
    SELECT s.seq, s.name, s.key, s.event_id, s.version, s.body, s.trace_id, s.at FROM (
      SELECT k.*, sum(octet_length(k.body::text)) OVER (ORDER BY k.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM (
        SELECT p.* FROM parked p
        WHERE p.grp = due.grp AND p.topic = of_topic AND p.partition = of_partition AND bus.is_due(p) ORDER BY p.seq LIMIT max_events
      ) AS k
    ) AS s WHERE coalesce(s.before, 0) < max_bytes ORDER BY s.seq;
END $$;

-- Which of these events the group has parked.
CREATE OR REPLACE FUNCTION bus.parked_of(grp text, of_topic text, of_partition integer, ids uuid[]) RETURNS uuid[] LANGUAGE plpgsql STABLE ${secured} AS $$
BEGIN
  PERFORM bus.check_group(parked_of.grp);
  RETURN ARRAY (SELECT k.event_id FROM parked k
    WHERE k.grp = parked_of.grp AND k.topic = of_topic AND k.partition = of_partition AND k.event_id = ANY (ids));
END $$;

-- These were handled at last.
CREATE OR REPLACE FUNCTION bus.unpark(grp text, ids uuid[]) RETURNS void LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(unpark.grp);
  DELETE FROM parked k WHERE k.grp = unpark.grp AND k.event_id = ANY (ids);
END $$;

-- How many events the group has parked, by partition, and whether some are due.
CREATE OR REPLACE FUNCTION bus.parked_waiting(grp text, topics text[])
RETURNS TABLE (topic text, partition integer, events integer, has_due boolean) LANGUAGE plpgsql STABLE ${secured} AS $$
#variable_conflict use_column
BEGIN
  PERFORM bus.check_group(parked_waiting.grp);
  RETURN QUERY SELECT k.topic, k.partition::integer, count(*)::integer, bool_or(bus.is_due(k)) FROM parked k
    WHERE k.grp = parked_waiting.grp AND k.topic = ANY (topics) GROUP BY k.topic, k.partition;
END $$;

-- What is parked for a reason, of the groups that the caller may read as; without a group, of all of them.
CREATE OR REPLACE FUNCTION bus.parked_events(of_grp text)
RETURNS TABLE (id bigint, grp text, topic text, partition integer, seq bigint, key text, event_id uuid, name text, version integer,
  reason text, tries integer, parked_at timestamptz, is_due boolean, behind integer) LANGUAGE sql STABLE ${secured} AS $$
  SELECT k.id, k.grp, k.topic, k.partition::integer, k.seq, k.key, k.event_id, k.name, k.version, k.reason, k.tries, k.parked_at, k.is_due,
    (SELECT count(*)::integer FROM parked b WHERE b.topic = k.topic AND b.key = k.key AND b.grp = k.grp AND b.seq > k.seq)
  FROM parked k WHERE k.reason IS NOT NULL AND bus.is_own(k.grp) AND (of_grp IS NULL OR k.grp = of_grp) ORDER BY k.parked_at, k.id
$$;

-- Have parked events tried again by their groups: one with its key, a group's, or without either all. How many keys.
CREATE OR REPLACE FUNCTION bus.redrive(of_id bigint, of_grp text) RETURNS integer LANGUAGE plpgsql ${secured} AS $$
DECLARE
  keys integer;
  named text;
BEGIN
  UPDATE parked k SET is_due = true
    WHERE k.reason IS NOT NULL AND bus.is_own(k.grp) AND (of_grp IS NULL OR k.grp = of_grp)
      AND (of_id IS NULL OR (k.grp, k.topic, k.key) = (SELECT o.grp, o.topic, o.key FROM parked o WHERE o.id = of_id));
  GET DIAGNOSTICS keys = ROW_COUNT;
  FOR named IN SELECT DISTINCT k.grp FROM parked k WHERE k.is_due AND bus.is_own(k.grp) LOOP PERFORM pg_notify('bus.parked', named); END LOOP;
  RETURN keys;
END $$;

-- Give up one event for good; what waits behind it is due. True when it was parked for a reason, false for any other.
CREATE OR REPLACE FUNCTION bus.drop_parked(of_id bigint) RETURNS boolean LANGUAGE plpgsql ${secured} AS $$
DECLARE
  named text;
BEGIN
  DELETE FROM parked k WHERE k.id = of_id AND k.reason IS NOT NULL AND bus.is_own(k.grp) RETURNING k.grp INTO named;
  IF named IS NULL THEN RETURN false; END IF;
  PERFORM pg_notify('bus.parked', named);
  RETURN true;
END $$;

-- Of a key's parked events keep what the log keeps, its last; for a log kept elsewhere the last that the group knows.
CREATE OR REPLACE FUNCTION bus.forget_parked(of_topic text, of_key text, last bigint) RETURNS void LANGUAGE plpgsql SET search_path = bus, pg_temp AS $$
DECLARE
  named text;
BEGIN
  FOR named IN
    WITH gone AS (
      DELETE FROM parked k WHERE k.topic = of_topic AND k.key = of_key AND k.seq <
        coalesce(last, (SELECT max(l.seq) FROM parked l WHERE l.topic = of_topic AND l.key = of_key AND l.grp = k.grp)) RETURNING k.grp
    ) SELECT DISTINCT grp FROM gone
  LOOP PERFORM pg_notify('bus.parked', named); END LOOP;
END $$;
`;
