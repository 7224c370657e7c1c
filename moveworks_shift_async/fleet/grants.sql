-- Whoever made the tables owns them. These are least privileges for four roles of other names.

-- A worker takes jobs and sends them.
GRANT USAGE ON SCHEMA moveworks_shift, moveworks_shift_queue TO moveworks_worker;
GRANT SELECT ON ALL TABLES IN SCHEMA moveworks_shift TO moveworks_worker;
GRANT UPDATE ON moveworks_shift.job, moveworks_shift.submission TO moveworks_worker;
GRANT INSERT, UPDATE ON moveworks_shift.chunk, moveworks_shift.run TO moveworks_worker;
GRANT INSERT ON moveworks_shift.address, moveworks_shift.event TO moveworks_worker;
GRANT INSERT, UPDATE ON moveworks_shift.gate TO moveworks_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA moveworks_shift_queue TO moveworks_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA moveworks_shift_queue TO moveworks_worker;

-- A submitter hands planned jobs to the workers, and sees how they stand.
GRANT USAGE ON SCHEMA moveworks_shift, moveworks_shift_queue TO moveworks_submitter;
GRANT SELECT ON moveworks_shift.version, moveworks_shift.engine, moveworks_shift.job,
    moveworks_shift.chunk, moveworks_shift.run, moveworks_shift.submission TO moveworks_submitter;
GRANT INSERT, UPDATE ON moveworks_shift.submission TO moveworks_submitter;
GRANT UPDATE (command, windows, not_before, not_after) ON moveworks_shift.job TO moveworks_submitter;
GRANT SELECT, INSERT ON moveworks_shift_queue.procrastinate_jobs TO moveworks_submitter;
GRANT INSERT ON moveworks_shift_queue.procrastinate_events TO moveworks_submitter;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA moveworks_shift_queue TO moveworks_submitter;

-- A planner writes jobs down, reads their accounts, pauses, stops and forgets them.
GRANT USAGE ON SCHEMA moveworks_shift TO moveworks_planner;
GRANT SELECT ON ALL TABLES IN SCHEMA moveworks_shift TO moveworks_planner;
GRANT INSERT, UPDATE, DELETE ON moveworks_shift.job TO moveworks_planner;
GRANT INSERT, UPDATE ON moveworks_shift.content TO moveworks_planner;
GRANT INSERT ON moveworks_shift.chunk TO moveworks_planner;
GRANT INSERT, DELETE ON moveworks_shift.address, moveworks_shift.left_out TO moveworks_planner;
GRANT UPDATE ON moveworks_shift.submission TO moveworks_planner;

-- A sender has no jobs, and shares the rate limit of those who have.
GRANT USAGE ON SCHEMA moveworks_shift TO moveworks_sender;
GRANT SELECT, INSERT, UPDATE ON moveworks_shift.gate TO moveworks_sender;
