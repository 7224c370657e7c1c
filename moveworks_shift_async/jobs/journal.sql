-- A job in one SQLite file. Each statement has a name; journal.py calls it by that name.

-- name: tables
CREATE TABLE job (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    source TEXT NOT NULL,
    event_id TEXT,
    planned_at REAL NOT NULL,
    complete INTEGER NOT NULL,
    people INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    differing INTEGER NOT NULL,
    invalid INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    texts INTEGER NOT NULL,
    digest TEXT NOT NULL,
    base_url TEXT,
    wish TEXT NOT NULL DEFAULT 'run',
    wished_at REAL NOT NULL DEFAULT 0
);
CREATE TABLE content (
    id INTEGER PRIMARY KEY,
    message TEXT NOT NULL,
    context TEXT
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
    left_alone INTEGER NOT NULL DEFAULT 0,
    resent INTEGER NOT NULL DEFAULT 0,
    parent INTEGER REFERENCES chunk
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
    id INTEGER PRIMARY KEY,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    began_at REAL NOT NULL,
    ended_at REAL,
    ended TEXT,
    budget INTEGER NOT NULL,
    per REAL NOT NULL
);
CREATE TABLE event (
    at REAL NOT NULL,
    incident TEXT NOT NULL,
    seconds REAL NOT NULL,
    reason TEXT NOT NULL
);

-- name: add_job
INSERT INTO job (id, source, event_id, planned_at, complete, people, duplicates, differing, invalid,
                 chunks, texts, digest)
VALUES (1, :source, :event_id, :planned_at, 0, 0, 0, 0, 0, 0, 0, '');

-- name: add_content
INSERT INTO content (id, message, context) VALUES (?, ?, ?);

-- name: add_chunk
INSERT INTO chunk (id, content, people, parent, resent)
VALUES (:id, :content, :people, :parent, coalesce((SELECT resent FROM chunk WHERE id = :parent), 0));

-- name: add_address
INSERT INTO address (chunk, packed) VALUES (?, ?);

-- name: add_left_out
INSERT INTO left_out (why, packed) VALUES (?, ?);

-- name: complete
UPDATE job SET complete = 1, people = :people, duplicates = :duplicates, differing = :differing,
               invalid = :invalid, chunks = :chunks, texts = :texts, digest = :digest;

-- name: header
SELECT source, event_id, planned_at, complete, people, duplicates, differing, invalid, chunks,
       texts, digest, base_url
FROM job;

-- name: bind
UPDATE job SET base_url = ? WHERE base_url IS NULL;

-- name: quick_check
PRAGMA quick_check;

-- name: contents
SELECT message, context FROM content ORDER BY id;

-- name: packed
SELECT content, people, packed FROM chunk JOIN address ON address.chunk = chunk.id
WHERE parent IS NULL ORDER BY chunk.id;

-- name: claim
SELECT chunk.id, message, context, packed, resent
FROM chunk
JOIN content ON content.id = chunk.content
JOIN address ON address.chunk = chunk.id
WHERE chunk.id > ? AND state = 'planned' ORDER BY chunk.id LIMIT ?;

-- name: sending
UPDATE chunk SET state = 'sending', sent_at = ?, ended_at = NULL WHERE id = ? AND state = 'planned';

-- name: settle
UPDATE chunk
SET state = :state, ended_at = :at, requests = requests + :requests,
    throttled = throttled + :throttled, error = :error, reason = :reason
WHERE id = :chunk AND (state = 'sending' OR (state = 'planned' AND :state = 'planned'));

-- name: next_chunk
SELECT max(id) + 1 FROM chunk;

-- name: content_of
SELECT content FROM chunk WHERE id = ?;

-- name: isolated
SELECT count(*) FROM chunk WHERE parent IS NOT NULL;

-- name: orphans
UPDATE chunk
SET state = 'unknown', requests = requests + 1, error = 'OutcomeUnknown', reason = :reason
WHERE state = 'sending';

-- name: resend_unknown
UPDATE chunk SET state = 'planned', resent = 1 WHERE state = 'unknown' AND NOT left_alone;

-- name: leave_unknown
UPDATE chunk SET state = 'unknown', left_alone = 1
WHERE state = 'unknown' OR (state = 'planned' AND resent);

-- name: totals
SELECT state, left_alone, count(*), sum(people), sum(requests), sum(throttled)
FROM chunk GROUP BY state, left_alone;

-- name: records
SELECT id, state, people, requests, throttled, sent_at, ended_at, error, reason, left_alone,
       resent
FROM chunk WHERE state <> 'split' ORDER BY id;

-- name: recipients
SELECT chunk.id, packed FROM chunk JOIN address ON address.chunk = chunk.id
WHERE state <> 'split' ORDER BY chunk.id;

-- name: left_out
SELECT why, packed FROM left_out ORDER BY why DESC, id;

-- name: texts
SELECT message, context, (SELECT coalesce(sum(people), 0) FROM chunk
                          WHERE chunk.content = content.id AND state <> 'split')
FROM content ORDER BY id LIMIT ?;

-- name: begin_run
INSERT INTO run (pid, host, began_at, budget, per) VALUES (?, ?, ?, ?, ?) RETURNING id;

-- name: end_run
UPDATE run SET ended_at = ?, ended = ? WHERE id = ?;

-- name: runs
SELECT id, pid, host, began_at, ended_at, ended, budget, per FROM run ORDER BY id;

-- name: add_event
INSERT INTO event (at, incident, seconds, reason) VALUES (?, ?, ?, ?);

-- name: events
SELECT at, incident, seconds, reason FROM event ORDER BY at;

-- name: wish
SELECT wish FROM job;

-- name: set_wish
UPDATE job SET wish = ?, wished_at = ?;

-- name: forget_wish
UPDATE job SET wish = 'run' WHERE wished_at = ?;

-- name: wished_at
SELECT wished_at FROM job;
