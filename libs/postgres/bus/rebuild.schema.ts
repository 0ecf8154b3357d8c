/** Which process is to build its views again, who is at it, and how far. */
export const REBUILD_SCHEMA = `
CREATE TABLE IF NOT EXISTS bus.rebuild (
  process text PRIMARY KEY,
  state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'running', 'done', 'failed')),
  asked_at timestamptz NOT NULL DEFAULT now(),
  worker text,
  beat_at timestamptz,
  done bigint NOT NULL DEFAULT 0,
  ahead bigint NOT NULL DEFAULT 0,
  note text,
  ended_at timestamptz
);
`;

const secured = 'SECURITY DEFINER SET search_path = bus, pg_temp';

export const REBUILD_FUNCTIONS = `
-- Ask a process to build its views again. False when that is under way.
CREATE OR REPLACE FUNCTION bus.ask_rebuild(of_process text) RETURNS boolean LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(of_process);
  INSERT INTO rebuild AS r (process) VALUES (of_process) ON CONFLICT (process) DO UPDATE
    SET state = 'asked', asked_at = now(), worker = NULL, beat_at = NULL, done = 0, ahead = 0, note = NULL, ended_at = NULL
    WHERE r.state IN ('done', 'failed');
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM pg_notify('bus.rebuild', of_process);
  RETURN true;
END $$;

-- Nobody has begun with it: it is not wanted any more. False when somebody has.
CREATE OR REPLACE FUNCTION bus.withdraw_rebuild(of_process text) RETURNS boolean LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(of_process);
  UPDATE rebuild SET state = 'failed', note = 'no instance began with it', ended_at = clock_timestamp()
    WHERE process = of_process AND state = 'asked';
  RETURN FOUND;
END $$;

-- Begin with it, unless another instance is at it and was heard of a moment ago. The same one was killed and is back.
CREATE OR REPLACE FUNCTION bus.claim_rebuild(of_process text, as_worker text, lease interval) RETURNS boolean LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(of_process);
  UPDATE rebuild SET state = 'running', worker = as_worker, beat_at = clock_timestamp(), done = 0, ahead = 0
    WHERE process = of_process AND (state = 'asked' OR (state = 'running' AND (worker = as_worker OR beat_at < clock_timestamp() - lease)));
  RETURN FOUND;
END $$;

-- Still at it, until the end of the transaction; false when another one has taken over.
CREATE OR REPLACE FUNCTION bus.beat_rebuild(of_process text, as_worker text, so_far bigint, left_over bigint) RETURNS boolean LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(of_process);
  UPDATE rebuild SET beat_at = clock_timestamp(), done = so_far, ahead = coalesce(left_over, ahead)
    WHERE process = of_process AND worker = as_worker AND state = 'running';
  RETURN FOUND;
END $$;

CREATE OR REPLACE FUNCTION bus.end_rebuild(of_process text, as_worker text, as_state text, why text) RETURNS void LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(of_process);
  UPDATE rebuild SET state = as_state, note = why, ended_at = clock_timestamp(), ahead = CASE as_state WHEN 'done' THEN 0 ELSE ahead END
    WHERE process = of_process AND worker = as_worker AND state = 'running';
END $$;

CREATE OR REPLACE FUNCTION bus.rebuild_of(of_process text)
RETURNS TABLE (state text, done bigint, ahead bigint, note text, worker text, asked_at timestamptz, ended_at timestamptz) LANGUAGE plpgsql STABLE ${secured} AS $$
#variable_conflict use_column
BEGIN
  PERFORM bus.check_group(of_process);
  RETURN QUERY SELECT r.state, r.done, r.ahead, r.note, r.worker, r.asked_at, r.ended_at FROM rebuild r WHERE r.process = of_process;
END $$;

-- Forget all that a part of a process has read, 'movie-query:rebuild'; never the process itself.
CREATE OR REPLACE FUNCTION bus.leave(grp text) RETURNS void LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(leave.grp);
  IF leave.grp NOT LIKE '%:%' THEN RAISE EXCEPTION '% is a whole process', leave.grp; END IF;
  DELETE FROM place p WHERE p.grp = leave.grp;
  DELETE FROM parked k WHERE k.grp = leave.grp;
  DELETE FROM inbox i WHERE i.grp = leave.grp;
END $$;

-- Let nobody else move the group's places until the end of the transaction, and say where they are.
CREATE OR REPLACE FUNCTION bus.lock_places(grp text, topics text[])
RETURNS TABLE (topic text, partition integer, seq bigint) LANGUAGE plpgsql ${secured} AS $$
#variable_conflict use_column
BEGIN
  PERFORM bus.check_group(lock_places.grp);
  RETURN QUERY SELECT p.topic, p.partition::integer, p.seq FROM place p
    WHERE p.grp = lock_places.grp AND p.topic = ANY (topics) ORDER BY p.topic, p.partition FOR UPDATE;
END $$;

-- What a part of a process has parked is the process's own from now on; what that has parked itself stays as it is.
CREATE OR REPLACE FUNCTION bus.adopt_parked(part text, grp text) RETURNS void LANGUAGE plpgsql ${secured} AS $$
BEGIN
  PERFORM bus.check_group(part), bus.check_group(adopt_parked.grp);
  UPDATE parked k SET grp = adopt_parked.grp WHERE k.grp = part
    AND NOT EXISTS (SELECT 1 FROM parked o WHERE o.grp = adopt_parked.grp AND o.event_id = k.event_id);
END $$;
`;
