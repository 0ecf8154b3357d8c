/**
 * Which log of events the mesh uses: 'postgresql', or 'kafka/<cluster>/<prefix>'. Places, and what is parked, are numbers of
 * that log and of no other. So it is fixed by the first event, and changed by copying all of them alone.
 */
export const LOG_SCHEMA = `
CREATE TABLE IF NOT EXISTS bus.log (
  is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),
  name text NOT NULL DEFAULT 'postgresql',
  is_used boolean NOT NULL DEFAULT false
);
INSERT INTO bus.log DEFAULT VALUES ON CONFLICT DO NOTHING;
`;

const secured = 'SECURITY DEFINER SET search_path = bus, pg_temp';

export const LOG_FUNCTIONS = `
-- The log that events or places are in; null while there are none.
CREATE OR REPLACE FUNCTION bus.log_in_use() RETURNS text LANGUAGE sql STABLE ${secured} AS $$
  SELECT name FROM log
    WHERE is_used OR EXISTS (SELECT 1 FROM event) OR EXISTS (SELECT 1 FROM parked) OR EXISTS (SELECT 1 FROM place WHERE seq > 0)
$$;

-- The log that is used from now on: the one that is wanted, unless another is in use.
CREATE OR REPLACE FUNCTION bus.use_log(wanted text) RETURNS text LANGUAGE plpgsql ${secured} AS $$
DECLARE
  used text;
BEGIN
  SELECT name INTO used FROM log;
  IF used = wanted THEN RETURN wanted; END IF;
  SELECT name INTO used FROM log FOR UPDATE;
  IF used = wanted OR bus.log_in_use() IS NOT NULL THEN RETURN used; END IF;
  DELETE FROM place;
  DELETE FROM topic;
  UPDATE log SET name = wanted;
  RETURN wanted;
END $$;

-- Whether the log is still in use; only for it, tell its readers when the transaction commits: { topic: 'partition,…' }.
CREATE OR REPLACE FUNCTION bus.announce(wanted text, touched json) RETURNS boolean LANGUAGE plpgsql ${secured} AS $$
BEGIN
  -- While events are copied to another log nothing is sent.
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('bus:log', 0));
  IF NOT EXISTS (SELECT 1 FROM log WHERE name = wanted) THEN RETURN false; END IF;
  IF NOT EXISTS (SELECT 1 FROM log WHERE is_used) THEN UPDATE log SET is_used = true; END IF;
  PERFORM pg_notify('bus.' || t.key, t.value) FROM json_each_text(touched) AS t;
  RETURN true;
END $$;

-- Whether this log is the one that is used: only its readers may hold a place.
CREATE OR REPLACE FUNCTION bus.is_log(wanted text) RETURNS boolean LANGUAGE sql STABLE ${secured} AS $$
  SELECT EXISTS (SELECT 1 FROM log WHERE name = wanted)
$$;
`;
