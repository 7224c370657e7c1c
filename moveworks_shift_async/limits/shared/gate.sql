-- The states of shared gates, one row for each organisation; half of each page is left free, so that
-- a change is written in place. Each statement has a name.

-- name: tables
CREATE TABLE gate (
    organisation text PRIMARY KEY,
    state text NOT NULL
) WITH (fillfactor = 50);

-- name: make
INSERT INTO gate (organisation, state) VALUES (%s, '') ON CONFLICT DO NOTHING;

-- name: take
-- The clock is read once the row is locked, which may take a while. The epoch changes where commits
-- may have been lost: with another server, or another timeline of one that was failed over.
WITH held AS MATERIALIZED (SELECT state FROM gate WHERE organisation = %s FOR UPDATE)
SELECT state, extract(epoch FROM clock_timestamp())::float8,
       (SELECT system_identifier FROM pg_control_system())::text || ' '
           || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
FROM held;

-- name: put
UPDATE gate SET state = %s WHERE organisation = %s;
