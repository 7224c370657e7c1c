-- Jobs in a schema of their own, which the connection's search path names. Each statement has a name.

-- name: tables
CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    source text NOT NULL,
    event_id text,
    planned_at float8 NOT NULL,
    complete boolean NOT NULL DEFAULT false,
    people bigint NOT NULL DEFAULT 0,
    excluded bigint NOT NULL DEFAULT 0,
    exclusions text NOT NULL DEFAULT '[]',
    duplicates bigint NOT NULL DEFAULT 0,
    differing bigint NOT NULL DEFAULT 0,
    invalid bigint NOT NULL DEFAULT 0,
    chunks bigint NOT NULL DEFAULT 0,
    texts bigint NOT NULL DEFAULT 0,
    digest text NOT NULL DEFAULT '',
    key text NOT NULL,
    base_url text,
    identity text,
    command text NOT NULL DEFAULT 'run',
    next_chunk bigint NOT NULL DEFAULT 0,
    forgotten_at float8,
    windows text NOT NULL DEFAULT '',
    not_before float8,
    not_after float8
);
CREATE TABLE content (
    job bigint NOT NULL REFERENCES job ON DELETE CASCADE,
    id bigint NOT NULL,
    message text NOT NULL,
    context text,
    odd text,
    PRIMARY KEY (job, id)
);
-- Half of each page is left free, and no index is on what changes: a change writes one row in place.
CREATE TABLE chunk (
    job bigint NOT NULL REFERENCES job ON DELETE CASCADE,
    id bigint NOT NULL,
    content bigint NOT NULL,
    people integer NOT NULL,
    state text NOT NULL DEFAULT 'planned',
    requests integer NOT NULL DEFAULT 0,
    throttled integer NOT NULL DEFAULT 0,
    sent_at float8,
    ended_at float8,
    error text,
    reason text,
    left_at float8,
    resent boolean NOT NULL DEFAULT false,
    owner text,
    claimed_by text,
    -- Of a part: the planned chunk that it comes from.
    origin bigint,
    PRIMARY KEY (job, id)
) WITH (fillfactor = 50);
-- Apart from their chunk, and compressed already.
CREATE TABLE address (
    job bigint NOT NULL REFERENCES job ON DELETE CASCADE,
    chunk bigint NOT NULL,
    packed bytea NOT NULL,
    PRIMARY KEY (job, chunk)
);
ALTER TABLE address ALTER COLUMN packed SET STORAGE EXTERNAL;
CREATE TABLE left_out (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job bigint NOT NULL REFERENCES job ON DELETE CASCADE,
    why text NOT NULL,
    packed bytea NOT NULL
);
ALTER TABLE left_out ALTER COLUMN packed SET STORAGE EXTERNAL;
CREATE INDEX left_out_of_job ON left_out (job);
CREATE TABLE run (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job bigint NOT NULL REFERENCES job ON DELETE CASCADE,
    id text NOT NULL,
    pid integer NOT NULL,
    host text NOT NULL,
    began_at float8 NOT NULL,
    ended_at float8,
    ended text,
    budget integer NOT NULL,
    per float8 NOT NULL,
    lease_until timestamptz NOT NULL,
    -- Seconds, as the run was begun with.
    lease float8 NOT NULL,
    -- The server on which it began, as `server` says.
    server text NOT NULL,
    given_up boolean NOT NULL DEFAULT false,
    -- For how many people; NULL: for all.
    first bigint,
    -- What holds it now, for whoever looks.
    held_by text,
    held_since float8,
    held_until float8,
    held_why text,
    UNIQUE (job, id)
) WITH (fillfactor = 50);
-- Which server this is. Another timeline is a standby that took over, or a backup: what was committed
-- last may not be in it.
CREATE FUNCTION server() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
    FROM pg_control_system()
$$;
CREATE TABLE event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job bigint NOT NULL REFERENCES job ON DELETE CASCADE,
    at float8 NOT NULL,
    incident text NOT NULL,
    seconds float8 NOT NULL,
    reason text NOT NULL
);
CREATE INDEX event_of_job ON event (job);
-- Jobs that were handed to the workers of a fleet. Each time one is, it has another number.
CREATE TABLE submission (
    job bigint PRIMARY KEY REFERENCES job ON DELETE CASCADE,
    number bigint NOT NULL DEFAULT 1,
    not_before timestamptz NOT NULL,
    workers integer NOT NULL,
    ended_at timestamptz
);
-- Which of the engine's changes were made to its tables.
CREATE TABLE engine (release text NOT NULL, migration text NOT NULL);
CREATE TABLE version (number integer NOT NULL);

-- name: drop_unfinished
DELETE FROM job WHERE name = %s AND NOT complete;

-- name: add_job
INSERT INTO job (name, source, event_id, planned_at, key, windows, not_before, not_after)
VALUES (%(name)s, %(source)s, %(event_id)s, %(planned_at)s, %(key)s, %(windows)s, %(not_before)s,
        %(not_after)s)
RETURNING id;

-- name: job
SELECT id FROM job WHERE name = %s;

-- name: lock_plan
SELECT pg_try_advisory_lock(hashtext('moveworks_shift.plan'), hashtext(%s));

-- name: copy_chunks
COPY chunk (job, id, content, people) FROM STDIN;

-- name: copy_addresses
COPY address (job, chunk, packed) FROM STDIN;

-- name: add_content
INSERT INTO content (job, id, message, context, odd) VALUES (%s, %s, %s, %s, %s);

-- name: add_left_out
INSERT INTO left_out (job, why, packed) VALUES (%s, %s, %s);

-- name: complete
UPDATE job SET complete = true, people = %(people)s, excluded = %(excluded)s,
               exclusions = %(exclusions)s, duplicates = %(duplicates)s,
               differing = %(differing)s, invalid = %(invalid)s, chunks = %(chunks)s,
               texts = %(texts)s, digest = %(digest)s,
               next_chunk = (SELECT coalesce(max(chunk.id) + 1, 0) FROM chunk WHERE job = job.id)
WHERE id = %(job)s;

-- name: remove
DELETE FROM job WHERE name = %s;

-- name: forget
WITH texts AS (UPDATE content SET message = '', context = NULL, odd = NULL WHERE job = %(job)s),
     left_out AS (DELETE FROM left_out WHERE job = %(job)s),
     addresses AS (DELETE FROM address WHERE job = %(job)s)
UPDATE job SET forgotten_at = %(at)s WHERE id = %(job)s AND forgotten_at IS NULL;

-- name: header
SELECT source, event_id, planned_at, complete, people, excluded, exclusions, duplicates, differing,
       invalid, chunks, texts, digest, key, base_url, identity, NULL, false, forgotten_at,
       windows, not_before, not_after
FROM job WHERE id = %s;

-- name: planned_people
SELECT count(*), coalesce(sum(people), 0), count(address.chunk)
FROM chunk LEFT JOIN address ON address.job = chunk.job AND address.chunk = chunk.id
WHERE chunk.job = %s AND origin IS NULL;

-- name: totals
SELECT state, left_at IS NOT NULL, count(*), sum(people)::bigint, sum(requests)::bigint,
       sum(throttled)::bigint
FROM chunk WHERE job = %s GROUP BY 1, 2 ORDER BY 1, 2;

-- name: records
SELECT id, state, people, requests, throttled, sent_at, ended_at, error, reason, left_at, resent,
       owner
FROM chunk WHERE job = %s AND state <> 'split' ORDER BY id;

-- name: runs
SELECT id, pid, host, began_at, ended_at, ended, budget, per, first, held_by, held_since,
       held_until, held_why, extract(epoch FROM lease_until)::float8
FROM run WHERE job = %s ORDER BY number;

-- name: hold
UPDATE run SET held_by = %(held_by)s, held_since = %(held_since)s, held_until = %(held_until)s,
               held_why = %(held_why)s
WHERE job = %(job)s AND id = %(owner)s;

-- name: alive
SELECT id FROM run
WHERE job = %s AND ended_at IS NULL AND NOT given_up AND lease_until > clock_timestamp();

-- name: events
SELECT at, incident, seconds, reason FROM event WHERE job = %s ORDER BY at, id;

-- name: command
SELECT command FROM job WHERE id = %s;

-- name: wanted
SELECT command, windows, not_before, not_after FROM job WHERE id = %s;

-- name: now
SELECT extract(epoch FROM clock_timestamp())::float8;

-- name: texts
SELECT message, context,
       (SELECT coalesce(sum(people), 0) FROM chunk
        WHERE chunk.job = content.job AND chunk.content = content.id AND state <> 'split')
FROM content WHERE job = %s ORDER BY id LIMIT %s;

-- name: planned_texts
SELECT id, message, context, odd FROM content WHERE job = %s AND id > %s ORDER BY id LIMIT %s;

-- name: audiences
SELECT content, told, packed FROM (
    SELECT job, content, sum(people) AS told, min(id) AS first FROM chunk
    WHERE job = %s AND content = ANY(%s) AND state <> 'split' GROUP BY job, content
) AS found JOIN address ON address.job = found.job AND address.chunk = first;

-- name: recipients
SELECT chunk.id, packed FROM chunk
JOIN address ON address.job = chunk.job AND address.chunk = chunk.id
WHERE chunk.job = %s AND chunk.id > %s AND state <> 'split' ORDER BY chunk.id LIMIT %s;

-- name: left_out
SELECT why, packed FROM left_out WHERE job = %s
ORDER BY CASE why WHEN 'invalid' THEN 0 WHEN 'excluded' THEN 1 ELSE 2 END, id;

-- name: may_have_told
-- What was divided before anything of it was sent says nothing.
SELECT EXISTS (SELECT 1 FROM chunk
               WHERE job = %s AND (resent OR state NOT IN ('planned', 'split')
                                   OR (state = 'split' AND error IS NOT NULL)));

-- name: left_at
SELECT max(left_at) FROM chunk WHERE job = %s;

-- name: recent
SELECT sent_at, ended_at FROM chunk WHERE job = %s AND sent_at IS NOT NULL
ORDER BY coalesce(ended_at, sent_at) DESC LIMIT %s;

-- name: isolated
-- What was divided for the first ones of it has met no error.
SELECT 2 * count(*) FROM chunk WHERE job = %s AND state = 'split' AND error IS NOT NULL;

-- name: lock_job
SELECT base_url, identity FROM job WHERE id = %s FOR NO KEY UPDATE;

-- name: bind
UPDATE job SET base_url = %s, identity = %s WHERE id = %s;

-- name: set_schedule
UPDATE job SET windows = %s, not_before = %s, not_after = %s WHERE id = %s;

-- name: forget_command
-- The pause of a job that a fleet has stays while its workers change.
UPDATE job SET command = 'run'
WHERE id = %(job)s AND NOT EXISTS (
    SELECT 1 FROM run
    WHERE job = %(job)s AND ended_at IS NULL AND NOT given_up AND lease_until > clock_timestamp())
AND NOT (command = 'pause' AND EXISTS (
    SELECT 1 FROM submission WHERE job = %(job)s AND ended_at IS NULL));

-- name: set_command
UPDATE job SET command = %(command)s
WHERE id = %(job)s AND (%(command)s <> 'run' OR command = 'pause') AND (EXISTS (
    SELECT 1 FROM run
    WHERE job = %(job)s AND ended_at IS NULL AND NOT given_up AND lease_until > clock_timestamp())
OR EXISTS (SELECT 1 FROM submission WHERE job = %(job)s AND ended_at IS NULL));

-- name: is_submitted
SELECT EXISTS (SELECT 1 FROM submission WHERE job = %s AND ended_at IS NULL);

-- name: take_back
-- From the fleet.
UPDATE submission SET ended_at = clock_timestamp() WHERE job = %(job)s AND ended_at IS NULL;

-- name: resend_unknown
UPDATE chunk SET state = 'planned', resent = true, claimed_by = NULL
WHERE job = %s AND state = 'unknown' AND left_at IS NULL;

-- name: leave_unknown
UPDATE chunk SET state = 'unknown', left_at = %s, claimed_by = NULL
WHERE job = %s AND left_at IS NULL
  AND (state = 'unknown' OR (state = 'planned' AND resent AND claimed_by IS NULL));

-- name: has_begun
SELECT EXISTS (SELECT 1 FROM run WHERE job = %(job)s AND id = %(id)s);

-- name: has_planned
SELECT EXISTS (SELECT 1 FROM chunk WHERE job = %(job)s AND state = 'planned');

-- name: begin_run
INSERT INTO run (job, id, pid, host, began_at, budget, per, first, lease_until, lease, server)
VALUES (%(job)s, %(id)s, %(pid)s, %(host)s, %(began_at)s, %(budget)s, %(per)s, %(first)s,
        clock_timestamp() + make_interval(secs => %(lease)s), %(lease)s, server());

-- name: free
-- In the order of the plan.
SELECT id, content, people FROM chunk
WHERE job = %(job)s AND state = 'planned' AND claimed_by IS NULL
ORDER BY coalesce(origin, id), id LIMIT %(most)s;

-- name: take
-- It waits for no other run's claim: it holds the job already, for which that one may wait.
WITH free AS (
    SELECT id FROM chunk
    WHERE job = %(job)s AND id = ANY(%(chunks)s) AND state = 'planned' AND claimed_by IS NULL
    FOR UPDATE SKIP LOCKED
)
UPDATE chunk SET claimed_by = %(owner)s FROM free
WHERE chunk.job = %(job)s AND chunk.id = free.id RETURNING chunk.id;

-- name: chosen
SELECT count(*), coalesce(sum(people), 0)::bigint FROM chunk
WHERE job = %(job)s AND claimed_by = %(owner)s AND state = 'planned';

-- name: addresses
SELECT packed FROM address WHERE job = %(job)s AND chunk = %(chunk)s;

-- name: divide
UPDATE chunk SET state = 'split', error = NULL, reason = NULL, claimed_by = NULL
WHERE job = %(job)s AND id = %(chunk)s;

-- name: beat
-- The runs that live, and the time.
UPDATE run SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE job = %(job)s AND id = ANY(%(runs)s) AND ended_at IS NULL AND NOT given_up
  AND server = server() RETURNING id, extract(epoch FROM clock_timestamp())::float8;

-- name: let_go
UPDATE run SET lease_until = clock_timestamp()
WHERE job = %(job)s AND id = ANY(%(runs)s) AND ended_at IS NULL AND server = server();

-- name: give_up
-- Runs whose lease ran out or that have ended, once each, and what they leave behind. Those of
-- another server have lost their last commits: with how many requests they may have made since. One
-- for the first ones has made none but for what it had chosen.
WITH here AS MATERIALIZED (
    SELECT server() AS name
), dead AS (
    SELECT id FROM run, here
    WHERE job = %(job)s AND NOT given_up
      AND (ended_at IS NOT NULL OR lease_until <= clock_timestamp() OR server <> here.name)
    FOR UPDATE OF run SKIP LOCKED
)
UPDATE run SET given_up = true FROM dead, here
WHERE run.job = %(job)s AND run.id = dead.id
RETURNING run.id, ended_at IS NULL AND server <> here.name,
          CASE WHEN first IS NULL
               THEN ceil(budget * (1 + greatest(0, lease + extract(
                             epoch FROM clock_timestamp() - lease_until)) / per))::bigint
               ELSE (SELECT count(*) FROM chunk WHERE chunk.job = run.job
                     AND chunk.claimed_by = run.id AND chunk.state = 'planned') END;

-- name: orphans
UPDATE chunk SET state = 'unknown', requests = requests + 1, error = 'OutcomeUnknown',
    reason = CASE WHEN owner IN (SELECT id FROM run WHERE job = %(job)s AND ended_at IS NOT NULL)
                  THEN %(unwritten)s ELSE %(silent)s END,
    claimed_by = NULL
WHERE job = %(job)s AND state = 'sending' AND owner = ANY(%(dead)s);

-- name: doubt
-- What runs of another server may have sent although nothing of it is here: what they had claimed,
-- and, where that is less than they could, what they would have claimed next.
WITH claimed AS (
    SELECT id FROM chunk
    WHERE job = %(job)s AND state = 'planned' AND claimed_by = ANY(%(dead)s)
), next AS (
    SELECT id FROM chunk
    WHERE job = %(job)s AND state = 'planned' AND claimed_by IS NULL
    ORDER BY id LIMIT greatest(0, %(requests)s - (SELECT count(*) FROM claimed))
)
UPDATE chunk SET state = 'unknown', requests = requests + 1, error = 'OutcomeUnknown',
    reason = %(reason)s, owner = claimed_by, claimed_by = NULL, ended_at = NULL
WHERE job = %(job)s AND id IN (SELECT id FROM claimed UNION ALL SELECT id FROM next);

-- name: release
UPDATE chunk SET claimed_by = NULL
WHERE job = %(job)s AND state = 'planned' AND claimed_by = ANY(%(dead)s);

-- name: claim
WITH free AS (
    SELECT id FROM chunk
    WHERE job = %(job)s AND id > %(after)s AND state = 'planned' AND claimed_by IS NULL
    ORDER BY id LIMIT %(count)s FOR UPDATE SKIP LOCKED
)
UPDATE chunk SET claimed_by = %(owner)s FROM free
WHERE chunk.job = %(job)s AND chunk.id = free.id;

-- name: claimed
SELECT chunk.id, message, context, packed, resent
FROM chunk
JOIN content ON content.job = chunk.job AND content.id = chunk.content
JOIN address ON address.job = chunk.job AND address.chunk = chunk.id
WHERE chunk.job = %(job)s AND chunk.id > %(after)s AND state = 'planned'
  AND claimed_by = %(owner)s AND chunk.id <> ALL(%(known)s)
ORDER BY chunk.id LIMIT %(count)s;

-- name: held
-- Whether other living runs have chunks that may come back: claimed, or on their way.
SELECT EXISTS (
    SELECT 1 FROM chunk
    JOIN run ON run.job = chunk.job AND run.id = coalesce(chunk.claimed_by, chunk.owner)
    WHERE chunk.job = %(job)s AND chunk.state IN ('planned', 'sending')
      AND run.id <> ALL(%(mine)s) AND NOT run.given_up);

-- name: sending
UPDATE chunk SET state = 'sending', sent_at = step.at, ended_at = NULL, owner = step.owner
FROM unnest(%(chunks)s::bigint[], %(owners)s::text[], %(ats)s::float8[]) AS step (id, owner, at)
WHERE chunk.job = %(job)s AND chunk.id = step.id AND chunk.claimed_by = step.owner
  AND (state = 'planned' OR (state = 'sending' AND chunk.owner = step.owner AND sent_at = step.at))
RETURNING chunk.id;

-- name: unsent
-- A run was given up before these requests left: what was said of them is taken back.
UPDATE chunk SET state = 'planned', requests = requests - 1, error = NULL, reason = NULL
FROM unnest(%(chunks)s::bigint[], %(owners)s::text[]) AS step (id, owner)
WHERE chunk.job = %(job)s AND chunk.id = step.id AND chunk.owner = step.owner
  AND state = 'unknown' AND ended_at IS NULL AND left_at IS NULL;

-- name: settle
-- Of an orphan, whose request is counted already, only its owner may say more than that it is
-- unknown, and nobody once the user has decided. `done` is one that was settled so already, by a
-- commit whose answer was lost.
WITH step AS (
    SELECT * FROM unnest(
        %(chunks)s::bigint[], %(owners)s::text[], %(states)s::text[], %(ats)s::float8[],
        %(requests)s::integer[], %(throttled)s::integer[], %(errors)s::text[], %(reasons)s::text[]
    ) AS step (id, owner, state, at, requests, throttled, error, reason)
), done AS (
    SELECT chunk.id FROM chunk JOIN step USING (id)
    WHERE chunk.job = %(job)s AND chunk.owner = step.owner AND chunk.state = step.state
      AND chunk.ended_at = step.at AND %(again)s
), settled AS (
    UPDATE chunk SET state = step.state, ended_at = step.at, owner = step.owner,
        requests = chunk.requests + step.requests - (chunk.state = 'unknown')::integer,
        throttled = chunk.throttled + step.throttled, error = step.error, reason = step.reason
    FROM step
    WHERE chunk.job = %(job)s AND chunk.id = step.id AND (
        (chunk.state = 'sending' AND chunk.owner = step.owner)
        OR (chunk.state = 'planned' AND step.state = 'planned' AND chunk.claimed_by = step.owner
            AND chunk.ended_at IS DISTINCT FROM step.at)
        OR (chunk.state = 'unknown' AND chunk.ended_at IS NULL AND chunk.left_at IS NULL
            AND coalesce(chunk.owner, step.owner) = step.owner AND step.state <> 'unknown'))
    RETURNING chunk.id
)
SELECT id, false FROM settled UNION ALL SELECT id, true FROM done;

-- name: take_numbers
UPDATE job SET next_chunk = next_chunk + %s WHERE id = %s RETURNING next_chunk;

-- name: add_part
-- What a run for the first ones has divided stays its own, while it lives.
INSERT INTO chunk (job, id, content, people, origin, resent, claimed_by)
SELECT job, %(id)s, content, %(people)s, coalesce(origin, id), resent,
       (SELECT id FROM run WHERE job = %(job)s AND id = %(owner)s
                             AND first IS NOT NULL AND ended_at IS NULL AND NOT given_up)
FROM chunk WHERE job = %(job)s AND id = %(whole)s;

-- name: add_address
INSERT INTO address (job, chunk, packed) VALUES (%s, %s, %s);

-- name: end_run
-- That of another server is given up first, for what it left there is not here.
UPDATE run SET ended_at = %s, ended = %s
WHERE job = %s AND id = %s AND (given_up OR server = server());

-- name: add_event
-- Once, also where the answer to its commit was lost.
INSERT INTO event (job, at, incident, seconds, reason)
SELECT %(job)s, %(at)s, %(incident)s, %(seconds)s, %(reason)s
WHERE NOT EXISTS (SELECT 1 FROM event
                  WHERE job = %(job)s AND at = %(at)s AND incident = %(incident)s);

-- name: jobs
-- Every job, newest last. What a dead run was sending, or waits to be sent again, is unknown.
WITH living AS (
    SELECT job, id FROM run
    WHERE ended_at IS NULL AND NOT given_up AND lease_until > clock_timestamp()
), part AS (
    SELECT chunk.job, state, people, left_at,
           state = 'unknown' OR (resent AND state IN ('planned', 'sending'))
               OR (state = 'sending' AND living.id IS NULL) AS unknown
    FROM chunk LEFT JOIN living ON living.job = chunk.job AND living.id = chunk.owner
    WHERE state <> 'split'
), counts AS (
    SELECT job, sum(people) AS people,
           sum(people) FILTER (WHERE state = 'accepted') AS accepted,
           sum(people) FILTER (WHERE state = 'rejected') AS rejected,
           sum(people) FILTER (WHERE unknown) AS unknown,
           sum(people) FILTER (WHERE unknown AND left_at IS NULL) AS undecided,
           sum(people) FILTER (WHERE NOT unknown AND state IN ('planned', 'sending')) AS not_sent,
           sum(people) FILTER (WHERE state IN ('planned', 'sending')) AS ahead
    FROM part GROUP BY job
)
SELECT name, complete, planned_at, forgotten_at,
       extract(epoch FROM submission.not_before)::float8,
       command = 'pause' AND EXISTS (SELECT 1 FROM living WHERE living.job = job.id),
       EXISTS (SELECT 1 FROM living WHERE living.job = job.id),
       EXISTS (SELECT 1 FROM run WHERE run.job = job.id),
       coalesce(counts.people, 0), coalesce(accepted, 0), coalesce(rejected, 0),
       coalesce(unknown, 0), coalesce(undecided, 0), coalesce(not_sent, 0),
       coalesce(ahead, 0)
FROM job LEFT JOIN counts ON counts.job = job.id
LEFT JOIN submission ON submission.job = job.id AND submission.ended_at IS NULL
ORDER BY planned_at, name;
