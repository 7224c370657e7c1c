-- A job in one SQLite file. Each statement has a name; journal.py calls it by that name.

-- name: tables
CREATE TABLE job (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    source TEXT NOT NULL,
    event_id TEXT,
    planned_at REAL NOT NULL,
    complete INTEGER NOT NULL,
    people INTEGER NOT NULL,
    excluded INTEGER NOT NULL,
    exclusions TEXT NOT NULL,
    duplicates INTEGER NOT NULL,
    differing INTEGER NOT NULL,
    invalid INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    texts INTEGER NOT NULL,
    digest TEXT NOT NULL,
    key TEXT NOT NULL,
    base_url TEXT,
    identity TEXT,
    place TEXT,
    marked INTEGER NOT NULL DEFAULT 0,
    steps INTEGER NOT NULL DEFAULT 0,
    command TEXT NOT NULL DEFAULT 'run',
    commanded_at REAL NOT NULL DEFAULT 0,
    windows TEXT NOT NULL DEFAULT '',
    not_before REAL,
    not_after REAL
);
CREATE TABLE content (
    id INTEGER PRIMARY KEY,
    message TEXT NOT NULL,
    context TEXT,
    odd TEXT
);
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    content INTEGER NOT NULL REFERENCES content,
    people INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'planned',
    requests INTEGER NOT NULL DEFAULT 0,
    throttled INTEGER NOT NULL DEFAULT 0,
    sent_at REAL,
    ended_at REAL,
    error TEXT,
    reason TEXT,
    left_at REAL,
    resent INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    -- The run for the first ones that has it.
    claimed_by TEXT,
    -- Of a part: the planned chunk that it comes from.
    origin INTEGER REFERENCES chunk,
    steps INTEGER NOT NULL DEFAULT 0
);
-- Apart from their chunk: a change of its state must not write 5 kB of addresses again.
CREATE TABLE address (
    chunk INTEGER PRIMARY KEY REFERENCES chunk,
    packed BLOB NOT NULL
);
-- Entries of the source that are for nobody: duplicates, and what is no address.
CREATE TABLE left_out (
    id INTEGER PRIMARY KEY,
    why TEXT NOT NULL,
    packed BLOB NOT NULL
);
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    began_at REAL NOT NULL,
    ended_at REAL,
    ended TEXT,
    budget INTEGER NOT NULL,
    per REAL NOT NULL,
    first INTEGER,
    held_by TEXT,
    held_since REAL,
    held_until REAL,
    held_why TEXT
);
CREATE TABLE event (
    at REAL NOT NULL,
    incident TEXT NOT NULL,
    seconds REAL NOT NULL,
    reason TEXT NOT NULL
);

-- name: count_steps
-- Each change of a chunk is counted in the chunk and in the job, which stand on different pages: in
-- pages of different moments the sums differ.
CREATE TRIGGER count_steps AFTER UPDATE OF state, left_at ON chunk
BEGIN
    UPDATE chunk SET steps = steps + 1 WHERE id = new.id;
    UPDATE job SET steps = steps + 1;
END;

-- name: copy_numbers
-- The same from the attached file `source`, but for addresses: a hundredth of it.
CREATE TABLE job AS SELECT * FROM source.job;
CREATE TABLE content AS SELECT * FROM source.content ORDER BY id LIMIT :texts;
CREATE TABLE chunk AS SELECT * FROM source.chunk;
CREATE TABLE run AS SELECT * FROM source.run;
CREATE TABLE event AS SELECT * FROM source.event

-- name: add_job
INSERT INTO job (id, source, event_id, planned_at, complete, people, excluded, exclusions, duplicates,
                 differing, invalid, chunks, texts, digest, key, windows, not_before, not_after)
VALUES (1, :source, :event_id, :planned_at, 0, 0, 0, '[]', 0, 0, 0, 0, 0, '', :key, :windows,
        :not_before, :not_after);

-- name: add_content
INSERT INTO content (id, message, context, odd) VALUES (?, ?, ?, ?);

-- name: add_chunk
INSERT INTO chunk (id, content, people) VALUES (?, ?, ?);

-- name: add_part
INSERT INTO chunk (id, content, people, origin, resent, claimed_by)
SELECT ?, content, ?, coalesce(origin, id), resent, claimed_by FROM chunk WHERE id = ?;

-- name: add_address
INSERT INTO address (chunk, packed) VALUES (?, ?);

-- name: add_left_out
INSERT INTO left_out (why, packed) VALUES (?, ?);

-- name: complete
UPDATE job SET complete = 1, people = :people, excluded = :excluded, exclusions = :exclusions,
               duplicates = :duplicates, differing = :differing, invalid = :invalid,
               chunks = :chunks, texts = :texts, digest = :digest;

-- name: header
SELECT source, event_id, planned_at, complete, people, excluded, exclusions, duplicates, differing,
       invalid, chunks, texts, digest, key, base_url, identity, place, marked, NULL,
       windows, not_before, not_after
FROM job;

-- name: bind
UPDATE job SET base_url = ?, identity = ?;

-- name: set_schedule
UPDATE job SET windows = ?, not_before = ?, not_after = ?;

-- name: set_place
UPDATE job SET place = ?, marked = ?;

-- name: steps
SELECT key, steps FROM job;

-- name: steps_of_chunks
SELECT sum(steps) FROM chunk;

-- name: set_steps
UPDATE job SET steps = ?;

-- name: add_steps
UPDATE chunk SET steps = steps + ? WHERE id = (SELECT min(id) FROM chunk);

-- name: people
SELECT sum(people) FROM chunk WHERE state <> 'split';

-- name: may_have_told
-- What was divided before anything of it was sent says nothing.
SELECT EXISTS (SELECT 1 FROM chunk
               WHERE resent OR state NOT IN ('planned', 'split')
                  OR (state = 'split' AND error IS NOT NULL));

-- name: recent
SELECT sent_at, ended_at FROM chunk WHERE sent_at IS NOT NULL
ORDER BY coalesce(ended_at, sent_at) DESC LIMIT ?;

-- name: quick_check
PRAGMA quick_check;

-- name: contents
SELECT message, context FROM content ORDER BY id;

-- name: packed
SELECT content, people, packed FROM chunk JOIN address ON address.chunk = chunk.id
WHERE origin IS NULL ORDER BY chunk.id;

-- name: claim
SELECT chunk.id, message, context, packed, resent
FROM chunk
JOIN content ON content.id = chunk.content
JOIN address ON address.chunk = chunk.id
WHERE chunk.id > :after AND state = 'planned'
  AND (:run IS NULL OR claimed_by = :run)
ORDER BY chunk.id LIMIT :count;

-- name: free
-- In the order of the plan.
SELECT id, content, people FROM chunk WHERE state = 'planned' ORDER BY coalesce(origin, id), id;

-- name: take
UPDATE chunk SET claimed_by = ? WHERE id = ?;

-- name: addresses
SELECT packed FROM address WHERE chunk = ?;

-- name: divide
UPDATE chunk SET state = 'split', error = NULL, reason = NULL WHERE id = ?;

-- name: sending
UPDATE chunk SET state = 'sending', sent_at = ?, ended_at = NULL, owner = ?
WHERE id = ? AND state = 'planned';

-- name: settle
-- Of an orphan, whose request is counted already, only its owner may say more than that it is
-- unknown.
UPDATE chunk
SET state = :state, ended_at = :at,
    requests = requests + :requests - (state = 'unknown'),
    throttled = throttled + :throttled, error = :error, reason = :reason
WHERE id = :chunk
  AND ((state = 'sending' AND owner = :owner)
       OR (state = 'planned' AND :state = 'planned')
       OR (state = 'unknown' AND ended_at IS NULL AND owner = :owner AND :state <> 'unknown'));

-- name: next_chunk
SELECT max(id) + 1 FROM chunk;

-- name: isolated
-- What was divided for the first ones of it has met no error.
SELECT 2 * count(*) FROM chunk WHERE state = 'split' AND error IS NOT NULL;

-- name: orphans
UPDATE chunk
SET state = 'unknown', requests = requests + 1, error = 'OutcomeUnknown',
    reason = CASE WHEN owner IN (SELECT id FROM run WHERE ended_at IS NOT NULL)
                  THEN :unwritten ELSE :died END
WHERE state = 'sending';

-- name: doubt
UPDATE chunk SET state = 'unknown', error = 'JournalError', reason = :reason
WHERE state IN ('planned', 'sending');

-- name: resend_unknown
UPDATE chunk SET state = 'planned', resent = 1 WHERE state = 'unknown' AND left_at IS NULL;

-- name: leave_unknown
UPDATE chunk SET state = 'unknown', left_at = ?
WHERE left_at IS NULL AND (state = 'unknown' OR (state = 'planned' AND resent));

-- name: left_at
SELECT max(left_at) FROM chunk;

-- name: totals
SELECT state, left_at IS NOT NULL, count(*), sum(people), sum(requests), sum(throttled)
FROM chunk GROUP BY 1, 2;

-- name: records
SELECT id, state, people, requests, throttled, sent_at, ended_at, error, reason, left_at, resent,
       owner
FROM chunk WHERE state <> 'split' ORDER BY id;

-- name: recipients
SELECT chunk.id, packed FROM chunk JOIN address ON address.chunk = chunk.id
WHERE state <> 'split' ORDER BY chunk.id;

-- name: left_out
SELECT why, packed FROM left_out
ORDER BY CASE why WHEN 'invalid' THEN 0 WHEN 'excluded' THEN 1 ELSE 2 END, id;

-- name: texts
SELECT message, context, (SELECT coalesce(sum(people), 0) FROM chunk
                          WHERE chunk.content = content.id AND state <> 'split')
FROM content ORDER BY id LIMIT ?;

-- name: planned_texts
SELECT id, message, context, odd FROM content ORDER BY id;

-- name: audiences
SELECT content, told, packed FROM (
    SELECT content, sum(people) AS told, min(id) AS first FROM chunk
    WHERE content IN (SELECT value FROM json_each(?)) AND state <> 'split' GROUP BY content
) JOIN address ON address.chunk = first;

-- name: begin_run
INSERT INTO run (id, pid, host, began_at, budget, per, first)
VALUES (:id, :pid, :host, :began_at, :budget, :per, :first);

-- name: end_run
UPDATE run SET ended_at = ?, ended = ? WHERE id = ?;

-- name: runs
SELECT id, pid, host, began_at, ended_at, ended, budget, per, first, held_by, held_since,
       held_until, held_why, NULL
FROM run ORDER BY number;

-- name: hold
UPDATE run SET held_by = :held_by, held_since = :held_since, held_until = :held_until,
               held_why = :held_why
WHERE id = :owner;

-- name: last_run
SELECT id FROM run ORDER BY number DESC LIMIT 1;

-- name: add_event
INSERT INTO event (at, incident, seconds, reason) VALUES (:at, :incident, :seconds, :reason);

-- name: events
SELECT at, incident, seconds, reason FROM event ORDER BY at;

-- name: command
SELECT command FROM job;

-- name: set_command
UPDATE job SET command = ?, commanded_at = ?;

-- name: forget_command
UPDATE job SET command = 'run' WHERE commanded_at = ?;

-- name: commanded_at
SELECT commanded_at FROM job;
