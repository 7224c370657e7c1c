-- Submissions, and the engine's tables from outside. Each statement has a name.

-- name: job
-- What a submission needs to know of its job.
SELECT id, complete, forgotten_at IS NOT NULL,
       EXISTS (SELECT 1 FROM chunk WHERE job = job.id AND state IN ('planned', 'sending'))
FROM job WHERE name = %s;

-- name: submit
INSERT INTO submission (job, not_before, workers)
VALUES (%(job)s, coalesce(%(at)s, clock_timestamp()), %(workers)s)
ON CONFLICT (job) DO UPDATE SET number = submission.number + 1, not_before = excluded.not_before,
                                workers = excluded.workers, ended_at = NULL
WHERE submission.ended_at IS NOT NULL
RETURNING number;

-- name: submitted
SELECT not_before, workers FROM submission WHERE job = %s;

-- name: is_open
SELECT 1 FROM submission JOIN job ON job.id = submission.job
WHERE job.name = %s AND number = %s AND ended_at IS NULL;

-- name: close
-- Unless another worker has a run of it still, which closes it then.
UPDATE submission SET ended_at = clock_timestamp()
FROM job
WHERE job.id = submission.job AND job.name = %(job)s AND number = %(number)s
  AND submission.ended_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM run
    WHERE run.job = job.id AND run.ended_at IS NULL AND NOT given_up
      AND lease_until > clock_timestamp());

-- name: without_task
SELECT job.name, number, workers
FROM submission JOIN job ON job.id = submission.job
WHERE ended_at IS NULL AND submission.not_before <= clock_timestamp() AND NOT EXISTS (
    SELECT 1 FROM procrastinate_jobs
    WHERE queue_name = %(queue)s AND status IN ('todo', 'doing')
      AND args @> jsonb_build_object('job', job.name, 'submission', number))
FOR UPDATE OF submission SKIP LOCKED;

-- name: engine
SELECT to_regclass('moveworks_shift_queue.procrastinate_jobs') IS NOT NULL,
       (SELECT migration FROM engine);

-- name: engine_made
INSERT INTO engine (release, migration) VALUES (%(release)s, %(migration)s);

-- name: engine_updated
UPDATE engine SET release = %(release)s, migration = %(migration)s;
